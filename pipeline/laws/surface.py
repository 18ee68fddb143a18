"""The solver behind every law: robust regression of log targets, many problems at once.

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

A trial gives the objective and, where it is taken, the model of the next step from the same
exponentials. Arrays are cut to blocks of problems and runs that stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Law
from pipeline.laws.local import Normal, Prepared
from pipeline.laws.objective import Objective

ELEMENTS = 32_768  # problems times runs in one block: arrays of 256 kB
RUNS = 16_384  # most runs in one block
ITERATIONS = 500
DECREASE = 1e-13  # a Newton step that promises less, relative to the objective, ends the search
AGREED = 1e-8  # so does one that promised less and kept its promise, for the next is its square
LENGTHS = (0.3, 0.1, 0.03, 0.01)  # of a step, tried in turn where all of it does not help
FAR, NEAR = 1.0, 1e-3  # damping to begin with: from anywhere, and from the optimum of all runs
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


@dataclass(frozen=True)
class _Table:
    """Runs and their weights (B, n), in blocks of runs prepared for the law."""

    blocks: tuple[tuple[slice, Prepared], ...]
    y: Floats
    weights: Floats
    objective: Objective

    @classmethod
    def of(cls, law: Law, x: Floats, y: Floats, weights: Floats, objective: Objective) -> _Table:
        parts = [slice(i, i + RUNS) for i in range(0, y.shape[-1], RUNS)]
        return cls(tuple((part, law.prepared(x[:, part])) for part in parts), y, weights, objective)

    def slices(self, count: int) -> Iterator[slice]:
        """Blocks of ``count`` problems."""
        size = max(1, ELEMENTS // min(self.y.shape[-1], RUNS))
        return (slice(i, i + size) for i in range(0, count, size))

    def observed(self, problems: NDArray[np.intp], runs: slice) -> Floats:
        """Log targets of a block of runs, which problems share (m,) or have each its own (b, m)."""
        return self.y[runs] if self.y.ndim == 1 else self.y[problems, runs]

    def cost(self, problems: NDArray[np.intp], theta: Floats) -> Floats:
        """Objectives (b,) of some problems at theta (b, P)."""
        total = np.zeros(len(problems))
        with np.errstate(all="ignore"):  # a wild trial may overflow; it is then not taken
            for part in self.slices(len(problems)):
                for runs, around in self.blocks:
                    residual = self.observed(problems[part], runs) - around.value(theta[part])
                    cost = self.objective.cost(residual)
                    total[part] += np.vecdot(self.weights[problems[part], runs], cost)
        return np.where(np.isnan(total), np.inf, total)

    def model(self, problems: NDArray[np.intp], theta: Floats) -> tuple[Floats, Normal]:
        """The same, with the quadratic model of the objective there."""
        size = theta.shape[1]
        total = np.zeros(len(problems))
        normal = Normal(*(np.zeros((len(problems), *s)) for s in [(size,), *[(size, size)] * 2]))
        with np.errstate(all="ignore"):
            for part in self.slices(len(problems)):
                for runs, around in self.blocks:
                    here = around.local(theta[part])
                    weights = self.weights[problems[part], runs]
                    cost, slope, bend, above = self.objective.parts(
                        self.observed(problems[part], runs) - here.value, weights
                    )
                    total[part] += cost
                    for whole, piece in zip(normal, here.normal(slope, bend, above)):
                        whole[part] += piece
        return np.where(np.isnan(total), np.inf, total), normal


def minimise(
    law: Law, x: Floats, y: Floats, weights: Floats, starts: Floats, objective: Objective,
    damping: float = FAR, iterations: int = ITERATIONS,
) -> Minima:  # fmt: skip
    """Solve B problems: x (K, n) log inputs, y (n,) log losses, weights (B, n), starts (B, P).

    Where problems have losses of their own, y is (B, n).
    ``damping`` is that of the first step: ``NEAR`` where starts are near their minima. Raises
    ValueError where an input is not finite, or a weight neither zero nor positive and finite.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("inputs and losses must be positive and finite")
    # The least and the largest of weights that are not numbers are none either.
    if weights.size and not (weights.min() >= 0 and weights.max() < np.inf):
        raise ValueError("weights of runs must be zero or positive, and finite")
    table = _Table.of(law, x, y, weights, objective)
    return _Descent(table, starts.astype(float), damping).ended(iterations)


