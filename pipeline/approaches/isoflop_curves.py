"""Approach 2 along curves: isoFLOP minima at budgets that are read off each size's curve of loss.

As Porian et al. 2024 (arXiv:2406.19146, section 3) read isoFLOP curves off runs at a constant rate:
at each of a grid of budgets a size's loss is interpolated along its curve (``envelope.curves``),
linear in log loss against log C. The minimum over log N is that of a parabola through the sizes
around the best (``isoflop.METHODS``), so that N* does not move in steps from size to size.

Budgets that are read off the same curves err together, so that resampling budgets, or the sizes of
each on its own, says nothing of how well the exponent is known. The curves err alone: each is a
training with a seed of its own. Intervals are those of the jackknife over sizes (Tukey 1958): each
size is left out of all budgets in turn, and Student's t with the jackknife's variance says how far
the line through the minima may lie from it. Sizes drawn with replacement leave a third of them out,
so that of some ten sizes too few remain around a minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.approaches.allocation import (
    QUANTITIES,
    Allocation,
    Optimum,
    Options,
    no_optimum,
    widest,
)
from pipeline.approaches.budgets import Budget
from pipeline.approaches.envelope import LEAST_SIZES as LEAST_BESIDE
from pipeline.approaches.envelope import Curve, along, compute
from pipeline.approaches.exponents import (
    LEAST_BUDGETS,
    Exponent,
    Line,
    judged,
    line,
    paired,
    resampled_line,
)
from pipeline.approaches.isoflop import METHODS, Minima
from pipeline.laws.base import Floats, Status

NAME = "isoflop_curves"
METHOD = METHODS["isoflop_parabola"]
POINTS = 60  # of the grid of compute
LEAST_SIZES = 5  # at a budget: those of a parabola, and one on either side that can be left out
LEAST_SHARE = 0.8  # of the sizes can be left out and the others still have a minimum
LINE = 60  # points along the parabola that is drawn


class _Moved(NamedTuple):
    """Which of the S sizes are behind any optimum, n of them, and how far each of R draws moves
    along what leaving out each of these does: (R, n)."""

    behind: NDArray[np.bool_]
    draws: Floats


class _Known(NamedTuple):
    """A budget that counts, which of the S sizes have a loss there, and its minima (1 + S,)."""

    budget: Budget
    present: NDArray[np.bool_]
    minima: Minima


def isoflop_curves(found: Sequence[Curve], options: Options) -> Allocation:
    """The minima along the curves of S sizes, ascending by size, and the exponents through them."""
    read = [
        _Known(budget, present, _minima(budget, present)) for budget, present in _read(found)
    ]  # fmt: skip
    refusals = [_refusal(one) for one in read]
    known = [one for one, refusal in zip(read, refusals) if refusal is None]
    behind = np.any([one.present for one in known], axis=0) if known else np.zeros(0, bool)
    moved = _moved(behind, options)
    optima = tuple(
        _none(one.budget, *refusal) if refusal else _optimum(one, moved, options.level)
        for one, refusal in zip(read, refusals)
    )
    reason = _too_few(known)
    if reason:
        nothing = (np.nan, np.nan, np.nan, Status.TOO_FEW_POINTS, reason)
        return Allocation(NAME, optima, tuple(Exponent(q, *nothing) for q in QUANTITIES), 0)
    log_n = paired([one.minima.log_params for one in known])
    log_d = np.stack([one.budget.log_tokens(log_n[:, i]) for i, one in enumerate(known)], 1)
    log_c = np.log([one.budget.flops for one in known])
    exponents = tuple(
        _exponent(quantity, log_c, log_y, moved, options)
        for quantity, log_y in zip(QUANTITIES, (log_n, log_d))
    )
    return Allocation(
        NAME, optima, exponents, sum(len(found[i].flops) for i in np.flatnonzero(behind).tolist())
    )


def _exponent(
    quantity: str, log_c: Floats, log_y: Floats, moved: _Moved, options: Options
) -> Exponent:
    """The exponent through optima log_y (1 + S, B), of all sizes and without each."""
    centre = float(log_c.mean())
    lines = line(log_c, log_y, np.ones(len(log_c)), centre)
    drawn = Line(*(_jackknifed(column, moved) for column in lines))
    resampled = {"sizes": resampled_line(drawn, options.level)} if options.bootstraps else {}
    status, reason = judged(len(log_c), resampled)
    if np.isnan(lines.slope).any() and options.bootstraps:
        reason = "Without one of the sizes no exponent is left, so that it has no interval."
    return Exponent(
        quantity, float(lines.slope[0]), float(lines.level[0]), float(np.exp(centre)), status,
        reason, resampled,
    )  # fmt: skip


def _jackknifed(values: Floats, moved: _Moved) -> Floats:
    """Draws (R,) of a number from its values (1 + S,) with all sizes and without each.

    NaN where one of the sizes behind it cannot be left out.
    """
    without = values[1:][moved.behind]
    return np.asarray(values[0] + moved.draws @ (without - without.mean()))


def _read(found: Sequence[Curve]) -> list[tuple[Budget, NDArray[np.bool_]]]:
    """The budgets of the grid where any size has a loss, and which of the S sizes have one."""
    if not found:
        return []
    log_c = compute(found, POINTS)
    log_n = np.log([curve.params for curve in found])
    rows = []
    for c, loss, tokens in zip(
        log_c, along(found, log_c, "loss"), along(found, log_c, "tokens"), strict=True
    ):
        there = np.isfinite(loss)
        if there.any():
            flops = float(np.exp(c))
            rate = (c - log_n - tokens)[there]
            rows.append((
                Budget(flops, (flops, flops), log_n[there], np.exp(loss[there]), rate,
                       np.ones(there.sum()), 0.0, 0),
                there,
            ))  # fmt: skip
    return rows


def _minima(budget: Budget, present: NDArray[np.bool_]) -> Minima:
    """The minimum of a budget with all its sizes, then without each of the S sizes: (1 + S,)."""
    weights = np.r_[np.ones((1, len(present))), 1 - np.eye(len(present))][:, present]
    if budget.sizes < LEAST_SIZES:
        return Minima(*np.full((2, len(weights)), np.nan))
    loss = np.broadcast_to(budget.loss, weights.shape)
    return METHOD.minima(budget.log_params, loss, weights)


def _moved(behind: NDArray[np.bool_], options: Options) -> _Moved:
    """Draws whose variance is the jackknife's over the n sizes behind the optima.

    That is (n - 1)/n of the sum of squared deviations; the draws are of Student's t with n - 1
    degrees of freedom.
    """
    rng, count = np.random.default_rng(options.seed), int(behind.sum())
    normal = rng.standard_normal((options.bootstraps, count))
    freedom = max(count - 1, 1)
    widths = np.sqrt(freedom / rng.chisquare(freedom, size=(options.bootstraps, 1)))
    return _Moved(behind, np.asarray(np.sqrt(freedom / (freedom + 1)) * widths * normal))


def _refusal(of: _Known) -> tuple[Status, str] | None:
    """Why a budget does not count; None where it has a minimum whichever size is left out."""
    budget, minima = of.budget, of.minima
    at = f"At {budget.flops:.3g} FLOP"
    if budget.sizes < LEAST_SIZES:
        return Status.TOO_FEW_POINTS, (
            f"{at} {budget.sizes} of the sizes have a loss; a minimum needs {LEAST_SIZES}."
        )
    known = np.isfinite(minima.log_params)
    if known[0] and known[1:][of.present].mean() >= LEAST_SHARE:
        return None
    best = int(budget.loss.argmin())
    if not 0 < best < budget.sizes - 1:
        return Status.BOUND_HIT, (
            f"{at} the lowest of {budget.sizes} losses is that of the smallest or largest size; "
            "the minimum may lie beyond."
        )
    return Status.UNIDENTIFIABLE, (
        f"{at} the curve through {budget.sizes} sizes has no minimum among them, or none without "
        "many of them."
    )


def _too_few(known: Sequence[_Known]) -> str | None:
    """Why minima carry no exponent: they lie beside too few sizes. None where they carry one."""
    beside = {
        float(x[np.abs(x - one.minima.log_params[0]).argmin()])
        for one in known
        for x in [one.budget.log_params]
    }
    if len(beside) >= LEAST_BESIDE and len(known) >= LEAST_BUDGETS:
        return None
    return (
        f"{len(known)} budgets have a minimum, next to {len(beside)} sizes; an exponent needs "
        f"{LEAST_BESIDE} of each."
    )


def _none(budget: Budget, status: Status, reason: str) -> Optimum:
    return no_optimum(
        budget.flops, budget.flops_range, budget.sizes, budget.runs, status, reason
    )  # fmt: skip


def _optimum(known: _Known, moved: _Moved, level: float) -> Optimum:
    budget, _, minima = known
    log_n, loss = float(minima.log_params[0]), float(minima.loss[0])
    drawn = _jackknifed(minima.log_params, moved)
    samples = {
        "params": np.exp(drawn),
        "tokens": np.exp(budget.log_tokens(drawn)),
        "loss": _jackknifed(minima.loss, moved),
    }
    x, y = METHOD.curve(budget.log_params, budget.loss, LINE)
    return Optimum(
        budget.flops, budget.flops_range, float(np.exp(log_n)),
        float(np.exp(budget.log_tokens(log_n))), loss,
        {name: widest({"sizes": sample}, level) for name, sample in samples.items()},
        budget.sizes, budget.runs, Status.CONVERGED,
        f"The lowest of {budget.sizes} sizes has smaller and larger ones beside it.",
        (np.exp(x), y),
    )  # fmt: skip
