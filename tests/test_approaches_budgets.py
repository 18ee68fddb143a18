"""Budgets found in tables of runs, what they hold, and which of their minima are refused."""

from __future__ import annotations

import law_data
import numpy as np
import pytest

from pipeline.approaches.allocation import Options, widest
from pipeline.approaches.budgets import budgets, grouped, seed_noise
from pipeline.approaches.minima import isoflop
from pipeline.laws import law
from pipeline.laws.base import Runs, Status


def isoflop_runs(flops: np.ndarray, sizes: np.ndarray, noise: float = 0.0, seeds: int = 1) -> Runs:
    """Bowls in log N around N* = sqrt(C / 120), every size at every budget."""
    c, n, _ = (a.ravel() for a in np.meshgrid(flops, sizes, range(seeds), indexing="ij"))
    loss = 10 * c**-0.03 + 0.05 * np.log(n / np.sqrt(c / 120)) ** 2
    loss = loss + noise * np.random.default_rng(0).standard_normal(len(loss))
    return law_data.runs(n, c / (6 * n), loss)


FLOPS = np.array([1e15, 1e16, 1e17, 1e18])
SIZES = np.geomspace(5e5, 2e9, 13)


def test_budgets_are_found_within_the_tolerance_in_any_order():
    runs = isoflop_runs(FLOPS, SIZES)
    jitter = np.random.default_rng(1).uniform(0.97, 1.03, len(runs))
    tokens = runs.tokens * jitter
    order = np.random.default_rng(2).permutation(len(runs))
    mixed = law_data.runs(runs.params[order], tokens[order], runs.loss[order])
    found = budgets(mixed)
    assert [budget.sizes for budget in found] == [13] * 4
    assert [budget.flops for budget in found] == pytest.approx(FLOPS, rel=0.02)
    assert budgets(mixed, 0.001) == []


def test_single_runs_and_chance_meetings_are_no_budget():
    runs = isoflop_runs(FLOPS, SIZES)
    n = np.r_[runs.params, 1e6, 2e6, 4e6, 3e7]
    d = np.r_[runs.tokens, 3e15 / 6 / np.array([1e6, 2e6, 4e6]), 1e12]
    loss = np.r_[runs.loss, 4.0, 3.9, 4.0, 3.0]
    assert [b.sizes for b in budgets(law_data.runs(n, d, loss))] == [13] * 4
    alone = law_data.runs(n[-4:], d[-4:], loss[-4:])
    assert [budget.sizes for budget in budgets(alone)] == [3]
    assert budgets(law_data.runs(n[:2], d[:2], loss[:2])) == []


def test_repeats_are_averaged_and_give_the_noise_between_seeds():
    runs = isoflop_runs(FLOPS, SIZES, noise=0.02, seeds=40)
    found = budgets(runs)
    assert {budget.runs for budget in found} == {13 * 40}
    assert {budget.sizes for budget in found} == {13}
    clean = budgets(isoflop_runs(FLOPS, SIZES))
    for noisy, exact in zip(found, clean, strict=True):
        assert noisy.loss == pytest.approx(exact.loss, abs=4 * 0.02 / np.sqrt(40))
    assert seed_noise(found) == pytest.approx(0.02, rel=0.05)
    assert seed_noise(clean) is None


def test_runs_of_one_size_and_other_tokens_are_no_repeats():
    runs = isoflop_runs(FLOPS, SIZES)
    close = law_data.runs(
        np.r_[runs.params, runs.params], np.r_[runs.tokens, 1.02 * runs.tokens],
        np.r_[runs.loss, runs.loss + 0.1],
    )  # fmt: skip
    assert seed_noise(budgets(close)) is None


def test_tokens_follow_from_the_cost_of_a_token():
    runs = isoflop_runs(FLOPS, SIZES)
    (first, *_) = budgets(runs)
    assert first.log_tokens(np.log(3e6)) == pytest.approx(np.log(1e15 / 6 / 3e6))
    # A token of a small model costs more than 6 N: here the head adds 6e6 FLOP.
    dear = Runs(runs.cell, {**runs.columns, "flops": 6 * (runs.params + 1e6) * runs.tokens})
    same = [budget for budget in budgets(dear, 10.0) if budget.sizes > 3]
    expected = -np.log(6 * (1 + 1e6 / SIZES))
    assert same[0].log_rate == pytest.approx(-expected[: same[0].sizes], rel=1e-9)


def test_groups_are_of_neighbours():
    assert grouped(np.log([10, 1, 1.005, 10.05, 5]), 0.01).tolist() == [2, 0, 0, 2, 1]
    assert grouped(np.array([]), 0.01).tolist() == []


def bowls(cut: slice) -> Runs:
    """Seven sizes around the optimum of each budget; of the lowest budget only ``cut``."""
    sizes = np.sqrt(FLOPS / 120)[:, None] * np.geomspace(1 / 8, 8, 7)
    parts = [
        isoflop_runs(np.array([c]), n[cut] if c == FLOPS[0] else n)
        for c, n in zip(FLOPS, sizes, strict=True)
    ]
    return law_data.runs(*(
        np.concatenate([part.column(name) for part in parts])
        for name in ("params", "tokens", "loss")
    ))  # fmt: skip