class _Descent:
    """The state of all problems on their way down."""

    def __init__(self, table: _Table, starts: Floats, damping: float) -> None:
        self.table, self.theta = table, starts
        everything = np.arange(len(starts))
        self.lowest, self.normal = table.model(everything, starts)
        self.damping = np.full(len(starts), damping)
        self.converged = np.zeros(len(starts), dtype=bool)
        self.rounding = ROUNDING * table.weights.sum(-1)

    def ended(self, iterations: int) -> Minima:
        """Where the problems end."""
        active = np.flatnonzero(np.isfinite(self.lowest))
        for _ in range(iterations):
            if not active.size:
                break
            done = self.advanced(active)
            self.converged[active[done]] = True
            active = active[~done & (self.damping[active] < STALLED)]
        return Minima(self.theta, self.lowest, self.converged)

    def advanced(self, active: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Move some problems by a step each; which of them are done."""
        damping, before = self.damping[active], self.lowest[active]
        step, promise = _step(self.normal.at(active), damping)
        length = self.walked(active, step)
        gain = before - self.lowest[active]
        # Only a nearly undamped step says how far the minimum is.
        small = (np.abs(promise) <= DECREASE * before + self.rounding[active]) & (damping <= 1.0)
        kept = np.abs(gain - promise / 2) <= 0.01 * promise
        agreed = kept & (promise <= AGREED * before) & (damping <= 1e-3) & (length == 1.0)
        damping = damping * np.where(length == 1.0, 0.1, np.where(length > 0.0, 1.0, 8.0))
        self.damping[active] = np.where(
            damping < LEAST, np.where(length > 0.0, 0.0, 1e3 * LEAST), damping
        )
        return small | agreed

    def walked(self, active: NDArray[np.intp], step: Floats) -> Floats:
        """Take as much of each step as helps; how much that was, 0 where none of it does.

        A step may cross residuals that enter delta, where the objective bends at once; a part of
        it leads there, and the next step knows.
        """
        length = np.zeros(len(active))
        rest = np.arange(len(active))
        here = self.theta[active]
        reached, normal = self.table.model(active, here + step)
        better = reached < self.lowest[active]
        self.settle(active[better], (here + step)[better], reached[better], normal.at(better))
        length[better] = 1.0
        rest = rest[~better]
        for part in LENGTHS:
            if not rest.size:
                break
            trial = self.table.cost(active[rest], here[rest] + part * step[rest])
            better = trial < self.lowest[active[rest]]
            length[rest[better]] = part
            rest = rest[~better]
        cut = np.flatnonzero((length > 0.0) & (length < 1.0))
        if cut.size:
            there = here[cut] + length[cut, None] * step[cut]
            self.settle(active[cut], there, *self.table.model(active[cut], there))
        return length

    def settle(
        self, problems: NDArray[np.intp], theta: Floats, reached: Floats, normal: Normal
    ) -> None:
        """Put some problems to new places."""
        self.theta[problems] = theta
        self.lowest[problems] = reached
        self.normal.put(problems, normal)


def _step(local: Normal, damping: Floats) -> tuple[Floats, Floats]:
    """The steps (B, P) and the decrease each promises (B,); a system without solution stays put."""
    with np.errstate(all="ignore"):
        matrix = local.hessian + damping[:, None, None] * local.majoriser
        diagonal = np.einsum("bpp->bp", matrix)  # a view: the ridge is added in place
        diagonal += RIDGE * np.einsum("bpp->bp", local.majoriser) + np.finfo(float).tiny
        try:
            step = -np.linalg.solve(matrix, local.gradient[..., None])[..., 0]
        except np.linalg.LinAlgError:  # one of the batch is singular to the last bit, or overflows
            finite = np.asarray(np.isfinite(matrix).all((-2, -1)))[:, None]
            inverse = np.linalg.pinv(np.where(finite[..., None], matrix, 0.0), hermitian=True)
            target = np.where(finite, local.gradient, np.nan)
            step = -(inverse @ target[..., None])[..., 0]
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
