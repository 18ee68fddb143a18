"""The envelope of loss curves: known surfaces, edges, gaps, and published runs."""

from __future__ import annotations

import law_data
import numpy as np
import pytest

from pipeline.approaches.allocation import Options
from pipeline.approaches.budgets import budgets
from pipeline.approaches.envelope import Curve, binned, curves, envelope
from pipeline.laws import law
from pipeline.laws.base import Runs, Status


def surface_runs(sizes: int, counts: int) -> Runs:
    """A grid of sizes and token counts on a surface whose exponents of N* and D* are 1/2."""
    n, d = (a.ravel() for a in np.meshgrid(np.geomspace(1e6, 1e10, sizes),
                                           np.geomspace(1e7, 1e12, counts)))  # fmt: skip
    values = law_data.arrays({"E": 1.7, "A": 400.0, "alpha": 0.3, "B": 400.0, "beta": 0.3})
    return law_data.runs(n, d, law("chinchilla").predict(values, {"params": n, "tokens": d}))


def test_a_symmetric_surface_is_split_evenly():
    runs = surface_runs(25, 30)
    found = envelope(curves(runs), Options(bootstraps=200))
    best = found.exponent("params")
    assert best.value == pytest.approx(0.5, abs=0.01)  # steps from size to size
    assert found.exponent("tokens").value == pytest.approx(1 - best.value, abs=1e-3)
    ends = best.resampled["sizes"]
    assert ends.low < 0.5 < ends.high
    assert best.status is Status.CONVERGED
    # N* = D* on this surface, within the step between sizes.
    step = 1e4 ** (1 / 24)
    for one in found.optima:
        if one.found:
            assert one.flops_range[0] <= one.flops <= one.flops_range[1]
            assert 1 / step <= one.params / np.sqrt(one.flops / 6) <= step


def test_ends_and_lonely_stretches_are_refused_with_their_compute():
    found = envelope(curves(surface_runs(9, 12)), Options(bootstraps=0))
    assert found.optima[0].status is Status.TOO_FEW_POINTS
    assert "of the sizes have a loss; a choice needs 3" in found.optima[0].reason
    edges = [one for one in found.optima if one.status is Status.BOUND_HIT]
    assert edges
    assert all("smallest or largest size" in one.reason for one in edges)
    assert all(np.isnan(one.params) for one in edges)
    used = {round(np.log10(one.params), 6) for one in found.optima if one.found}
    assert not used & {6.0, 10.0}


def test_a_grid_of_the_best_size_at_an_end_gives_no_exponent():
    runs = surface_runs(9, 12)
    small = runs.take(runs.params < 1e7 * 1.01)
    found = envelope(curves(small), Options(bootstraps=0))
    assert found.exponent("params").status is Status.TOO_FEW_POINTS
    assert "smaller and larger ones" in found.exponent("params").reason
    two = envelope(curves(runs.take(runs.params < 4e6)), Options(bootstraps=0))
    assert "2 sizes have a loss at several amounts of compute" in two.exponent("params").reason


def test_curves_join_runs_of_one_size_and_leave_single_ones():
    n = np.array([1e6, 1e6, 1.001e6, 1e7])
    d = np.array([1e8, 1e9, 1e9, 1e9])
    (curve,) = curves(law_data.runs(n, d, np.array([4.0, 3.0, 3.2, 2.9])))
    assert curve.params == pytest.approx(1e6, rel=1e-3)
    assert curve.loss.tolist() == [4.0, 3.0, 3.2]
    same = law_data.runs(np.array([1e6, 1e6, 1e6]), d[:3], np.array([4.0, 3.0, 3.2]))
    (curve,) = curves(same)
    assert curve.loss == pytest.approx([4.0, 3.1])


def test_curves_along_training_stand_in_for_the_runs_of_their_size():
    runs = surface_runs(5, 2)
    tokens = np.geomspace(1e7, 1e12, 40)
    along = Curve(1e6, 6e6 * tokens, tokens, 5 * tokens**-0.02)
    found = curves(runs, [along])
    assert len(found) == 5
    assert found[0] is along
    assert [len(curve.flops) for curve in found[1:]] == [2] * 4


def test_without_resamples_there_is_a_value_and_no_interval():
    found = envelope(curves(surface_runs(9, 12)), Options(bootstraps=0))
    best = found.exponent("params")
    assert np.isfinite(best.value)
    assert best.resampled == {}


def test_ranges_of_compute_stand_in_where_sizes_have_no_curves():
    # Sizes of their own at every budget, so that no size has two runs.
    flops = np.geomspace(1e15, 1e21, 13)
    n = np.sqrt(flops / 6)[:, None] * np.geomspace(1 / 30, 30, 31) * 1.02 ** np.arange(31)
    d = flops[:, None] / (6 * n)
    values = law_data.arrays({"E": 1.7, "A": 400.0, "alpha": 0.3, "B": 400.0, "beta": 0.3})
    n, d = n.ravel(), d.ravel()
    loss = law("chinchilla").predict(values, {"params": n, "tokens": d})
    runs = law_data.runs(n, d, loss)
    found = binned(budgets(runs), Options(bootstraps=300))
    best = found.exponent("params")
    assert best.value == pytest.approx(0.5, abs=1e-6)  # each grid lies alike around its optimum
    ends = best.resampled["sizes"]
    assert ends.low < 0.5 < ends.high
    assert found.runs == len(runs)
    edge = binned(budgets(runs.take(n > np.sqrt(6 * n * d / 6) * 1.5)), Options(bootstraps=10))
    assert {one.status for one in edge.optima} == {Status.BOUND_HIT}
    assert edge.exponent("params").status is Status.TOO_FEW_POINTS


def test_published_runs_agree_with_their_isoflop_minima():
    # 0.497 is the exponent of Porian et al. 2024 for this recipe, by interpolation.
    keep = {"dataset": "rw", "hparams": "tuned", "warmup": "short", "decay": "const",
            "param_count": "standard", "split": "val"}  # fmt: skip
    table = law_data.published("porian_isoflops.csv", keep)
    runs = law_data.runs(table.params, table.tokens, table.loss)
    best = envelope(curves(runs), Options()).exponent("params")
    assert best.value == pytest.approx(0.497, abs=0.01)
    assert best.resampled["sizes"].low < 0.497 < best.resampled["sizes"].high


def test_resamples_with_too_few_sizes_are_no_lines():
    # Six sizes with 2 % noise: most resamples keep one or two of the sizes on the envelope, whose
    # line is flat or any; counted in, they pull the interval down to 0.
    judged = 0
    for seed in range(6):
        runs = surface_runs(6, 5)
        noise = 0.02 * np.random.default_rng(seed).standard_normal(len(runs))
        noisy = law_data.runs(runs.params, runs.tokens, runs.loss * np.exp(noise))
        best = envelope(curves(noisy), Options(bootstraps=300)).exponent("params")
        if best.status is Status.TOO_FEW_POINTS:
            continue
        judged += 1
        ends = best.resampled["sizes"]
        assert ends.low is None or ends.low > 0.05
        lost = np.isnan(ends.line.slope).mean()
        if lost > 0.05:
            assert ends.low is None
            assert best.status is Status.UNIDENTIFIABLE
            assert "of the 300 resamples of sizes" in best.reason
    assert judged >= 3
