"""The solver behind every law: robust regression of log losses, many problems at once.

A problem is one start on one weighting of the runs. All problems of a fit, starts and bootstrap
replicates alike, share the inputs and move together as arrays; those that are done drop out.

The objective is the sum over runs of w Huber_delta(log observed - log predicted): quadratic within
delta and linear beyond, so that delta -> infinity is least squares and delta -> 0 least absolute
deviations. It is a sum, not a mean, as in Hoffmann et al. 2022 (arXiv:2203.15556, section 3.3); a
mean makes general-purpose solvers stop early (Besiroglu et al. 2024, arXiv:2404.10102).

Each step solves (H + damping M) step = -gradient, where H is the exact Hessian and M that of the
reweighted least-squares problem lying above the objective (Huber's weights): undamped it is
Newton's method, which ends in a few steps; fully damped it is a short step of Gauss-Newton, which
is safe anywhere. M carries the units of theta, so the path does not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Law
from pipeline.laws.objective import Objective

ELEMENTS = 4_000_000  # numbers in the largest array of a batch: 32 MB
ITERATIONS = 500
DECREASE = 1e-13  # a Newton step that promises less, relative to the objective, ends the search
LENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01)  # of a step, tried in turn
LEAST = 1e-9  # damping below this is none
ROUNDING = 1e-28  # per run: residuals of 1e-14 are rounding
STALLED = 1e12  # damping at which no step improves the objective
RIDGE = 1e-13  # relative to the diagonal: keeps the system of an unidentifiable law solvable


@dataclass(frozen=True)
class Minima:
    """Where each of B problems ended: theta (B, P), objective (B,), whether it converged (B,)."""

    theta: Floats
    objective: Floats
    converged: NDArray[np.bool_]

    def best(self) -> int:
        """The problem with the lowest objective."""
        return int(np.argmin(self.objective))


class _Normal(NamedTuple):
    """The local quadratic models of the objective: gradient (B, P), Hessian and majoriser."""

    gradient: Floats
    hessian: Floats
    majoriser: Floats


def minimise(
    law: Law, x: Floats, y: Floats, weights: Floats, starts: Floats, objective: Objective
) -> Minima:
    """Solve B problems: x (K, n) log inputs, y (n,) log losses, weights (B, n), starts (B, P).

    Raises ValueError where an input is not finite.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("inputs and losses must be positive and finite")
    size = max(1, ELEMENTS // (starts.shape[1] * len(y)))
    parts = [
        _minimise(law, x, y, weights[i : i + size], starts[i : i + size], objective)
        for i in range(0, len(starts), size)
    ]
    return Minima(
        np.concatenate([part.theta for part in parts]),
        np.concatenate([part.objective for part in parts]),
        np.concatenate([part.converged for part in parts]),
    )


def _minimise(
    law: Law, x: Floats, y: Floats, weights: Floats, starts: Floats, objective: Objective
) -> Minima:
    theta = starts.astype(float)
    lowest = _objective(law, theta, x, y, weights, objective)
    damping = np.ones(len(theta))
    converged = np.zeros(len(theta), dtype=bool)
    active = np.flatnonzero(np.isfinite(lowest))
    for _ in range(ITERATIONS):
        if not active.size:
            break
        here = theta[active]
        share = weights[active]
        local = _normal(law, here, x, y, share, objective)
        step, promise = _step(local, damping[active])
        length, reached = _walked(law, here, step, lowest[active], x, y, share, objective)
        # Only a nearly undamped step says how far the minimum is.
        enough = DECREASE * lowest[active] + ROUNDING * share.sum(-1)
        done = (np.abs(promise) <= enough) & (damping[active] <= 1.0)
        theta[active] = here + length[:, None] * step
        lowest[active] = reached
        damping[active] *= np.where(length == 1.0, 0.1, np.where(length > 0.0, 1.0, 8.0))
        damping[active] = np.where(
            damping[active] < LEAST, np.where(length > 0.0, 0.0, 1e3 * LEAST), damping[active]
        )
        converged[active[done]] = True
        active = active[~done & (damping[active] < STALLED)]
    return Minima(theta, lowest, converged)


def _walked(
    law: Law, here: Floats, step: Floats, lowest: Floats, x: Floats, y: Floats, weights: Floats,
    objective: Objective,
) -> tuple[Floats, Floats]:  # fmt: skip
    """How much of each step to take (0 where none of it helps), and the objective there.

    A step may cross residuals that enter delta, where the objective bends at once; a part of it
    leads there, and the next step knows.
    """
    length, reached = np.zeros(len(here)), lowest.copy()
    rest = np.arange(len(here))
    for part in LENGTHS:
        trial = _objective(law, here[rest] + part * step[rest], x, y, weights[rest], objective)
        better = trial < lowest[rest]
        length[rest[better]], reached[rest[better]] = part, trial[better]
        rest = rest[~better]
        if not rest.size:
            break
    return length, reached


def _objective(
    law: Law, theta: Floats, x: Floats, y: Floats, weights: Floats, objective: Objective
) -> Floats:
    with np.errstate(all="ignore"):  # a wild trial may overflow; it is then not taken
        total = (weights * objective.cost(y - law.log_target(theta, x))).sum(-1)
    return np.where(np.isnan(total), np.inf, total)


def _normal(
    law: Law, theta: Floats, x: Floats, y: Floats, weights: Floats, objective: Objective
) -> _Normal:
    around = law.expansion(theta, x)
    residual = y - around.value
    slope = weights * objective.slope(residual)
    rows = around.gradient
    columns = np.swapaxes(rows, -1, -2)
    gradient = -(rows @ slope[..., None])[..., 0]
    inside = (rows * (weights * objective.bend(residual))[..., None, :]) @ columns
    reweighted = weights * objective.reweighting(residual)
    majoriser = (rows * reweighted[..., None, :]) @ columns
    return _Normal(gradient, inside - around.curvature(slope), majoriser)


def _step(local: _Normal, damping: Floats) -> tuple[Floats, Floats]:
    """The steps (B, P) and the decrease each promises (B,); a system without solution stays put."""
    with np.errstate(all="ignore"):
        matrix = local.hessian + damping[:, None, None] * local.majoriser
        diagonal = np.einsum("bpp->bp", matrix)  # a view: the ridge is added in place
        diagonal += RIDGE * np.einsum("bpp->bp", local.majoriser) + np.finfo(float).tiny
        try:
            step = -np.linalg.solve(matrix, local.gradient[..., None])[..., 0]
        except np.linalg.LinAlgError:  # one of the batch is singular to the last bit
            step = -(np.linalg.pinv(matrix, hermitian=True) @ local.gradient[..., None])[..., 0]
        promise = -(local.gradient * step).sum(-1)
    unsolved = ~np.isfinite(promise)
    return np.where(unsolved[:, None], 0.0, step), np.where(unsolved, np.inf, promise)


def spread(box: tuple[Floats, Floats], count: int, rng: np.random.Generator) -> Floats:
    """``count`` points (count, P) that fill a box evenly: a randomly shifted additive recurrence.

    The step of dimension i is g^-i with g the root of g^(P+1) = g + 1, the golden ratio's kin.
    """
    low, high = box
    g = 1.5
    for _ in range(64):
        g = (1.0 + g) ** (1.0 / (len(low) + 1))
    steps = g ** -np.arange(1.0, len(low) + 1)
    unit = (rng.random(len(low)) + np.arange(count)[:, None] * steps) % 1.0
    return low + unit * (high - low)
