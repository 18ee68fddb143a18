"""What a bootstrap draws, and how far out its percentiles must be."""

from dataclasses import replace

import numpy as np
import pytest
from law_data import drawn as noisy
from law_data import published, runs, toy
from scipy import stats

from pipeline.laws import LAWS, law
from pipeline.laws.base import Runs, Status
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
    assert clusters(Bootstrap.AUTO, data, together, sizes_together=True).reason == found.reason


def test_auto_draws_sizes_without_a_test_where_a_law_takes_them_to_err_together():
    data, noise = grid(8, 5), np.random.default_rng(2).standard_normal(40)
    assert clusters(Bootstrap.AUTO, data, noise).kind is Bootstrap.CASES
    found = clusters(Bootstrap.AUTO, data, noise, sizes_together=True)
    assert (found.kind, found.number) == (Bootstrap.SIZE, 8)
    assert clusters(Bootstrap.CASES, data, noise, sizes_together=True).kind is Bootstrap.CASES
    assert [name for name in LAWS if law(name).sizes_together] == ["transfer"]


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


def along(sizes, each, points, seed=0):
    """Points along the curves of ``each`` trainings of ``sizes`` sizes, and the curve of each.

    Their losses do not matter here.
    """
    of = np.arange(sizes * each).repeat(points)
    n, d = (
        np.geomspace(1e6, 1e9, sizes)[of // each],
        np.tile(np.geomspace(1e8, 1e10, points), sizes * each),
    )
    order = np.random.default_rng(seed).permutation(len(of))
    found = runs(n[order], d[order], np.linspace(3, 2, len(of)))
    return replace(found, curves=tuple(f"t{i:03d}" for i in of[order])), of[order]


@pytest.mark.parametrize(("sizes", "each"), [(1, 6), (2, 5), (5, 2), (7, 1), (7, 3)])
@pytest.mark.parametrize("kind", [Bootstrap.AUTO, Bootstrap.CASES])
def test_points_of_one_training_are_drawn_whole_whatever_the_number_of_sizes(sizes, each, kind):
    data, of = along(sizes, each, points=9)
    found = clusters(kind, data, np.random.default_rng(1).standard_normal(len(data)))
    assert (found.number, found.trainings) == (sizes * each, sizes * each)
    assert f"{sizes * each} of them" in found.reason
    weights = drawn(found, np.log([data.params, data.tokens]), 4, 50, np.random.default_rng(0))
    assert len(weights) == 50
    for training in range(sizes * each):
        members = weights[:, of == training]
        assert (members == members[:, :1]).all()


def test_trainings_of_one_size_that_err_together_are_drawn_together():
    """Whether they do is asked of the trainings, one number each, and not of their points."""
    data, of = along(7, 4, points=9)
    rng = np.random.default_rng(2)
    own = rng.standard_normal(28)[of] + 0.1 * rng.standard_normal(len(of))
    found = clusters(Bootstrap.AUTO, data, own)
    assert (found.kind, found.number) == (Bootstrap.CASES, 28)
    means = [own[of == training].mean() for training in range(28)]
    expected = stats.f_oneway(*np.reshape(means, (7, 4))).pvalue
    assert f"mean residuals: {expected:.1g})" in found.reason
    assert stats.f_oneway(*(own[of // 4 == size] for size in range(7))).pvalue < 0.01 < expected
    found = clusters(Bootstrap.AUTO, data, own + 3 * rng.standard_normal(7)[of // 4])
    assert (found.kind, found.number, found.trainings) == (Bootstrap.SIZE, 7, 28)


def test_points_that_repeat_one_another_tell_no_more_than_one_of_them():
    data = noisy("kaplan_steps", 0.01, 0)
    five = np.arange(len(data)).repeat(5)
    options = Options(bootstraps=60, starts=8, bootstrap=Bootstrap.CASES, profile=False)
    once = fit(law("kaplan_steps"), data, options)
    repeated = fit(
        law("kaplan_steps"), replace(data.take(five), curves=data.take(five).cell), options
    )
    for name, sample in once.replicates.items():
        assert repeated.replicates[name] == pytest.approx(sample, rel=1e-4), name
        assert repeated.intervals[name] == pytest.approx(once.intervals[name], rel=0.05), name


def test_curves_that_err_as_a_whole_have_the_error_of_a_sandwich():
    """The standard error of a slope whose errors are common to a curve (Liang and Zeger 1986)."""
    rng, points = np.random.default_rng(3), 12
    of = np.arange(40).repeat(points)
    starts = 10 ** rng.uniform(7, 10, 40)  # each goes through a stretch of its own
    d = np.concatenate([start * np.geomspace(1, 10, points) for start in starts])
    loss = (5e13 / d) ** 0.095 * np.exp(0.01 * rng.standard_normal(40)[of])
    data = replace(runs(np.full(len(d), 1e8), d, loss), curves=tuple(f"t{i:02d}" for i in of))
    found = fit(law("power_tokens"), data, Options(Objective(10.0), bootstraps=400, starts=8))
    x = np.log(d) - np.log(d).mean()
    residual = np.log(loss) - np.log(found.predicted)
    expected = np.sqrt((np.bincount(of, x * residual) ** 2).sum()) / (x @ x)
    assert found.replicates["alpha_D"].std() == pytest.approx(expected, rel=0.15)
    independent = np.sqrt((residual @ residual) / (len(d) - 2) / (x @ x))
    assert expected > 2 * independent
    assert not any(found.profiles.values())


def test_too_few_trainings_have_no_interval_and_say_so():
    data = noisy("kaplan_steps", 0.01, 0)  # 7 sizes of 8 points each
    curves = tuple(f"{n:.0f}" for n in data.params)
    options = Options(bootstraps=20, starts=8)
    whole = fit(law("kaplan_steps"), replace(data, curves=curves), options)
    assert all(whole.intervals.values())
    assert "by 7 runs only" in whole.judgements["alpha_S"].reason
    few = replace(data, curves=curves).take(np.isin(data.params, np.unique(data.params)[:5]))
    found = fit(law("kaplan_steps"), few, options)
    assert not any(found.intervals.values())
    assert not any(found.profiles.values())
    assert found.status is Status.UNIDENTIFIABLE
    assert found.sentence == found.judgements["alpha_N"].reason == found.clusters.reason
    assert found.sentence.startswith("No intervals: these are points of 5 trainings")
    assert "6 or more trainings" in found.sentence
    assert found.values["alpha_S"] == pytest.approx(0.76, rel=0.1)
    for kind in (Bootstrap.BUDGET, Bootstrap.SEED):
        other = fit(law("kaplan_steps"), whole.runs, replace(options, bootstrap=kind))
        assert not any(other.intervals.values())
        assert f"not by {kind}; take auto" in other.sentence


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
