"""The bootstrap of a law whose targets are fits themselves: they are measured again on resamples.

Such targets may stem from the same trainings, as critical batches at several losses of one model
do: all of their fronts are of its batch sizes. Drawn as if they were independent, their number
would make intervals as narrow as one likes. So the draw is of what was trained, once for all
targets of a model, and the law is fitted to what each draw makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats
from pipeline.laws.draws import ENOUGH_CLUSTERS, Bootstrap, Clusters
from pipeline.laws.profile import Problem
from pipeline.laws.resample import carry
from pipeline.laws.surface import Minima, minimise


class Remeasured(NamedTuple):
    """Log targets (R, n) of runs ``cell`` (n,) on R draws; NaN where a draw leaves none.

    ``model`` (n,) numbers from 0 the models whose batch sizes were drawn, ``batch_sizes`` says how
    many each has. A target is a fit of ``carried`` parameters to them.
    """

    cell: tuple[str, ...]
    logs: Floats
    model: NDArray[np.intp]
    batch_sizes: tuple[int, ...]
    carried: int

    def take(self, cells: Sequence[str]) -> Remeasured:
        """Those of some runs, in their order."""
        at = {cell: i for i, cell in enumerate(self.cell)}
        rows = [at[cell] for cell in cells]
        kept, model = np.unique(self.model[rows], return_inverse=True)
        sizes = tuple(self.batch_sizes[number] for number in kept)
        return Remeasured(tuple(cells), self.logs[:, rows], model, sizes, self.carried)

    def clusters(self) -> Clusters:
        """What was drawn, as the card of the fit tells it."""
        count, models = sum(self.batch_sizes), len(self.batch_sizes)
        what = f"{count} batch sizes of {models} model{'s' * (models != 1)}"
        reason = (
            f"The {what} are drawn, once for all losses of a model, and its critical batches are "
            "measured again on each draw. What models differ by is not drawn."
        )
        refused = count < ENOUGH_CLUSTERS
        if refused:
            reason = (
                f"No intervals: these targets are of {what}, and {ENOUGH_CLUSTERS} or more are "
                "needed to draw from. Add batch sizes or models."
            )
        return Clusters(
            self.model, Bootstrap.BATCH_SIZES, reason, count, refused, self.batch_sizes,
            self.carried,
        )  # fmt: skip


def refitted(problem: Problem, logs: Floats) -> Minima:
    """The law fitted to the log targets (R, n) of every draw, weighted as in its fit.

    A target that a draw left out counts nothing in it. A draw that leaves fewer targets than the
    law has parameters, or one value of an input, is not converged and has no parameters (NaN). Each
    starts at the fit to all: these laws are linear in logarithms and have one minimum.
    """
    law, there = problem.law, np.isfinite(logs)
    sound = carry(there, problem.x, len(law.parameters))
    found = Minima(
        np.full((len(logs), len(law.parameters)), np.nan), np.full(len(logs), np.nan),
        np.zeros(len(logs), dtype=bool),
    )  # fmt: skip
    if not sound.any():
        return found
    ended = minimise(
        law, problem.x, np.where(there, logs, problem.y)[sound], there[sound] * problem.weights,
        np.repeat(problem.theta[None], sound.sum(), 0), problem.objective,
    )  # fmt: skip
    found.theta[sound], found.objective[sound] = ended.theta, ended.objective
    found.converged[sound] = ended.converged
    return found
