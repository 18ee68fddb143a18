"""The power-law step: log-log lines through optima, weighted, all resamples at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Status
from pipeline.laws.interval import interval

LEAST_BUDGETS = 3  # two points lie on every line
FEW = 5  # of fewer points, a line says little of how straight the frontier is
WIDE = 0.5  # an interval as wide as all exponents between 1/4 and 3/4 tells nothing


class Line(NamedTuple):
    """log y = level + slope (log C - log reference): slope and level (R,)."""

    slope: Floats
    level: Floats


class Resampled(NamedTuple):
    """The lines through resampled optima, and the interval of their slope; None where unknown."""

    line: Line
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Exponent:
    """y ~ C^value for y = N* or D*, with the lines of each kind of resampling.

    ``level`` is log y at ``reference`` FLOP. ``resampled`` holds lines and an interval by kind
    (noise, cases, form, sizes); it is empty where there are no resamples.
    """

    quantity: str  # params | tokens
    value: float
    level: float
    reference: float
    status: Status
    reason: str
    resampled: Mapping[str, Resampled] = field(default_factory=dict)


def line(log_c: Floats, log_y: Floats, weights: Floats, centre: float) -> Line:
    """Weighted least squares: log_c (B,), log_y (R, B) with NaN where missing, weights (B,).

    Rows with fewer than two distinct log_c are NaN. ``centre`` is log C of the reference.
    """
    share = np.where(np.isfinite(log_y), weights, 0.0)
    total = share.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = share / total[:, None]
        x, y = log_c - centre, np.nan_to_num(log_y)
        mean_x, mean_y = (share * x).sum(1), (share * y).sum(1)
        away = share * (x - mean_x[:, None])
        spread = (away * (x - mean_x[:, None])).sum(1)
        slope = (away * (y - mean_y[:, None])).sum(1) / np.where(spread > 1e-12, spread, np.nan)
    return Line(slope, mean_y - slope * mean_x)


def paired(samples: list[Floats]) -> Floats:
    """Resamples (R,) of the optima of B budgets as rows (R, B), NaN where there is no minimum.

    A resample's line goes through the budgets that have a minimum in it, as that of the runs does.
    A row with fewer than ``LEAST_BUDGETS`` carries no line and is all NaN.
    """
    if not samples:
        return np.empty((0, 0))
    rows = np.stack(samples, 1)
    carries = np.isfinite(rows).sum(1, keepdims=True) >= LEAST_BUDGETS
    return np.where(carries, rows, np.nan)


def exponent(
    quantity: str, log_c: Floats, log_y: Floats, weights: Floats, samples: Mapping[str, Floats],
    level: float,
) -> Exponent:  # fmt: skip
    """The exponent through optima log_y (B,), weights (B,), samples by kind (R, B)."""
    if len(log_c) < LEAST_BUDGETS:
        return Exponent(
            quantity, np.nan, np.nan, np.nan, Status.TOO_FEW_POINTS,
            f"{len(log_c)} of the budgets have a minimum; an exponent needs {LEAST_BUDGETS} or "
            "more.",
        )  # fmt: skip
    centre = float(log_c.mean())
    best = line(log_c, log_y[None], weights, centre)
    resampled = {
        kind: resampled_line(line(log_c, drawn, weights, centre), level)
        for kind, drawn in samples.items()
    }
    status, reason = judged(len(log_c), resampled)
    return Exponent(
        quantity, float(best.slope[0]), float(best.level[0]), float(np.exp(centre)),
        status, reason, resampled,
    )  # fmt: skip


def resampled_line(drawn: Line, level: float) -> Resampled:
    """Lines with the interval of their slope."""
    low, high = interval(drawn.slope[:, None], level)
    known = bool(np.isfinite(low[0]))
    return Resampled(drawn, float(low[0]) if known else None, float(high[0]) if known else None)


def judged(
    points: int, resampled: Mapping[str, Resampled], named: str = "budgets"
) -> tuple[Status, str]:
    """The status of an exponent through a number of points, which are ``named``, and why."""
    if not any(len(one.line.slope) for one in resampled.values()):
        return Status.CONVERGED, "A line was found; there are no resamples for an interval."
    for kind, one in resampled.items():
        if one.low is None:
            lost = np.isnan(one.line.slope).mean()
            return Status.UNIDENTIFIABLE, (
                f"{100 * lost:.0f} % of the {len(one.line.slope)} resamples of {kind} have no "
                "exponent, so that it has no interval. Add sizes."
            )
    ends = [(r.low, r.high) for r in resampled.values() if r.low is not None and r.high is not None]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    if high - low > WIDE:
        return Status.UNIDENTIFIABLE, (
            f"These runs leave it open: the interval reaches from {low:.3g} to {high:.3g}."
        )
    if points < FEW:
        return Status.CONVERGED, (
            f"Determined, but by {points} {named} only: the true interval is wider than this one."
        )
    return Status.CONVERGED, Status.CONVERGED.sentence
