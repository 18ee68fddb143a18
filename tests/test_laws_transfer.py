"""The loss on another text: a line whose offset may have either sign."""

import numpy as np
import pytest
from law_data import runs

from pipeline.laws import law
from pipeline.laws.base import Runs, Status
from pipeline.laws.estimate import Options, fit


def measured(offset, slope, noise=0.0, count=20):
    """Runs whose loss on the other text is offset + slope * loss, nats/token."""
    data = runs(np.geomspace(1e6, 1e9, count), np.full(count, 1e10), np.linspace(4.0, 2.2, count))
    other = offset + slope * data.loss
    other = other * np.exp(noise * np.random.default_rng(0).standard_normal(count))
    return Runs(data.cell, {**data.columns, "evaluation_loss": other})


@pytest.mark.parametrize(
    ("offset", "slope"),
    [(0.5, 1.0), (-0.4, 1.1), (0.0, 1.0)],  # Kaplan et al. 2020: slope about one
)
def test_line_is_that_of_least_squares(offset, slope):
    data = measured(offset, slope)
    found = fit(law("transfer"), data, Options(bootstraps=0))
    p, k = np.polyfit(data.loss, data.column("evaluation_loss"), 1)
    assert found.values["s"] == pytest.approx(p, rel=1e-9)
    assert found.values["k"] == pytest.approx(k, abs=1e-9)
    assert found.values["k"] == pytest.approx(offset, abs=1e-9)


def test_offset_may_be_zero_and_is_still_known():
    found = fit(law("transfer"), measured(0.0, 1.0, noise=0.002), Options(bootstraps=100))
    low, high = found.intervals["k"]
    assert low < 0 < high
    assert found.judgements["k"].status is Status.CONVERGED
    assert found.judgements["s"].status is Status.CONVERGED


def test_loss_that_does_not_transfer_has_no_slope():
    data = measured(3.0, 0.0, noise=0.01)
    judged = fit(law("transfer"), data, Options(bootstraps=200)).judgements["s"]
    assert judged.status is Status.UNIDENTIFIABLE
