"""Minima along curves: a known surface without and with noise, and where there is no exponent."""

from __future__ import annotations

import law_data
import numpy as np
import pytest

from pipeline.approaches.allocation import Allocation, Options
from pipeline.approaches.budgets import Budget
from pipeline.approaches.envelope import Curve
from pipeline.approaches.isoflop import Minima
from pipeline.approaches.isoflop_curves import _Known, _refusal, isoflop_curves
from pipeline.laws import law
from pipeline.laws.base import Status

# A surface like that of small models whose rate is tuned; N* ~ C^(beta / (alpha + beta)).
SURFACE = {"E": 2.8, "A": 13.4, "alpha": 0.306, "B": 69.5, "beta": 0.364}
TRUTH = 0.364 / (0.306 + 0.364)
SIZES = np.array([5.9e3, 1e4, 1.5e4, 2.06e4, 2.7e4, 4.2e4, 6e4, 8.2e4])
TOKENS = np.geomspace(0.125e6, 2.4e6, 6)


def trained(noise: float = 0.0, seed: int = 0, sizes: np.ndarray = SIZES) -> list[Curve]:
    """A curve of each size, through finished runs that each have a noise of their own."""
    rng = np.random.default_rng(seed)
    curves = []
    for size in sizes:
        n = np.full(len(TOKENS), size)
        loss = law("chinchilla").predict(law_data.arrays(SURFACE), {"params": n, "tokens": TOKENS})
        shaken = np.ravel(loss) * np.exp(noise * rng.standard_normal(len(TOKENS)))
        curves.append(Curve(size, 6 * size * TOKENS, TOKENS, shaken))
    return curves


def estimated(curves: list[Curve], resamples: int = 200) -> Allocation:
    return isoflop_curves(curves, Options(bootstraps=resamples))


def best_size(flops: float) -> float:
    """N* in closed form (Hoffmann et al. 2022, eq. 4)."""
    alpha, beta = SURFACE["alpha"], SURFACE["beta"]
    ratio = alpha * SURFACE["A"] / (beta * SURFACE["B"])
    return float(ratio ** (1 / (alpha + beta)) * (flops / 6) ** TRUTH)


def test_without_noise_the_minima_are_those_of_the_closed_form():
    found = estimated(trained())
    used = [one for one in found.optima if one.found]
    assert len(used) >= 10
    for one in used:
        assert one.params == pytest.approx(best_size(one.flops), rel=0.1)
        assert 6 * one.params * one.tokens == pytest.approx(one.flops, rel=1e-9)
        assert one.sizes >= 5
    best = found.exponent("params")
    assert best.value == pytest.approx(TRUTH, abs=0.02)
    assert found.exponent("tokens").value == pytest.approx(1 - best.value, abs=1e-9)
    assert best.resampled["sizes"].low < TRUTH < best.resampled["sizes"].high
    assert best.status is Status.CONVERGED


def test_intervals_hold_the_truth_under_noise_and_are_no_wider_than_need_be():
    held, values, widths = 0, [], []
    for seed in range(30):
        best = estimated(trained(0.003, seed)).exponent("params")
        ends = best.resampled["sizes"]
        held += ends.low < TRUTH < ends.high
        values.append(best.value)
        widths.append(ends.high - ends.low)
    assert held >= 25  # of 27 at a nominal 90 %
    assert np.mean(values) == pytest.approx(TRUTH, abs=0.03)
    # Between 1 and 2.5 times what a normal distribution of the values would have.
    assert 1 < np.mean(widths) / (2 * 1.645 * np.std(values)) < 2.5


def test_more_budgets_off_the_same_curves_are_no_more_evidence(monkeypatch):
    curves = trained(0.003, 1)
    few = estimated(curves, 2000).exponent("params").resampled["sizes"]
    monkeypatch.setattr("pipeline.approaches.isoflop_curves.POINTS", 600)
    many = estimated(curves, 2000).exponent("params").resampled["sizes"]
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.25)


def slope(curves: list[Curve], budgets: list[float]) -> float:
    """The exponent by numpy: parabolas through the three sizes on either side, then a line."""
    points = []
    for flops in budgets:
        read = [
            (np.log(c.params), np.exp(np.interp(np.log(flops), np.log(c.flops), np.log(c.loss))))
            for c in curves
            if c.flops[0] <= flops <= c.flops[-1]
        ]
        best = min(range(len(read)), key=lambda i: read[i][1])
        x, y = np.array(read[max(0, best - 3) : best + 4]).T
        bent, rise, _ = np.polyfit(x, y, 2)
        vertex = -rise / (2 * bent)
        if 0 < best < len(read) - 1 and x[0] < vertex < x[-1] and bent > 0:
            points.append((np.log(flops), vertex))
    return float(np.polyfit(*np.array(points).T, 1)[0])


def test_the_variance_is_that_of_the_jackknife():
    """A second implementation leaves each size out; the draws have its spread."""
    curves = trained(0.003, 2)
    found = estimated(curves, 20_000)
    budgets = [one.flops for one in found.optima if one.found]
    exponents = [slope(curves[:i] + curves[i + 1 :], budgets) for i in range(len(curves))]
    best = found.exponent("params")
    assert best.value == pytest.approx(slope(curves, budgets), abs=1e-9)
    error = np.sqrt(7 / 8 * np.sum((np.array(exponents) - np.mean(exponents)) ** 2))
    ends = best.resampled["sizes"]
    # Student's 95 % point for 7 degrees of freedom.
    assert ends.high - ends.low == pytest.approx(2 * 1.895 * error, rel=0.04)


def test_minima_at_the_ends_and_too_few_sizes_are_refused_by_name():
    found = estimated(trained())
    reasons = {one.status: one.reason for one in found.optima if not one.found}
    assert "of the sizes have a loss; a minimum needs 5" in reasons[Status.TOO_FEW_POINTS]
    small = estimated(trained(sizes=SIZES[:4])).exponent("params")
    assert small.status is Status.TOO_FEW_POINTS
    assert "0 budgets have a minimum" in small.reason
    far = estimated(trained(sizes=50 * SIZES))
    assert far.exponent("params").status is Status.TOO_FEW_POINTS
    assert any(
        one.status is Status.BOUND_HIT and "smallest or largest size" in one.reason
        for one in far.optima
    )
    assert estimated([]).exponent("params").status is Status.TOO_FEW_POINTS


def test_sizes_that_have_no_loss_at_a_budget_are_no_sizes_that_can_be_left_out():
    present = np.arange(12) < 5
    log_n = np.log(SIZES[:5])
    budget = Budget(1e11, (1e11, 1e11), log_n, (log_n - log_n[2]) ** 2 + 3, log_n, log_n, 0.0, 0)
    for fails, refused in ((1, False), (2, True)):
        without = np.where(np.arange(12) < fails, np.nan, log_n[2])
        minima = Minima(np.r_[log_n[2], without], np.full(13, 3.0))
        assert (_refusal(_Known(budget, present, minima)) is not None) == refused


def test_without_resamples_there_is_a_value_and_no_interval():
    best = estimated(trained(), 0).exponent("params")
    assert np.isfinite(best.value)
    assert best.resampled == {}
