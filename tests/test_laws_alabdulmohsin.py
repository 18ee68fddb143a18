"""M3 and M4 against their defining equations, their limits, and another law they are part of."""

import numpy as np
import pytest
from law_data import TRUTH, arrays
from scipy.optimize import brentq

from pipeline.laws import law

TOKENS = np.geomspace(1e5, 1e13, 17)


def test_m3_is_kaplans_law_of_size_and_tokens_at_one_size():
    """Kaplan et al. 2020, eq. 1.5, with beta = Dc^alpha_D and gamma the size's share over Dc."""
    surface, size = TRUTH["kaplan"], 1e8
    share = (surface["Nc"] / size) ** (surface["alpha_N"] / surface["alpha_D"])
    values = {
        "beta": surface["Dc"] ** surface["alpha_D"], "gamma": share / surface["Dc"],
        "c": surface["alpha_D"],
    }  # fmt: skip
    both = {"params": np.full_like(TOKENS, size), "tokens": TOKENS}
    np.testing.assert_allclose(
        law("m3_tokens").predict(arrays(values), {"tokens": TOKENS}),
        law("kaplan").predict(arrays(surface), both), rtol=1e-12,
    )  # fmt: skip


def test_m3_without_gamma_is_the_power_law():
    power = TRUTH["power_tokens"]
    values = {"beta": power["Dc"] ** power["alpha_D"], "gamma": 0.0, "c": power["alpha_D"]}
    got = law("m3_tokens").predict(arrays(values), {"tokens": TOKENS})
    want = law("power_tokens").predict(arrays(power), {"tokens": TOKENS})
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_m3_levels_off():
    values = TRUTH["m3_tokens"]
    lowest = values["beta"] * values["gamma"] ** values["c"]
    got = law("m3_tokens").predict(arrays(values), {"tokens": np.array([1e30])})
    assert got[0] == pytest.approx(lowest, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 3.0])
def test_m4_solves_its_equation(alpha):
    values = TRUTH["m4_tokens"] | {"alpha": alpha}
    got = law("m4_tokens").predict(arrays(values), {"tokens": TOKENS})
    lowest, top = values["E"], values["L0"]

    def miss(loss, tokens):
        power = values["beta"] * tokens ** -values["c"]
        return (loss - lowest) - power * (top - loss) ** alpha

    want = [brentq(miss, lowest, top, args=(d,), xtol=1e-13, rtol=1e-14) for d in TOKENS]
    np.testing.assert_allclose(got, want, rtol=1e-11)


def test_m4_runs_from_the_untrained_loss_to_the_floor():
    values = TRUTH["m4_tokens"]
    got = law("m4_tokens").predict(arrays(values), {"tokens": np.array([1e-30, 1e40])})
    np.testing.assert_allclose(got, [values["L0"], values["E"]], rtol=1e-12)


def test_m4_with_alpha_zero_is_m2():
    above = TRUTH["power_floor_tokens"]
    values = {
        "E": above["E"], "L0": 50.0, "beta": above["Dc"] ** above["alpha_D"],
        "c": above["alpha_D"], "alpha": 1e-12,
    }  # fmt: skip
    far = {"tokens": np.geomspace(1e7, 1e13, 9)}
    np.testing.assert_allclose(
        law("m4_tokens").predict(arrays(values), far),
        law("power_floor_tokens").predict(arrays(above), far), rtol=1e-10,
    )  # fmt: skip
