"""Large tables: what they are given up, that it is said, and that the rest needs little memory."""

import tracemalloc

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn, runs

from pipeline.laws import law
from pipeline.laws.base import Status
from pipeline.laws.estimate import Options, fit
from pipeline.laws.large import affordable
from pipeline.laws.resample import resamples


def many(count):
    """Runs of a power law with one per cent of noise."""
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(1e6), np.log(1e10), count))
    clean = law("power_params").predict(arrays(TRUTH["power_params"]), {"params": n})
    return runs(n, np.full(count, 1e11), clean * np.exp(0.01 * rng.standard_normal(count)))


@pytest.mark.parametrize(
    ("count", "asked", "resamples", "profile"),
    [(28, 4000, 4000, True), (50_000, 1000, 1000, True), (100_001, 1000, 499, False),
     (10**6, 1000, 50, False), (10**6, 0, 0, False), (10**8, 1000, 10, False)],
)  # fmt: skip
def test_runs_times_resamples_are_limited_and_the_limits_said(count, asked, resamples, profile):
    plan = affordable(count, asked)
    assert plan[:2] == (resamples, profile)
    assert (f"{count}) only {resamples} resamples" in plan.reason) == (resamples < asked)
    assert ("no profile" in plan.reason) == (not profile)


def test_a_large_fit_says_what_it_left_out(monkeypatch):
    monkeypatch.setattr("pipeline.laws.large.RESAMPLED", 3000)
    monkeypatch.setattr("pipeline.laws.large.PROFILED", 99)
    monkeypatch.setattr("pipeline.laws.resample.SCOUTED", 99)
    found = fit(law("power_params"), many(100), Options(bootstraps=200))
    assert found.status is Status.CONVERGED
    assert len(found.replicates["alpha_N"]) == 30
    assert set(found.profiles.values()) == {None}
    assert found.clusters.reason.endswith(
        "Of so many runs (100) only 30 resamples are drawn. Beyond 99 runs there is no profile "
        "likelihood."
    )
    low, high = found.intervals["alpha_N"]
    assert low < 0.076 < high


def test_resamples_of_many_runs_are_those_of_few_blocks(monkeypatch):
    x = np.log(np.stack([drawn("chinchilla", 0.01, 0).params, drawn("chinchilla", 0.01, 0).tokens]))
    whole = resamples(x, 5, 40, np.random.default_rng(1))
    monkeypatch.setattr("pipeline.laws.resample.ELEMENTS", 30)
    np.testing.assert_array_equal(resamples(x, 5, 40, np.random.default_rng(1)), whole)


def test_a_fit_of_many_runs_needs_a_few_times_the_memory_of_its_weights():
    """Fifty resamples of 50,000 runs are 20 MB of weights; runs squared would be 20 GB."""
    data = many(50_000)
    tracemalloc.start()
    found = fit(law("power_params"), data, Options(bootstraps=50, starts=8, profile=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6
    low, high = found.intervals["alpha_N"]
    # Of a straight line: t s / sqrt(S_xx), here of two thousandths of a per mille.
    slope = 0.01 / np.sqrt(len(data)) / np.log(data.params).std()
    assert (high - low) / 2 == pytest.approx(1.645 * slope, rel=0.4)
