"""Approach 3 beside the others: what fitted laws of N and D say at the same budgets.

Under C = 6 N D this is the law's own optimum. Where compute counts attention and head, a token of a
small model costs more than 6 N, and the law is minimised along the budget as it was spent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.approaches.allocation import Allocation, Optimum, allocation, no_optimum, widest
from pipeline.approaches.budgets import Budget
from pipeline.laws.base import Floats, Status, SurfaceLaw, Values
from pipeline.laws.optimum import polished

POINTS = 241  # sizes along a budget where the law is evaluated
REACH = np.log(30.0)  # beyond the budget's sizes, on both sides
SIX = 1e-6  # relative: rates nearer to 6 are 6
CURVE = 60  # points along the line that is drawn


def surface(
    law: SurfaceLaw, values: Mapping[str, float], replicates: Mapping[str, Floats],
    found: list[Budget], level: float,
) -> Allocation:  # fmt: skip
    """The optima of a fitted law at the budgets, with those of its replicates (R,)."""
    best = {name: np.asarray(value, float)[None] for name, value in values.items()}
    optima, logs = [], []
    for budget in found:
        log_n, loss = _split(law, best, budget)
        drawn_n, drawn_loss = _split(law, replicates, budget)
        optima.append(
            _optimum(law, budget, best, (log_n[0], loss[0]), (drawn_n, drawn_loss), level)
        )
        if optima[-1].found:
            logs.append((drawn_n, budget.log_tokens(drawn_n)))
    samples = {}
    if logs and len(logs[0][0]):
        for i, quantity in enumerate(("params", "tokens")):
            samples[quantity] = {"cases": np.stack([pair[i] for pair in logs], 1)}
    return allocation(law.name, optima, np.ones(len(logs)), samples, level)


def _split(law: SurfaceLaw, values: Values, budget: Budget) -> tuple[Floats, Floats]:
    """Log N* and loss of a budget for each of R values; NaN where the law has no optimum."""
    count = len(next(iter(values.values()), ()))
    if not count:
        return np.empty(0), np.empty(0)
    with np.errstate(all="ignore"):  # a wild replicate may overflow
        if np.abs(np.exp(budget.log_rate) / 6 - 1).max() < SIX:
            best = law.optimum(values, np.asarray(budget.flops))
            return np.log(best.params), np.asarray(best.loss)
        return _searched(law, values, budget)


def _searched(law: SurfaceLaw, values: Values, budget: Budget) -> tuple[Floats, Floats]:
    """The lowest point of the law along the budget: a scan, then Newton steps on the slope."""
    x = np.linspace(budget.log_params[0] - REACH, budget.log_params[-1] + REACH, POINTS)

    def log_loss(log_n: Floats) -> Floats:
        return np.log(_along(law, values, budget, log_n))

    scan = np.broadcast_to(x, (len(next(iter(values.values()))), POINTS))
    height = log_loss(scan)
    at = np.where(np.isfinite(height), height, np.inf).argmin(1)
    inside = (at > 0) & (at < POINTS - 1)
    log_n, lowest = polished(log_loss, scan, np.clip(at, 1, POINTS - 2), inside)
    return log_n, np.exp(lowest)


def _along(law: SurfaceLaw, values: Values, budget: Budget, x: Floats) -> Floats:
    """The loss of each of R laws at sizes exp(x) (R, m), or (m,) of all, on a budget: (R, m)."""
    return law.predict(values, {"params": np.exp(x), "tokens": np.exp(budget.log_tokens(x))})


def _optimum(
    law: SurfaceLaw, budget: Budget, best: Values, point: tuple[float, float],
    drawn: tuple[Floats, Floats], level: float,
) -> Optimum:  # fmt: skip
    log_n, loss = point
    if not (np.isfinite(log_n) and np.isfinite(loss)):
        reason = f"At {budget.flops:.3g} FLOP the fitted law has no optimum."
        return no_optimum(
            budget.flops, budget.flops_range, budget.sizes, budget.runs,
            Status.UNIDENTIFIABLE, reason,
        )  # fmt: skip
    log_d = budget.log_tokens(drawn[0])
    samples = {"params": np.exp(drawn[0]), "tokens": np.exp(log_d), "loss": drawn[1]}
    x = np.linspace(budget.log_params[0], budget.log_params[-1], CURVE)
    return Optimum(
        budget.flops, budget.flops_range, float(np.exp(log_n)),
        float(np.exp(budget.log_tokens(log_n))), float(loss),
        {name: widest({"cases": sample}, level) for name, sample in samples.items()},
        budget.sizes, budget.runs, Status.CONVERGED, "The optimum of the fitted law.",
        (np.exp(x), _along(law, best, budget, x)[0]),
    )  # fmt: skip
