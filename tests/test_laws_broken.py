"""The broken power law against the formula as it is printed, and in its limits."""

import numpy as np
import pytest
from law_data import TRUTH, arrays

from pipeline.laws import law

LAWS = ("broken_params", "broken_tokens", "broken_compute")


def printed(x, a, b, c0, c1, d, f):
    """Caballero et al. 2022, arXiv:2210.14891, with one break."""
    return a + b * x**-c0 * (1 + (x / d) ** (1 / f)) ** (-c1 * f)


@pytest.mark.parametrize("name", LAWS)
def test_loss_is_the_printed_formula(name):
    x = TRUTH[name]["d"] * np.geomspace(1e-4, 1e4, 17)
    got = law(name).predict(arrays(TRUTH[name]), {law(name).inputs[0]: x})
    np.testing.assert_allclose(got, printed(x, **TRUTH[name]), rtol=1e-12)


def test_exponents_far_from_the_break_are_c0_and_their_sum():
    values = TRUTH["broken_tokens"] | {"a": 0.0}
    x = values["d"] * np.array([1e-9, 1e-8, 1e8, 1e9])
    loss = law("broken_tokens").predict(arrays(values), {"tokens": x})
    slope = -np.diff(np.log(loss)) / np.log(10)
    assert slope[0] == pytest.approx(values["c0"], rel=1e-6)
    assert slope[2] == pytest.approx(values["c0"] + values["c1"], rel=1e-6)


def test_no_change_at_the_break_is_a_power_law_above_a_floor():
    values = TRUTH["power_floor_params"]
    height = values["Nc"] ** values["alpha_N"]
    x = {"params": np.geomspace(1e5, 1e10, 7)}
    got = law("broken_params").predict(
        arrays({"a": values["E"], "b": height, "c0": values["alpha_N"], "c1": 0.0, "d": 1e7,
                "f": 0.3}), x,
    )  # fmt: skip
    want = law("power_floor_params").predict(arrays(values), x)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("width", [-900.0, -200.0, 6.0])
def test_derivatives_stay_finite_however_sharp_or_smooth_the_break(width):
    theta = np.array([0.3, 0.5, 0.1, 0.2, 0.0, width])
    x = np.array([[-3.0, -1e-3, 0.0, 1e-3, 3.0]])
    around = law("broken_tokens").expansion(theta, x)
    assert np.isfinite(around.value).all()
    assert np.isfinite(around.gradient).all()
    assert np.isfinite(around.curvature(np.ones(5))).all()
