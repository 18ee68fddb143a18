"""The compute optimum of any law of N and D, by a search that needs nothing but the law.

Along a budget C = 6 N D the loss is a function of log N alone. Every law, replicate and budget is
searched at once: a scan brackets the lowest minimum and safeguarded Newton steps (a step that
leaves the bracket is replaced by a bisection) find where the slope is zero. Slopes are central
differences of the log loss: at a spacing of 1e-4 both their rounding and their truncation are
about 1e-12, which places N* to about 1e-9 of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipeline.laws.base import SurfaceLaw

Floats = NDArray[np.float64]
LogLoss = Callable[[Floats], Floats]  # log N (M, k) -> log loss (M, k)

SCAN = 64  # points on a budget, from one parameter to one token
SPACING = 1e-4  # natural log of N, of the differences
SPAN = 0.05  # natural log of the budget, to either side of where its exponent is taken
STEPS = 60  # bisection alone needs 40 to reach ENOUGH from the widest bracket
ENOUGH = 1e-10  # natural log of N: a step below this ends the search
CHUNK = 1_000_000  # numbers evaluated at once


def log_optimum(
    law: SurfaceLaw, values: Mapping[str, Floats], flops: Floats, fixed: Mapping[str, Floats]
) -> tuple[Floats, Floats]:
    """Natural logs of N* and of the loss there; values, flops and fixed broadcast together.

    ``fixed`` holds the law's inputs besides N and D; one that is left out is without limit. Of
    several minima between one parameter and one token the lowest counts, and NaN stands where
    there is none. An end may lie lower still: a form that bends can promise a low loss to models
    that see next to nothing.
    """
    names = [parameter.name for parameter in law.parameters]
    given: dict[str, Any] = {**law.unlimited, **fixed}
    further = [name for name in law.inputs if name not in ("params", "tokens")]
    columns = np.broadcast_arrays(
        flops, *(values[name] for name in names), *(given[name] for name in further)
    )
    shape = columns[0].shape
    rows = np.stack([np.ravel(column).astype(float) for column in columns])  # (.., M)
    found = np.full((2, rows.shape[1]), np.nan)
    width = max(1, CHUNK // SCAN)
    for first in range(0, rows.shape[1], width):
        part = slice(first, first + width)
        known = np.isfinite(rows[: 1 + len(names), part]).all(0) & (rows[0, part] > 6)
        budget, *parameters = rows[: 1 + len(names), part][:, known]
        rest = np.log(rows[1 + len(names) :, part][:, known])
        loss = _along(law, dict(zip(names, parameters)), np.log(budget / 6), rest)
        found[:, first + np.flatnonzero(known)] = _lowest(loss, np.log(budget / 6))
    return found[0].reshape(shape), found[1].reshape(shape)


def exponent(
    law: SurfaceLaw, values: Mapping[str, Floats], flops: Floats, fixed: Mapping[str, Floats]
) -> Floats:
    """The local exponent a of N* ~ C^a at each budget, as a central difference."""
    below, above = (
        log_optimum(law, values, flops * np.exp(side * SPAN), fixed)[0] for side in (-1, 1)
    )
    return (above - below) / (2 * SPAN)


def _along(law: SurfaceLaw, values: Mapping[str, Floats], budget: Floats, rest: Floats) -> LogLoss:
    """Log loss of M laws at log N (M, k) on budgets log N + log D (M,); NaN becomes infinite."""
    theta = law.theta(values)
    others = iter(rest)
    held = {name: next(others) for name in law.inputs if name not in ("params", "tokens")}

    def log_loss(log_n: Floats) -> Floats:
        inputs = {"params": log_n, "tokens": budget[:, None] - log_n}
        inputs |= {name: np.broadcast_to(row[:, None], log_n.shape) for name, row in held.items()}
        with np.errstate(all="ignore"):  # an end of the scan may overflow; it is then no minimum
            found = law.log_target(theta, np.stack([inputs[name] for name in law.inputs]))
        return np.where(np.isnan(found), np.inf, found)

    return log_loss


def _lowest(log_loss: LogLoss, budget: Floats) -> tuple[Floats, Floats]:
    """Log N and log loss (M,) of the lowest minimum inside each budget (M,); NaN without one."""
    scan = budget[:, None] * np.linspace(0.0, 1.0, SCAN)
    height = log_loss(scan)
    lower = (height[:, 1:-1] < height[:, :-2]) & (height[:, 1:-1] <= height[:, 2:])
    at = 1 + np.where(lower, height[:, 1:-1], np.inf).argmin(1)
    return polished(log_loss, scan, at, np.asarray(lower.any(1)))


def polished(
    log_loss: LogLoss, scan: Floats, at: NDArray[np.intp], inside: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Log N and log loss (M,) of the minima next to the points ``at`` (M,) of scans (M, k).

    They are sought between the points on either side; NaN where ``inside`` (M,) says there is none.
    """
    rows = np.arange(len(at))
    here = scan[rows, at]
    low, high = scan[rows, at - 1], scan[rows, at + 1]
    for _ in range(STEPS):
        below, mid, above = log_loss(here[:, None] + SPACING * np.array([-1.0, 0.0, 1.0])).T
        slope = (above - below) / (2 * SPACING)
        bend = (above - 2 * mid + below) / SPACING**2
        low, high = np.where(slope < 0, here, low), np.where(slope > 0, here, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = here - slope / bend
        there = np.where((bend > 0) & (step > low) & (step < high), step, (low + high) / 2)
        there = np.where(slope == 0, here, there)
        moved, here = np.abs(there - here), there
        if not (moved[inside] > ENOUGH).any():
            break
    return np.where(inside, here, np.nan), np.where(inside, log_loss(here[:, None])[:, 0], np.nan)
