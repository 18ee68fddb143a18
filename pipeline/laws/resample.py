"""Case bootstrap: the law fitted again on runs drawn with replacement (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Law
from pipeline.laws.objective import Objective
from pipeline.laws.surface import ELEMENTS, Minima, minimise

SCOUTS = 24  # replicates that are searched from many starts, to find basins for the others
SCOUT_STARTS = 8
SCOUTED = 10_000  # runs; resamples of more hardly differ from all runs, whose basins are known
ROUNDS = 8  # of exchange between replicates; two or three suffice
DRAWS = 50  # times a resample without enough distinct runs is drawn again
GAIN = 1e-9  # relative; a smaller one is rounding
ROWS = 16  # blocks of the solver in one block of the exchange, whose products use them once
HIGHEST = 1e30  # loss of a run that single precision can still add up
WILD = 1e300  # loss of a run where the law overflows


def resamples(
    x: Floats, enough: int, count: int, rng: np.random.Generator,
    clusters: NDArray[np.intp] | None = None,
) -> Floats:  # fmt: skip
    """How often each run is drawn: (count, n) from log inputs (K, n).

    ``clusters`` (n,), numbered from 0, are drawn whole; without them, each run is its own. A
    resample that cannot carry the fit, with fewer than ``enough`` distinct runs or only one value
    of an input that has several, is drawn again; those that stay so are left out, so the result
    may have fewer rows.
    """
    n = x.shape[1]
    of = np.arange(n) if clusters is None else clusters
    size = int(of.max()) + 1

    def sound(weights: Floats) -> NDArray[np.bool_]:
        parts = [carry(weights[part] > 0, x, enough) for part in blocks(len(weights), n)]
        return np.concatenate([np.empty(0, dtype=bool), *parts])

    def drawn(count: int) -> Floats:
        weights = np.empty((count, n))
        for part in blocks(count, n):
            rows = len(weights[part])
            weights[part] = rng.multinomial(size, np.full(size, 1 / size), size=rows)[:, of]
        return weights

    weights = drawn(count)
    for _ in range(DRAWS):
        bad = np.flatnonzero(~sound(weights))
        if not bad.size:
            break
        weights[bad] = drawn(bad.size)
    kept = sound(weights)
    return weights if kept.all() else weights[kept]


def carry(taken: NDArray[np.bool_], x: Floats, enough: int) -> NDArray[np.bool_]:
    """Which resamples (R,) carry a fit, by the runs that each took (R, n)."""
    good = np.asarray(taken.sum(1) >= min(enough, x.shape[1]))
    for row in np.round(x, 9):
        if np.ptp(row) > 0:
            top = np.where(taken, row, -np.inf).max(1)
            good &= top > np.where(taken, row, np.inf).min(1)
    return good


def blocks(count: int, runs: int) -> Iterator[slice]:
    """Some resamples at a time, so that what is computed of them needs little memory."""
    size = max(1, ELEMENTS * ROWS // runs)
    return (slice(first, first + size) for first in range(0, count, size))


def replicates(
    law: Law, x: Floats, y: Floats, weights: Floats, optimum: Floats, objective: Objective,
    scouts: Floats,
) -> Minima:  # fmt: skip
    """The law fitted to every resample, weights (R, n), starting at the optimum (P,) of all runs.

    The optimum of all runs is a good start for most resamples and a trap for some. So a few
    resamples are searched from ``scouts`` (S, P) too, and then every replicate looks at where the
    others ended: one matrix product gives the objective of each replicate at each of those points,
    and whoever is better off elsewhere starts again from there, until nobody is. No resample gives
    no replicate.
    """
    if not len(weights):
        return Minima(np.empty((0, len(optimum))), np.empty(0), np.empty(0, dtype=bool))
    held = minimise(law, x, y, weights, np.repeat(optimum[None], len(weights), 0), objective)
    revived = law.revived(held.theta, y)
    trapped = np.flatnonzero((revived != held.theta).any(-1))
    held, _ = _restarted(law, x, y, weights, held, trapped, revived[trapped], objective)
    few = weights[:SCOUTS] if len(y) <= SCOUTED else weights[:0]
    found = minimise(
        law, x, y, np.repeat(few, len(scouts), 0), np.tile(scouts, (len(few), 1)), objective
    )
    pool = np.concatenate([held.theta, found.theta])
    for _ in range(ROUNDS):
        elsewhere, at = _cheapest(law, x, y, weights, pool, objective)
        moved = np.flatnonzero(elsewhere < held.objective * (1 - GAIN))
        if not moved.size:
            break
        held, pool = _restarted(law, x, y, weights, held, moved, pool[at[moved]], objective)
    return held


def _restarted(
    law: Law, x: Floats, y: Floats, weights: Floats, held: Minima, rows: NDArray[np.intp],
    starts: Floats, objective: Objective,
) -> tuple[Minima, Floats]:  # fmt: skip
    """The minima with some replicates started again, the better end of each; and the new ends."""
    if not rows.size:
        return held, starts
    again = minimise(law, x, y, weights[rows], starts, objective)
    better = again.objective < held.objective[rows]
    theta, lowest, converged = held.theta.copy(), held.objective.copy(), held.converged.copy()
    theta[rows[better]] = again.theta[better]
    lowest[rows[better]] = again.objective[better]
    converged[rows[better]] = again.converged[better]
    return Minima(theta, lowest, converged), again.theta


def _cheapest(
    law: Law, x: Floats, y: Floats, weights: Floats, pool: Floats, objective: Objective
) -> tuple[Floats, NDArray[np.intp]]:
    """For each replicate where in the pool its objective is lowest, and that objective: (R,), (R,).

    Single precision looks for the place, half the work; places that it cannot tell apart are as
    good as one another.
    """
    best = np.full(len(weights), np.inf, dtype=np.float32)
    at = np.zeros(len(weights), dtype=np.intp)
    each = np.arange(len(weights))
    halved = weights.astype(np.float32)
    size = max(1, ELEMENTS * ROWS // max(len(weights), len(y)))
    for first in range(0, len(pool), size):
        cost = _costs(law, x, y, pool[first : first + size], objective)
        total = halved @ np.minimum(cost, HIGHEST).astype(np.float32).T
        low = total.argmin(1)
        at = np.where(total[each, low] < best, first + low, at)
        best = np.minimum(best, total[each, low])
    exact = np.empty(len(weights))
    for part in blocks(len(weights), len(y)):
        places, row = np.unique(at[part], return_inverse=True)
        cost = _costs(law, x, y, pool[places], objective)
        exact[part] = np.vecdot(weights[part], cost[row])
    return exact, at


def _costs(law: Law, x: Floats, y: Floats, pool: Floats, objective: Objective) -> Floats:
    """The loss of every run at every place (B, n); without one where the law overflows."""
    with np.errstate(all="ignore"):  # where another replicate ended, this one may overflow
        cost = objective.cost(y - law.log_target(pool, x))
    return np.where(np.isfinite(cost), cost, WILD)
