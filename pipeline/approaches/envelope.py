"""Approach 1: the lower envelope of the losses of all sizes against compute.

Hoffmann et al. 2022 (arXiv:2203.15556, section 3.1): each size has a curve of loss against compute;
on a fine grid of compute the lowest curve says which size is best, and power laws go through these
sizes. A size's curve joins, in log-log, the runs that it finished at several token counts, or the
losses along its training where the learning rate stayed constant; a loss in the middle of a
schedule lies above what a run that ends there would reach. Where fewer than three sizes have such
a curve, the best run of each range of compute stands for it.

Where fewer than three sizes can be compared, or the best of them is the smallest or the largest,
the envelope says nothing of the optimum, and that stretch of compute is left out. Resamples draw
the sizes with replacement, so that whole curves come and go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.approaches.allocation import (
    Allocation,
    Optimum,
    Options,
    allocation,
    no_optimum,
)
from pipeline.approaches.budgets import SAME_SIZE, Budget, grouped
from pipeline.approaches.exponents import Exponent, Line, judged, line, paired, resampled_line
from pipeline.laws.base import Floats, Runs, Status

POINTS = 400  # of the grid of compute; the exponent moves by less than 0.002 from 200 on
LEAST_SIZES = 3  # to compare at a budget, and on the envelope
ELEMENTS = 4_000_000  # numbers in the largest array of a batch


@dataclass(frozen=True)
class Curve:
    """Loss of one size against compute, ascending: flops, tokens and loss (m,), m at least 2."""

    params: float
    flops: Floats
    tokens: Floats
    loss: Floats


@dataclass(frozen=True)
class _Grid:
    """All curves on one grid: log C (G,), log loss and log D (G, S), infinite where not trained."""

    curves: Sequence[Curve]
    log_c: Floats
    log_loss: Floats
    log_tokens: Floats

    def best(self, present: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The best size at each budget, and whether it is an optimum: present (R, S) -> (R, G)."""
        loss = np.where(present[:, None, :], self.log_loss, np.inf)
        known = np.isfinite(loss)
        size = loss.argmin(2)
        first, last = known.argmax(2), known.shape[2] - 1 - known[:, :, ::-1].argmax(2)
        return size, (known.sum(2) >= LEAST_SIZES) & (size > first) & (size < last)


def curves(runs: Runs, further: Sequence[Curve] = ()) -> list[Curve]:
    """A curve for each size, ascending by size; ``further`` stand in for the runs of their size.

    Runs of one size and compute are averaged. A size with a single point has no curve.
    """
    size = grouped(np.log(np.r_[runs.params, [curve.params for curve in further]]), SAME_SIZE)
    found = {
        one: _joined(runs.take(size[: len(runs)] == one)) for one in set(size[: len(runs)].tolist())
    }
    found |= dict(zip(size[len(runs) :].tolist(), further))
    return [found[one] for one in sorted(found) if len(found[one].flops) > 1]


def _joined(runs: Runs) -> Curve:
    """The runs of one size as a curve."""
    flops, which = np.unique(runs.flops, return_inverse=True)
    count = np.bincount(which)
    tokens, loss = (np.bincount(which, column) / count for column in (runs.tokens, runs.loss))
    return Curve(float(np.exp(np.log(runs.params).mean())), flops, tokens, loss)


def envelope(found: Sequence[Curve], options: Options) -> Allocation:
    """Approach 1 on the curves of S sizes, ascending by size."""
    if len(found) < LEAST_SIZES:
        return _refused(
            f"{len(found)} sizes have a loss at several amounts of compute; an envelope needs "
            f"{LEAST_SIZES} or more."
        )
    grid = _grid(found)
    size, optimal = (rows[0] for rows in grid.best(np.ones((1, len(found)), dtype=bool)))
    optima = _stretches(grid, size, optimal)
    used = {int(s) for s in size[optimal]}
    if len(used) < LEAST_SIZES:
        return _refused(
            f"{len(used)} sizes lie on the envelope with smaller and larger ones beside them; an "
            f"exponent needs {LEAST_SIZES} or more.",
            optima,
        )
    drawn = _drawn(len(found), options)
    exponents = tuple(
        _exponent(grid, quantity, (size, optimal), drawn, len(used), options)
        for quantity in ("params", "tokens")
    )
    runs = sum(len(found[s].flops) for s in used)
    return Allocation("envelope", tuple(optima), exponents, runs)