@pytest.mark.parametrize(("method", "cut", "status", "words"), [
    ("isoflop_akima", slice(1, 5), Status.TOO_FEW_POINTS, ("4 sizes", "needs 5 or more")),
    ("isoflop_parabola", slice(3, 7), Status.BOUND_HIT, ("smallest of 4", "Add smaller sizes")),
    ("isoflop_parabola", slice(0, 4), Status.BOUND_HIT, ("largest of 4", "Add larger sizes")),
    ("isoflop_akima", slice(0, 4), Status.TOO_FEW_POINTS, ("4 sizes",)),
])  # fmt: skip
def test_budgets_without_a_minimum_are_refused_by_name(method, cut, status, words):
    found = isoflop(method, budgets(bowls(cut)), Options(bootstraps=50))
    first = found.optima[0]
    assert first.status is status
    assert np.isnan([first.params, first.tokens, first.loss]).all()
    assert first.intervals == {"params": None, "tokens": None, "loss": None}
    assert first.reason.startswith("At 1e+15 FLOP")
    assert all(word in first.reason for word in words)
    assert [one.found for one in found.optima[1:]] == [True] * 3
    assert found.exponent("params").value == pytest.approx(0.5, abs=1e-6)


def test_an_akima_minimum_at_an_edge_is_refused():
    sizes = np.sqrt(FLOPS / 120)[:, None] * np.geomspace(1, 64, 7)
    parts = [isoflop_runs(np.array([c]), n) for c, n in zip(FLOPS, sizes, strict=True)]
    for part in parts:
        (found,) = isoflop("isoflop_akima", budgets(part), Options(bootstraps=50)).optima
        assert found.status is Status.BOUND_HIT


def test_minima_that_most_resamples_lack_are_refused():
    runs = bowls(slice(0, 7))
    flat = law_data.runs(runs.params, runs.tokens, 3.0 + 1e-9 * np.arange(len(runs)) % 7)
    flat.columns["loss"][3::7] -= 1e-8  # type: ignore[index]
    found = isoflop("isoflop_parabola", budgets(flat), Options(bootstraps=200, noise=0.5))
    reasons = {one.reason for one in found.optima if one.status is Status.UNIDENTIFIABLE}
    assert reasons
    assert all("% of the resamples have a minimum" in reason for reason in reasons)
    best = found.exponent("params")
    assert best.status is Status.TOO_FEW_POINTS
    assert np.isnan(best.value)


def test_intervals_hold_the_truth_and_grow_with_the_noise():
    truth, widths = np.sqrt(FLOPS / 120), []
    for noise in (0.001, 0.004):
        runs = bowls(slice(0, 7))
        loss = runs.loss + noise * np.random.default_rng(3).standard_normal(len(runs))
        noisy = law_data.runs(runs.params, runs.tokens, loss)
        found = isoflop("isoflop_parabola", budgets(noisy), Options(noise=noise, level=0.99))
        ends = found.exponent("params").resampled["noise"]
        assert ends.low <= 0.5 <= ends.high
        widths.append(ends.high - ends.low)
        for one, size in zip(found.optima, truth, strict=True):
            low, high = one.intervals["params"]
            assert low <= size <= high
            assert one.tokens * one.params * 6 == pytest.approx(one.flops)
    assert widths[1] == pytest.approx(4 * widths[0], rel=0.2)


def test_too_many_resamples_without_a_value_leave_no_interval():
    drawn = np.random.default_rng(0).standard_normal(1000)
    low, high = widest({"cases": drawn}, 0.9)
    assert (low, high) == pytest.approx((-1.645, 1.645), abs=0.15)
    # The 20 % that have none may all have been the largest: the others alone say too little.
    holed = np.where(drawn > np.quantile(drawn, 0.8), np.nan, drawn)
    assert widest({"cases": holed}, 0.9) is None
    assert widest({"noise": drawn, "cases": holed}, 0.9) is None
    assert widest({}, 0.9) is None


def test_resamples_lowest_at_an_end_reach_to_that_end():
    # Noise as large as the rise to the first size: it is the lowest in more than 5 % of resamples.
    sizes = np.geomspace(1 / 1.8, 60, 7) * np.sqrt(1e15 / 120)
    (budget,) = budgets(isoflop_runs(np.array([1e15]), sizes))
    (found,) = isoflop("isoflop_akima", [budget], Options(noise=0.02)).optima
    assert found.found
    rng = np.random.default_rng(5)
    lowest = (budget.loss + 0.02 * rng.standard_normal((4000, 7))).argmin(1)
    assert (lowest == 0).mean() > 0.1
    assert found.intervals["params"][0] == pytest.approx(sizes[0])
    assert found.intervals["params"][1] < sizes[-1] / 2


@pytest.mark.parametrize("width", [4.0, 8.0, 16.0])
@pytest.mark.parametrize("noise", [0.003, None])
def test_intervals_of_wide_parabolas_hold_the_optimum(width, noise):
    """Nine sizes on the surface of Hoffmann et al. 2022; its bowl is no parabola.

    Without the minima of cubics the interval holds the optimum in about 96, 66 and 29 % of
    tables. 60 tables of a true coverage of 90 % leave 45 once in several thousand times.
    """
    values = {"E": 1.8, "A": 400.0, "alpha": 0.34, "B": 410.0, "beta": 0.28}
    best = float(law("chinchilla").optimum(law_data.arrays(values), np.array(1e20)).params)
    n = best * np.geomspace(1 / width, width, 9)
    d = 1e20 / 6 / n
    loss = law("chinchilla").predict(law_data.arrays(values), {"params": n, "tokens": d})
    held, rng = 0, np.random.default_rng(11)
    for table in range(60):
        noisy = law_data.runs(n, d, loss + 0.003 * rng.standard_normal(9))
        how = Options(bootstraps=200, noise=noise, seed=table)
        (found,) = isoflop("isoflop_parabola", budgets(noisy), how).optima
        low, high = found.intervals["params"]
        held += low <= best <= high
        assert high / low < 2
    assert held >= 46
