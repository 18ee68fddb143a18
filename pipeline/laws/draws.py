"""What a bootstrap draws: single runs, all runs of a size, of a budget, or seeds of a design.

A bootstrap answers how the fit would have come out on other runs like these, so it must draw what
was drawn: where the runs of one size share a trunk, or err together because the law bends
elsewhere, they are one draw and not several (cluster bootstrap; Field and Welsh 2007, JRSS B
69:369). Points along the curve of one training are never several. How the intervals of each kind
cover the truth is measured by ``benchmarks/coverage.py``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Runs
from pipeline.laws.resample import resamples
from pipeline.laws.widening import widening

SAME = 0.01  # natural log: counts this close are one, because they are rounded to whole steps
ENOUGH_CLUSTERS = 6  # for auto, and of trainings for any kind; fewer are too few to draw from
FEWEST = 3  # clusters that can be drawn at all
TOGETHER = 0.1  # chance below which auto takes the runs of one size to err together
SAME_BUDGET = 0.03  # and these C are one budget, which whole steps and layers only come near
EXACT = 1e-6  # and these are equal: another shape, or learning rate, is another design
DESIGN = {  # all that makes a run but its seed
    "params": EXACT,
    "tokens": SAME,
    "unique_tokens": SAME,
    "batch_tokens": EXACT,
    "lr": EXACT,
    "bits": EXACT,
}


class Bootstrap(StrEnum):
    """The kinds, and ``auto``, which chooses between size and cases by the runs at hand."""

    AUTO = "auto"
    CASES = "cases"
    SIZE = "size"
    BUDGET = "budget"
    SEED = "seed"
    BATCH_SIZES = "batch_sizes"  # of targets that are fronts of them; no option, see remeasured.py


class Clusters(NamedTuple):
    """Which runs are drawn together (n,), numbered from 0; the kind, and why this one.

    Of points along curves ``trainings`` says how many trainings they are of. Where the clusters
    are ``refused`` nothing is drawn, and the reason says why. Targets that were measured again have
    ``batch_sizes``, how many were drawn of each model, and ``carried``, the parameters of the fits
    that they are.
    """

    of: NDArray[np.intp]
    kind: Bootstrap
    reason: str
    trainings: int | None = None
    refused: bool = False
    batch_sizes: tuple[int, ...] = ()
    carried: int = 0

    @property
    def refusal(self) -> str:
        """Why nothing is drawn; empty where something is."""
        return self.reason if self.refused else ""

    @property
    def number(self) -> int:
        """How many clusters there are, or batch sizes of all models together."""
        return sum(self.batch_sizes) or len(np.unique(self.of))

    def widening(self, level: float, parameters: int) -> float:
        """The factor by which the bootstrap's percentiles are too narrow.

        For n cases n - P degrees of freedom and a variance too small by (n - P)/n; for G clusters
        G - 1 (Cameron and Miller 2015, Journal of Human Resources 50:317) and (G - 1)/G; for seeds
        those of the repeats. For batch sizes those of the model that has fewest, as for cases.
        """
        n, count = len(self.of), self.number
        if self.batch_sizes:
            n, parameters = min(self.batch_sizes), self.carried
            return widening(level, n - parameters, 1 - parameters / n)
        if self.kind is Bootstrap.SEED:
            repeated = np.bincount(self.of)
            runs, several = repeated[repeated > 1].sum(), (repeated > 1).sum()
            return widening(level, runs - several, 1 - several / runs)
        if count == n:
            return widening(level, n - parameters, 1 - parameters / n)
        return widening(level, count - 1, 1 - 1 / count)


def alike(column: Floats, same: float = SAME) -> NDArray[np.intp]:
    """Number, from 0, of the group of each value (n,): neighbours nearer than ``same`` are one."""
    logs = np.log(column)
    order = np.argsort(logs, kind="stable")
    number = np.cumsum(np.diff(logs[order], prepend=logs[order[:1]]) > same)
    groups = np.empty(len(column), dtype=np.intp)
    groups[order] = number
    return groups


def designs(runs: Runs) -> NDArray[np.intp]:
    """Number, from 0, of the design of each run: runs that differ in nothing but the seed."""
    known = [alike(runs.column(name), s) for name, s in DESIGN.items() if name in runs.columns]
    if not (known and len(runs)):
        return np.arange(len(runs))
    return np.unique(np.stack(known), axis=1, return_inverse=True)[1].reshape(-1)


def clusters(
    kind: Bootstrap, runs: Runs, residuals: Floats, sizes_together: bool = False
) -> Clusters:
    """The clusters of a kind; raises ValueError where the runs do not allow it.

    ``residuals`` (n,) of the fit decide for ``auto`` whether runs of one size err together, unless
    the law takes them to (``sizes_together``).
    """
    if runs.curves is not None:
        of = np.unique(np.array(runs.curves), return_inverse=True)[1]
        found = _of_trainings(kind, of, alike(runs.params), residuals)
        return found._replace(trainings=len(np.unique(of)))
    alone = np.arange(len(runs))
    if kind is Bootstrap.CASES or (kind is Bootstrap.AUTO and "params" not in runs.columns):
        return Clusters(alone, Bootstrap.CASES, "Runs are drawn one by one, as if independent.")
    if kind is Bootstrap.SEED:
        return _seeds(designs(runs))
    if kind is Bootstrap.BUDGET:
        return _whole(alike(runs.flops, SAME_BUDGET), kind, "budget")
    of = alike(runs.params)
    if kind is Bootstrap.SIZE:
        return _whole(of, kind, "size")
    return _chosen(of, alone, residuals, sizes_together)


def _chosen(
    of: NDArray[np.intp], alone: NDArray[np.intp], residuals: Floats, sizes_together: bool
) -> Clusters:
    sizes = len(np.unique(of))
    if sizes == len(alone):
        reason = "Runs are drawn one by one: each is of another size."
    elif sizes < ENOUGH_CLUSTERS:
        reason = (
            f"Runs are drawn one by one, for {sizes} size{'s' * (sizes != 1)} are too few to draw "
            "from. Where runs of one size err together, the intervals are too narrow."
        )
    elif sizes_together:
        return _whole(of, Bootstrap.SIZE, "size")
    else:
        chance = alike_by_chance(of, residuals)
        if chance < TOGETHER:
            whole = _whole(of, Bootstrap.SIZE, "size")
            return whole._replace(reason=f"{whole.reason} (F test of the residuals: {chance:.1g})")
        reason = (
            "Runs are drawn one by one: those of one size err no more alike than others "
            f"(F test of the residuals: {chance:.1g})."
        )
    return Clusters(alone, Bootstrap.CASES, reason)


def _of_trainings(
    kind: Bootstrap, of: NDArray[np.intp], size: NDArray[np.intp], residuals: Floats
) -> Clusters:
    """Of points along curves: a case is a training with all its points, however many they are.

    ``of`` and ``size`` (n,) number the training and the size of each point.
    """
    count, sizes = len(np.unique(of)), len(np.unique(size))
    if kind in (Bootstrap.BUDGET, Bootstrap.SEED):
        reason = f"No intervals: points along curves are drawn by trainings or sizes, not by {kind}"
        return Clusters(of, Bootstrap.CASES, f"{reason}; take auto.", refused=True)
    if count < ENOUGH_CLUSTERS:
        reason = (
            f"No intervals: these are points of {count} training{'s' * (count != 1)}, and those of "
            f"one err together; {ENOUGH_CLUSTERS} or more trainings are needed to draw from. Add "
            "sizes, batch sizes or seeds."
        )
        return Clusters(of, Bootstrap.CASES, reason, refused=True)
    if kind is Bootstrap.SIZE:
        return _whole(size, kind, "size")
    reason = f"All points of a training are drawn together, for they err together: {count} of them."
    if kind is Bootstrap.CASES or sizes == count:
        return Clusters(of, Bootstrap.CASES, reason)
    if sizes < ENOUGH_CLUSTERS:
        reason += " Where trainings of one size err together, the intervals are too narrow."
        return Clusters(of, Bootstrap.CASES, reason)
    size_of_each = size[np.unique(of, return_index=True)[1]]
    chance = alike_by_chance(size_of_each, np.bincount(of, residuals) / np.bincount(of))
    told = f"(F test of the trainings' mean residuals: {chance:.1g})"
    if chance < TOGETHER:
        whole = _whole(size, Bootstrap.SIZE, "size")
        return whole._replace(reason=f"{whole.reason} {told}")
    reason += f" Those of one size err no more alike than others {told}."
    return Clusters(of, Bootstrap.CASES, reason)


def alike_by_chance(of: NDArray[np.intp], residuals: Floats) -> float:
    """The chance that independent runs err as much alike within groups (n,): an F test."""
    count = np.bincount(of)
    mean = np.bincount(of, residuals) / count
    within = ((residuals - mean[of]) ** 2).sum()
    between = (count * (mean - residuals.mean()) ** 2).sum()
    groups, freedom = len(count) - 1, len(of) - len(count)
    if not within > 0:
        return 1.0
    return float(scipy.special.fdtrc(groups, freedom, between / groups / (within / freedom)))


def _seeds(of: NDArray[np.intp]) -> Clusters:
    repeated = int((np.bincount(of) > 1).sum())
    if not repeated:
        raise ValueError(
            "--bootstrap seed: no design was run with two seeds; add seeds, or take cases"
        )
    reason = (
        f"Seeds are drawn within the {repeated} designs that have several; designs with one keep "
        "it, so that the interval holds the seeds' noise alone."
    )
    return Clusters(of, Bootstrap.SEED, reason)


def _whole(of: NDArray[np.intp], kind: Bootstrap, what: str) -> Clusters:
    count = len(np.unique(of))
    if count < FEWEST:
        raise ValueError(f"--bootstrap {what}: {count} of them are too few to draw; take cases")
    reason = f"All runs of a {what} are drawn together, for they err together: {count} {what}s."
    return Clusters(of, kind, reason)


def drawn(found: Clusters, x: Floats, enough: int, count: int, rng: np.random.Generator) -> Floats:
    """How often each run is drawn, (count, n) or fewer rows, from log inputs x (K, n)."""
    if found.refused:
        return np.empty((0, len(found.of)))
    if found.kind is not Bootstrap.SEED:
        return resamples(x, enough, count, rng, found.of)
    weights = np.ones((count, len(found.of)))
    for design in np.flatnonzero(np.bincount(found.of) > 1):
        rows = np.flatnonzero(found.of == design)
        equal = np.full(len(rows), 1 / len(rows))
        weights[:, rows] = rng.multinomial(len(rows), equal, size=count)
    return weights