def compute(found: Sequence[Curve], points: int) -> Floats:
    """Log C (points,), evenly from the least to the most that any curve has."""
    low, high = min(c.flops[0] for c in found), max(c.flops[-1] for c in found)
    return np.linspace(np.log(low), np.log(high), points)


def along(found: Sequence[Curve], log_c: Floats, column: str) -> Floats:
    """The log of a column of S curves at log C (G,), linear in between; (G, S).

    Infinite where a size was not trained.
    """
    return np.stack(
        [
            np.interp(log_c, np.log(c.flops), np.log(getattr(c, column)), left=np.inf, right=np.inf)
            for c in found
        ],
        axis=1,
    )


def _grid(found: Sequence[Curve]) -> _Grid:
    log_c = compute(found, POINTS)
    return _Grid(found, log_c, along(found, log_c, "loss"), along(found, log_c, "tokens"))


def _drawn(sizes: int, options: Options) -> NDArray[np.bool_]:
    """Which sizes each resample holds, (R, S)."""
    rng = np.random.default_rng(options.seed)
    drawn = rng.integers(sizes, size=(options.bootstraps, sizes))
    present = np.zeros(drawn.shape, dtype=bool)
    np.put_along_axis(present, drawn, True, axis=1)
    return present


def _exponent(
    grid: _Grid, quantity: str, best: tuple[NDArray[np.intp], NDArray[np.bool_]],
    present: NDArray[np.bool_], used: int, options: Options,
) -> Exponent:  # fmt: skip
    centre = float(grid.log_c[best[1]].mean())
    found = _line(grid, quantity, best[0][None], best[1][None], centre)
    size = max(1, ELEMENTS // grid.log_loss.size)
    parts = [
        _line(grid, quantity, *grid.best(present[i : i + size]), centre)
        for i in range(0, len(present), size)
    ]
    drawn = Line(*(np.concatenate(column) for column in zip(*parts))) if parts else None
    resampled = {"sizes": resampled_line(drawn, options.level)} if drawn else {}
    status, reason = judged(used, resampled, "sizes")
    return Exponent(
        quantity, float(found.slope[0]), float(found.level[0]), float(np.exp(centre)), status,
        reason, resampled,
    )  # fmt: skip


def _line(
    grid: _Grid, quantity: str, size: NDArray[np.intp], optimal: NDArray[np.bool_], centre: float
) -> Line:
    """Lines through the best sizes of each resample: size and optimal (R, G).

    NaN where fewer than ``LEAST_SIZES`` are best somewhere: one size makes a flat line, two any.
    """
    if quantity == "params":
        log_y = np.log([curve.params for curve in grid.curves])[size]
    else:
        log_y = grid.log_tokens[np.arange(len(grid.log_c)), size]
    ever = (optimal[:, :, None] & (size[:, :, None] == np.arange(len(grid.curves)))).any(1)
    carries = ever.sum(1) >= LEAST_SIZES
    missing = np.where(optimal & carries[:, None], log_y, np.nan)
    return line(grid.log_c, missing, np.ones(len(grid.log_c)), centre)


def _stretches(grid: _Grid, size: NDArray[np.intp], optimal: NDArray[np.bool_]) -> list[Optimum]:
    """One row for each stretch of compute over which one size is best."""
    covered = np.isfinite(grid.log_loss).any(1)
    state = np.where(covered, 2 * size + optimal, -1)
    starts = np.flatnonzero(np.r_[True, np.diff(state) != 0])
    stops = np.r_[starts[1:], len(state)]
    return [
        _stretch(grid, int(size[i]), bool(optimal[i]), slice(i, j))
        for i, j in zip(starts.tolist(), stops.tolist())
        if state[i] >= 0
    ]


def _stretch(grid: _Grid, size: int, optimal: bool, rows: slice) -> Optimum:
    flops = np.exp(grid.log_c[rows])
    curve, middle = grid.curves[size], (rows.start + rows.stop - 1) // 2
    ends, at = (float(flops[0]), float(flops[-1])), float(np.exp(grid.log_c[middle]))
    compared = int(np.isfinite(grid.log_loss[middle]).sum())
    if not optimal:
        edge = compared >= LEAST_SIZES
        reason = (
            f"From {ends[0]:.3g} to {ends[1]:.3g} FLOP "
            + (f"{curve.params:.3g} parameters are the smallest or largest size with a loss; the "
               "optimum may lie beyond." if edge else
               f"{compared} of the sizes have a loss; a choice needs {LEAST_SIZES}.")
        )  # fmt: skip
        status = Status.BOUND_HIT if edge else Status.TOO_FEW_POINTS
        return no_optimum(at, ends, compared, len(curve.flops), status, reason)
    return Optimum(
        at, ends, curve.params, float(np.exp(grid.log_tokens[middle, size])),
        float(np.exp(grid.log_loss[middle, size])),
        dict.fromkeys(("params", "tokens", "loss")), compared, len(curve.flops),
        Status.CONVERGED, f"The best of {compared} sizes, with smaller and larger ones beside it.",
        (np.empty(0), np.empty(0)),
    )  # fmt: skip


def binned(found: Sequence[Budget], options: Options) -> Allocation:
    """Approach 1 where sizes have no curves: the best size of each range of compute.

    The ranges are the budgets of a table of runs; a best size at an end of its range is no optimum.
    """
    rng = np.random.default_rng(options.seed)
    optima = [_best(budget) for budget in found]
    used = [budget for budget, one in zip(found, optima) if one.found]
    drawn = paired([_redrawn(budget, options.bootstraps, rng) for budget in used])
    samples = {}
    if used and options.bootstraps:
        tokens = [budget.log_tokens(drawn[:, i]) for i, budget in enumerate(used)]
        samples = {"params": {"sizes": drawn}, "tokens": {"sizes": np.stack(tokens, 1)}}
    return allocation("envelope", optima, np.ones(len(used)), samples, options.level)


def _best(budget: Budget) -> Optimum:
    best = int(budget.loss.argmin())
    if not 0 < best < budget.sizes - 1:
        return no_optimum(
            budget.flops, budget.flops_range, budget.sizes, budget.runs, Status.BOUND_HIT,
            f"At {budget.flops:.3g} FLOP the best of {budget.sizes} sizes is the smallest or the "
            "largest; the optimum may lie beyond.",
        )  # fmt: skip
    log_n = budget.log_params[best]
    return Optimum(
        budget.flops, budget.flops_range, float(np.exp(log_n)),
        float(np.exp(budget.log_tokens(log_n))), float(budget.loss[best]),
        dict.fromkeys(("params", "tokens", "loss")), budget.sizes, budget.runs, Status.CONVERGED,
        f"The best of {budget.sizes} sizes, with smaller and larger ones beside it.",
        (np.empty(0), np.empty(0)),
    )  # fmt: skip


def _redrawn(budget: Budget, count: int, rng: np.random.Generator) -> Floats:
    """Log N of the best size of each resample (R,); NaN where it is an end."""
    k = budget.sizes
    present = rng.multinomial(k, np.full(k, 1 / k), size=count) > 0
    best = np.where(present, budget.loss, np.inf).argmin(1)
    first, last = present.argmax(1), k - 1 - present[:, ::-1].argmax(1)
    return np.where((first < best) & (best < last), budget.log_params[best], np.nan)


def _refused(reason: str, optima: Sequence[Optimum] = ()) -> Allocation:
    nothing = tuple(
        Exponent(quantity, np.nan, np.nan, np.nan, Status.TOO_FEW_POINTS, reason)
        for quantity in ("params", "tokens")
    )
    return Allocation("envelope", tuple(optima), nothing, 0)
