"""What a bootstrap draws, and how far out its percentiles must be."""

from dataclasses import replace

import numpy as np
import pytest
from law_data import published, runs, toy
from scipy import stats

from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.draws import Bootstrap, alike, alike_by_chance, clusters, designs, drawn
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective


def grid(sizes, counts, seeds=1):
    """Runs on a grid, repeated; their losses do not matter here."""
    n, d = (np.tile(g.ravel(), seeds) for g in np.meshgrid(np.geomspace(1e6, 1e9, sizes),
                                                          np.geomspace(1e9, 1e11, counts)))  # fmt: skip
    return runs(n, d, np.linspace(3, 2, len(n)))


def test_counts_within_a_per_cent_are_one_group():
    assert alike(np.array([100.0, 1000.0, 100.9, 102.5, 1001.0])).tolist() == [0, 2, 0, 1, 2]


def test_a_design_is_all_but_the_seed():
    n = np.array([1e6, 1e6, 1e6, 2e6])
    d = np.array([1e9, 1.002e9, 1e9, 1e9])  # the second was rounded to other steps
    columns = {"params": n, "tokens": d, "flops": 6 * n * d, "loss": np.full(4, 3.0)}
    found = designs(Runs(tuple("abcd"), columns))
    assert found[0] == found[1] == found[2] != found[3]
    found = designs(Runs(tuple("abcd"), {**columns, "lr": np.array([0.1, 0.1, 0.2, 0.1])}))
    assert found[0] == found[1] != found[2]


def test_the_chance_of_likeness_is_that_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    of, residuals = rng.integers(0, 5, 40), rng.standard_normal(40)
    expected = stats.f_oneway(*(residuals[of == k] for k in range(5))).pvalue
    assert alike_by_chance(of, residuals) == pytest.approx(expected, rel=1e-10)


def test_auto_draws_sizes_where_they_err_together():
    data, rng = grid(8, 5), np.random.default_rng(1)
    together = rng.standard_normal(8)[alike(data.params)] + 0.3 * rng.standard_normal(40)
    found = clusters(Bootstrap.AUTO, data, together)
    assert (found.kind, found.number) == (Bootstrap.SIZE, 8)
    assert "8 sizes" in found.reason
    found = clusters(Bootstrap.AUTO, data, rng.standard_normal(40))
    assert (found.kind, found.number) == (Bootstrap.CASES, 40)
    assert "no more alike" in found.reason


def test_auto_draws_cases_of_few_sizes_and_says_what_that_costs():
    data = grid(5, 6)
    together = np.linspace(-1, 1, 5)[alike(data.params)] + 1e-3 * np.arange(30)
    found = clusters(Bootstrap.AUTO, data, together)
    assert found.kind is Bootstrap.CASES
    assert "5 sizes are too few" in found.reason
    assert "too narrow" in found.reason


@pytest.mark.parametrize("kind", ["size", "budget"])
def test_clusters_are_drawn_whole(kind):
    data = grid(6, 4)
    found = clusters(Bootstrap(kind), data, np.zeros(24))
    x = np.log([data.params, data.tokens])
    weights = drawn(found, x, 5, 300, np.random.default_rng(0))
    of = {"size": alike(data.params), "budget": alike(data.flops, 0.03)}[kind]
    for group in np.unique(of):
        members = weights[:, of == group]
        assert (members == members[:, :1]).all()
        # A multinomial's mean and variance; resamples that cannot carry a fit are drawn again.
        assert members[:, 0].mean() == pytest.approx(1, abs=0.2)
        assert members[:, 0].var() == pytest.approx(1 - 1 / found.number, abs=0.3)


def test_seeds_are_drawn_within_their_design():
    data = grid(3, 2, seeds=3).take(np.arange(14))  # two designs have three seeds, four have two
    found = clusters(Bootstrap.SEED, data, np.zeros(14))
    weights = drawn(found, np.log([data.params, data.tokens]), 3, 200, np.random.default_rng(0))
    for design, seeds in enumerate(np.bincount(found.of)):
        assert (weights[:, found.of == design].sum(1) == seeds).all()
    assert "6 designs" in found.reason
    lone = drawn(found, np.zeros((2, 14)), 3, 5, np.random.default_rng(1))
    assert lone.shape == (5, 14)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no design was run with two seeds"):
        clusters(Bootstrap.SEED, toy(), np.zeros(28))
    with pytest.raises(ValueError, match="2 of them are too few"):
        clusters(Bootstrap.SIZE, grid(2, 6), np.zeros(12))


def test_percentiles_are_widened_as_text_books_say():
    z = stats.norm.ppf(0.95)
    cases = clusters(Bootstrap.CASES, grid(7, 4), np.zeros(28)).widening(0.9, 5)
    assert cases == pytest.approx(stats.t.ppf(0.95, 23) / z * np.sqrt(28 / 23), rel=1e-12)
    sizes = clusters(Bootstrap.SIZE, grid(7, 4), np.zeros(28)).widening(0.9, 5)
    assert sizes == pytest.approx(stats.t.ppf(0.95, 6) / z * np.sqrt(7 / 6), rel=1e-12)
    seeds = clusters(Bootstrap.SEED, grid(2, 2, 3), np.zeros(12)).widening(0.9, 5)
    assert seeds == pytest.approx(stats.t.ppf(0.95, 8) / z * np.sqrt(3 / 2), rel=1e-12)


def test_what_is_drawn_decides_the_interval_of_besiroglu_et_al():
    """Other code's 95 % percentiles of beta: cases .334 to .416, all runs of a budget .276 to .428.

    The ends of 600 resamples scatter by about a tenth of the interval.
    """
    data = published("besiroglu_chinchilla.csv", {"used_in_fit": "True"})
    options = Options(Objective(1e-3), bootstraps=600, profile=False, starts=16)
    widths = {}
    for kind, ends in {"cases": (0.334, 0.416), "budget": (0.276, 0.428)}.items():
        found = fit(
            law("chinchilla"), runs(data.params, data.tokens, data.loss),
            replace(options, bootstrap=Bootstrap(kind)),
        )  # fmt: skip
        low, high = np.quantile(found.replicates["beta"], [0.025, 0.975])
        width = ends[1] - ends[0]
        assert (low, high) == pytest.approx(ends, abs=0.15 * width), kind
        widths[kind] = high - low
    assert widths["budget"] > 1.4 * widths["cases"]
