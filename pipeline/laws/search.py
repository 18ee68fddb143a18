"""The global optimum of a law on a table of runs: starts that fill a box, all moved at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Law
from pipeline.laws.objective import Objective
from pipeline.laws.places import moves
from pipeline.laws.surface import FAR, NEAR, Minima, minimise, spread

STARTS = 64  # nine in ten end in one minimum on published and measured grids
ROWS = 10_000  # a larger table is searched on so many of its rows first
BASINS = 8  # of that search, from the lowest, that are followed on all rows
SAME = 1e-6  # relative: objectives of one basin
ONE = 1e-3  # natural log: laws of one basin, to first order over the runs


def search(
    law: Law, x: Floats, y: Floats, weights: Floats, objective: Objective, starts: int,
    rng: np.random.Generator,
) -> Minima:  # fmt: skip
    """Where each start ended: centred log inputs x (K, n), log targets y (n,), weights (n,).

    Of a table of more than ``ROWS`` rows, a sample spread evenly over the inputs shows the basins,
    and each of the lowest is followed on all rows, once for all the starts that ended in it. Starts
    in others are not followed: their objective is infinite and they have not converged.
    """
    places = spread(law.start_box(y), starts, rng)
    if len(y) <= ROWS:
        return _ended(law, x, y, weights, places, objective)
    rows = _sample(x, rng)
    rough = _ended(law, x[:, rows], y[rows], weights[rows], places, objective)
    first, basin = _basins(law, x[:, rows], rough)
    followed = _ended(law, x, y, weights, rough.theta[first], objective, NEAR)
    theta, lowest = rough.theta.copy(), np.full(starts, np.inf)
    converged = np.zeros(starts, dtype=bool)
    kept = basin < len(first)
    theta[kept] = followed.theta[basin[kept]]
    lowest[kept] = followed.objective[basin[kept]]
    converged[kept] = followed.converged[basin[kept]]
    return Minima(theta, lowest, converged)


def _ended(
    law: Law, x: Floats, y: Floats, weights: Floats, places: Floats, objective: Objective,
    damping: float = FAR,
) -> Minima:  # fmt: skip
    shared = np.broadcast_to(weights, (len(places), len(y)))
    return minimise(law, x, y, shared, places, objective, damping)


def _sample(x: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """About ``ROWS`` rows of x (K, n), evenly spaced in the order of the inputs."""
    order = np.lexsort(x[::-1])
    step = len(order) / ROWS
    return order[(rng.random() * step + np.arange(ROWS) * step).astype(np.intp)]


def _basins(law: Law, x: Floats, found: Minima) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The best start in each of the lowest basins, and the basin of each start (B,), from 0.

    Starts of one basin have one objective and, to first order, one law: where two terms may change
    places, both ways fit alike.
    """
    order, lowest = np.argsort(found.objective), found.objective
    basin = np.full(len(order), BASINS)
    first: list[int] = []
    while len(first) < BASINS and (basin == BASINS).any():
        best = int(order[np.argmax(basin[order] == BASINS)])
        if not np.isfinite(lowest[best]):
            break
        alike = lowest <= lowest[best] * (1 + SAME)
        alike &= moves(law, x, found.theta[best], found.theta) <= ONE
        alike[best] = True
        basin[alike & (basin == BASINS)] = len(first)
        first.append(best)
    return np.array(first, dtype=np.intp), basin
