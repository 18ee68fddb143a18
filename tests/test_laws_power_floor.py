"""Power laws above a floor: closed forms, and the limit without a floor."""

import numpy as np
import pytest
from law_data import TRUTH, arrays, runs

from pipeline.laws import law
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective
from pipeline.laws.surface import minimise, spread

LAWS = ("power_floor_params", "power_floor_tokens", "power_floor_compute")


@pytest.mark.parametrize("name", LAWS)
def test_loss_is_the_formula(name):
    lowest, location, exponent = TRUTH[name].values()
    x = np.array([1e6, 1e9, 1e12])
    got = law(name).predict(arrays(TRUTH[name]), {law(name).inputs[0]: x})
    np.testing.assert_allclose(got, lowest + (location / x) ** exponent, rtol=1e-13)


@pytest.mark.parametrize("axis", ["params", "tokens", "compute"])
def test_no_floor_is_the_power_law(axis):
    plain, above = law(f"power_{axis}"), law(f"power_floor_{axis}")
    values = TRUTH[plain.name]
    x = {plain.inputs[0]: np.geomspace(1e5, 1e25, 9)}
    got = above.predict(arrays({"E": 0.0, **values}), x)
    np.testing.assert_allclose(got, plain.predict(arrays(values), x), rtol=1e-13)


def test_three_losses_at_equal_factors_give_the_floor():
    """Differences of a geometric sequence: E = (L1 L3 - L2^2) / (L1 + L3 - 2 L2)."""
    losses, factor = np.array([4.0, 3.2, 2.8]), 10.0
    first, second, third = losses
    lowest = (first * third - second**2) / (first + third - 2 * second)
    exponent = np.log((first - second) / (second - third)) / np.log(factor)

    found, y = law("power_floor_tokens"), np.log(losses)
    x = np.log(factor) * np.array([[-1.0, 0.0, 1.0]])
    starts = spread(found.start_box(y), 32, np.random.default_rng(0))
    ended = minimise(found, x, y, np.ones((32, 3)), starts, Objective(1e3))
    got = found.values(ended.theta[ended.best()])
    assert float(got["E"]) == pytest.approx(lowest, rel=1e-7)
    assert float(got["alpha_D"]) == pytest.approx(exponent, rel=1e-7)


def test_frontier_of_chinchilla_is_a_power_of_compute_above_its_floor():
    """The best loss of each budget is E + k C^-(alpha beta / (alpha + beta)), from eq. 4's optimum."""
    surface = TRUTH["chinchilla"]
    best = law("chinchilla").optimum(arrays(surface), np.geomspace(1e17, 1e24, 12))
    found = fit(
        law("power_floor_compute"), runs(best.params, best.tokens, best.loss), Options(bootstraps=0)
    )
    alpha, beta = surface["alpha"], surface["beta"]
    assert found.values["E"] == pytest.approx(surface["E"], rel=1e-8)
    assert found.values["alpha_C"] == pytest.approx(alpha * beta / (alpha + beta), rel=1e-8)


@pytest.mark.parametrize("name", LAWS)
def test_floor_that_vanished_is_raised_to_search_again(name):
    found, y = law(name), np.log([2.0, 3.0])
    theta = np.array([[-40.0, 0.5, 0.1], [0.1, 0.5, 0.1]])
    revived = found.revived(theta, y)
    assert revived[0, 0] == pytest.approx(np.log(0.2))
    np.testing.assert_array_equal(revived[1], theta[1])
