"""The global optimum of a law on a table of runs: starts that fill a box, all moved at once."""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Floats, Law
from pipeline.laws.objective import Objective
from pipeline.laws.surface import Minima, minimise, spread

STARTS = 64  # nine in ten end in one minimum on published and measured grids


def search(
    law: Law, x: Floats, y: Floats, weights: Floats, objective: Objective, starts: int,
    rng: np.random.Generator,
) -> Minima:  # fmt: skip
    """Where each start ended: centred log inputs x (K, n), log targets y (n,), weights (n,)."""
    places = spread(law.start_box(y), starts, rng)
    shared = np.broadcast_to(weights, (len(places), len(y)))
    return minimise(law, x, y, shared, places, objective)
