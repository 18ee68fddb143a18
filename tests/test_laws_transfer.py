"""The loss on another text: a line whose offset may have either sign."""

import numpy as np
import pytest
from law_data import runs

from pipeline.laws import law
from pipeline.laws.base import Runs, Status
from pipeline.laws.draws import Bootstrap, clusters
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


def branched(seed: int, together: float, scale: float = 1.0) -> Runs:
    """Four ends of each of seven trainings; ``together`` is the scatter common to those of one."""
    size, d = (g.ravel() for g in np.meshgrid(np.arange(7), np.geomspace(5e5, 3e6, 4)))
    data = runs(24.0 * (8 + 16 * size) ** 2, d, 4.4 - 0.12 * size - 0.1 * np.log(d / 5e5))
    noise = np.random.default_rng(seed)
    away = together * noise.standard_normal(7)[size] + 0.01 * noise.standard_normal(28)
    other = scale * (1.3 + 0.8 * data.loss) * np.exp(away)
    return Runs(data.cell, {**data.columns, "evaluation_loss": other})


def test_every_text_draws_whole_sizes_whatever_its_residuals():
    """An F test takes the ends of one training to err alike on one of these texts alone."""
    options = Options(bootstraps=40, starts=8)
    for text in (branched(0, 0.0), branched(1, 0.03)):
        found = fit(law("transfer"), text, options)
        assert (found.clusters.kind, found.clusters.number) == ("size", 7)
        assert "7 sizes" in found.clusters.reason
    kinds = {
        clusters(Bootstrap.AUTO, text, np.log(text.column("evaluation_loss") / (1.3 + 0.8 * text.loss)))
        .kind
        for text in (branched(0, 0.0), branched(1, 0.03))
    }  # fmt: skip
    assert kinds == {Bootstrap.CASES, Bootstrap.SIZE}


def test_replicates_of_two_texts_are_of_the_same_draws():
    """A text that costs twice as much everywhere has twice the slope in every replicate."""
    options = Options(bootstraps=40, starts=8)
    one, twice = (fit(law("transfer"), branched(3, 0.02, scale), options) for scale in (1.0, 2.0))
    assert len(one.replicates["s"]) == 40
    assert twice.replicates["s"] == pytest.approx(2 * one.replicates["s"], rel=1e-6)
