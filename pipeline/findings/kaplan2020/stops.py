"""Where early stopping ended runs, in the steps of eq. 5.7's bound: of a batch far above B_crit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.findings.data import Row
from pipeline.kaplan2020 import BatchLaw, DataLaw, StepsLaw, fewest_steps


class Stop(NamedTuple):
    """The lowest loss of a run on a limited dataset, in steps S_min, and the bound of these."""

    run: Row
    steps: float
    bound: float  # infinite where the loss does not suffer from the data
    early: bool  # whether early stopping ended the run

    @property
    def late_enough(self) -> bool:
        return self.steps >= self.bound


def stops(runs: Sequence[Row], steps: StepsLaw, data: DataLaw, batch: BatchLaw) -> list[Stop]:
    """The stop of each run that knows its best step.

    S_c and alpha_S of the bound are those of L(N, S_min), so that the step is made S_min too (eq.
    5.4). The loss L(N, D) is the one measured, and L(N) that of the fitted law of N and D. The
    lowest loss of a run that went on to the planned end, at which the longest ones ended, may have
    been still to come: it was not stopped.
    """
    known = [run for run in runs if run["best_step"] and run["loss"] is not None]
    longest = max((run["steps"] for run in known), default=0)
    found = []
    for run in known:
        fewest = fewest_steps(batch, run["best_step"], run["batch_tokens"], run["loss"])
        excess = max(run["loss"] - float(data.unlimited(run["params"])), 0.0)
        with np.errstate(divide="ignore"):
            bound = steps.Sc / np.float64(excess) ** (1 / steps.alpha_S)
        found.append(Stop(run, float(fewest), float(bound), run["steps"] < longest))
    return found
