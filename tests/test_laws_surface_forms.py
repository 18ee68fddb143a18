"""Laws of N and D against their printed formulas, and the laws that they hold within them."""

import numpy as np
from law_data import TRUTH, arrays

from pipeline.laws import law

N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e6, 1e11, 5), np.geomspace(1e8, 1e12, 4)))
INPUTS = {"params": N, "tokens": D}


def loss(name, values):
    return law(name).predict(arrays(values), INPUTS)


def test_symmetric_alternative_as_it_is_printed():
    v = TRUTH["kaplan_symmetric"]
    inside = (v["Nc"] / N) ** v["alpha_N"] + (v["Dc"] / D) ** v["alpha_D"]
    np.testing.assert_allclose(loss("kaplan_symmetric", v), inside ** v["beta"], rtol=1e-12)


def test_symmetric_alternative_holds_kaplan_and_a_sum_of_powers():
    kaplan = TRUTH["kaplan"]
    same = {
        "Nc": kaplan["Nc"], "alpha_N": kaplan["alpha_N"] / kaplan["alpha_D"], "Dc": kaplan["Dc"],
        "alpha_D": 1.0, "beta": kaplan["alpha_D"],
    }  # fmt: skip
    np.testing.assert_allclose(loss("kaplan_symmetric", same), loss("kaplan", kaplan), rtol=1e-12)
    powers = {"Nc": 1e9, "alpha_N": 0.2, "Dc": 1e10, "alpha_D": 0.3, "beta": 1.0}
    summed = {"A": 1e9**0.2, "alpha": 0.2, "B": 1e10**0.3, "beta": 0.3}
    np.testing.assert_allclose(
        loss("kaplan_symmetric", powers), loss("additive", summed), rtol=1e-12
    )


def test_sum_of_powers_is_chinchilla_without_a_floor():
    v = TRUTH["additive"]
    np.testing.assert_allclose(loss("additive", v), loss("chinchilla", v | {"E": 0.0}), rtol=1e-13)


def test_farseer_as_it_is_printed():
    v = TRUTH["farseer"]
    size = np.exp(v["s"] * N ** v["q"] + v["S"])
    data = np.exp(v["B"] * N ** v["b"] + v["Q"]) * D ** -np.exp(v["A"] * N ** v["a"] + v["E"])
    np.testing.assert_allclose(loss("farseer", v), size + data, rtol=1e-11)


def test_farseer_with_straight_coefficients_is_a_sum_of_powers():
    """With all three exponents at 0 (k N^p + K a line in log N) only the decay may still bend."""
    theta = np.array([1.0, -0.3, 0.0, 0.5, 0.0, 0.0, np.log(0.25), 0.0, 0.0])
    x = np.log(np.stack([N / 1e8, D]))
    b = np.exp(0.5) * 1e10**0.25
    want = np.exp(1.0) * (N / 1e8) ** -0.3 + b * D**-0.25
    np.testing.assert_allclose(np.exp(law("farseer").log_target(theta, x)), want, rtol=1e-12)


def test_steps_law_as_it_is_printed():
    v = TRUTH["kaplan_steps"]
    steps = np.geomspace(1e3, 1e6, len(N))
    got = law("kaplan_steps").predict(arrays(v), {"params": N, "steps_min": steps})
    want = (v["Nc"] / N) ** v["alpha_N"] + (v["Sc"] / steps) ** v["alpha_S"]
    np.testing.assert_allclose(got, want, rtol=1e-12)
