"""The logarithm as a rival: where it is positive it is a line, elsewhere it says nothing."""

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn, runs

from pipeline.laws import law
from pipeline.laws.base import Status
from pipeline.laws.estimate import Options, fit

QUICK = Options(bootstraps=0, starts=16)


@pytest.mark.parametrize("axis", ["params", "tokens", "compute"])
def test_every_factor_saves_the_same_loss(axis):
    found = law(f"log_{axis}")
    values = TRUTH[found.name]
    loss = found.predict(arrays(values), {found.inputs[0]: np.array([1.0, 1e3, 1e6, 1e9])})
    assert loss[0] == pytest.approx(values["a"], rel=1e-14)
    np.testing.assert_allclose(np.diff(loss), -values["b"] * np.log(1e3), rtol=1e-12)


def test_beyond_zero_loss_there_is_no_prediction():
    values = arrays({"a": 4.0, "b": 0.2})
    zero = np.exp(20.0)
    loss = law("log_tokens").predict(values, {"tokens": zero * np.array([0.9, 1.1])})
    assert loss[0] > 0
    assert np.isnan(loss[1])


def test_fit_keeps_to_lines_that_are_positive_on_every_run():
    """The straight line through these losses in ln D would be negative on the last run."""
    tokens = np.geomspace(1e6, 1e12, 13)
    loss = 5.0 * (tokens / 1e6) ** -0.5
    slope, middle = np.polyfit(np.log(tokens), loss, 1)
    assert middle + slope * np.log(tokens[-1]) < 0
    found = fit(law("log_tokens"), runs(np.full(13, 1e9), tokens, loss), QUICK)
    assert found.status is Status.CONVERGED
    assert (found.predicted > 0).all()
    assert np.isfinite(found.objective)


@pytest.mark.parametrize("truth", ["power", "log"])
def test_wide_runs_tell_a_power_law_from_a_logarithm(truth):
    """Five decades of size at one per cent of noise, as in fig. 23 of Kaplan et al. 2020."""
    data = drawn(f"{truth}_params", 0.01, 0)
    rival = {"power": "log", "log": "power"}[truth]
    right, wrong = (fit(law(f"{name}_params"), data, QUICK) for name in (truth, rival))
    assert right.quality.rmse < 0.015
    assert wrong.quality.rmse > 1.5 * right.quality.rmse
