"""Which law to trust: errors of backtested laws by distance, compared on the same predictions.

Laws are compared within a group: laws of several inputs with one another, laws of one input with
those of the same input, since only these describe the same runs. A group is scored on the
predictions that all its laws made, pairs of a cut-off and a run, from at least half of their runs:
what a law makes of a few small runs says little of what it makes of all. The score is the mean
absolute log error, averaged over the bins of the extrapolation factor with equal weight: there are
many predictions close by, and the few far ones are what a plan needs.

Candidates are the laws of a group that split a budget (``SurfaceLaw``), or all where none does. The
winner is the candidate with the fewest parameters whose score is within one standard error of the
best of them (the rule by which Breiman et al. 1984, "Classification and Regression Trees", choose
among trees). The standard error is that of the paired difference, over runs: one run is predicted
from several cut-offs, and those errors are one observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Law, SurfaceLaw
from pipeline.laws.estimate import Quality
from pipeline.laws.rolling import SAME, Cut, Rolled

EDGES = (1.0, 2.0, 4.0, 10.0, 30.0, np.inf)  # of the extrapolation factor

HALF = 0.5  # of a law's runs: cut-offs that leave fewer to fit are shown and not scored

Key = tuple[float, str]  # a cut-off and a cell


class Pairs(NamedTuple):
    """The m predictions that all laws of a group made, arrays (m,), by cut-off and factor.

    ``bins`` count from zero in ``EDGES``; ``weight`` sums to one, and equally over filled bins.
    """

    keys: tuple[Key, ...]
    factor: Floats
    bins: NDArray[np.intp]
    weight: Floats

    @property
    def cells(self) -> list[str]:
        """The run that each of them predicts."""
        return [cell for _, cell in self.keys]


@dataclass(frozen=True)
class Graded:
    """One law on a group's common pairs: log errors (m,), covered (m,), and its score, log units.

    ``quality`` is that of its fit to all runs.
    """

    law: Law
    log_error: Floats
    covered: NDArray[np.bool_]
    score: float
    quality: Quality

    @property
    def name(self) -> str:
        """The law's."""
        return self.law.name

    @property
    def size(self) -> Floats:
        """Absolute log errors (m,); infinite where the law gives no prediction."""
        return _size(self.log_error)

    @property
    def percent(self) -> Floats:
        """Errors in percent of the observed target, (m,)."""
        return 100 * np.expm1(self.log_error)


class Summary(NamedTuple):
    """Errors over some predictions, in percent of the observed target; coverage as a share."""

    predictions: int
    runs: int
    mape: float
    bias: float
    worst: float
    coverage: float


@dataclass(frozen=True)
class Ranking:
    """The tested laws of a group, by rising score; ``winner`` is None where none can be named.

    ``equals`` are the candidates within one standard error of the best of them, itself included.
    """

    axis: str
    pairs: Pairs
    laws: tuple[Graded, ...]
    equals: tuple[str, ...]
    winner: str | None

    @property
    def candidates(self) -> tuple[Graded, ...]:
        """The laws that can win, by rising score: those that split a budget, if any does."""
        return _candidates(self.laws)

    @property
    def predicts(self) -> dict[str, int]:
        """Each law's rank by score, 1 the best; equal scores share one."""
        return _ranks({one.name: one.score for one in self.laws})

    @property
    def describes(self) -> dict[str, int]:
        """Each law's rank by the error of its fit on its own runs, 1 the best."""
        return _ranks({one.name: one.quality.rmse for one in self.laws})

    def by_bin(self, graded: Graded) -> dict[int, Summary]:
        """The errors of a law in each bin that has predictions."""
        bins = self.pairs.bins
        return {int(b): summary(graded, self.pairs, bins == b) for b in np.unique(bins)}


def ranked(group: Sequence[Rolled]) -> Ranking | None:
    """The laws of a group that could be tested, compared; None where none could be."""
    tested = [one for one in group if one.cuts]
    if not tested:
        return None
    pairs = common(tested)
    laws = tuple(sorted((_graded(one, pairs) for one in tested), key=lambda one: one.score))
    best, *rest = _candidates(laws)
    if not np.isfinite(best.score):
        return Ranking(tested[0].axis, pairs, laws, (), None)
    equal = [best, *(one for one in rest if not beats(best.size, one.size, pairs))]
    winner = min(equal, key=lambda one: len(one.law.parameters))  # of equals, the better score
    return Ranking(tested[0].axis, pairs, laws, tuple(one.name for one in equal), winner.name)


def common(group: Sequence[Rolled]) -> Pairs:
    """The pairs of cut-off and run that every law of a group predicted from enough runs."""
    factors: dict[Key, float] = {}
    held: list[set[Key]] = []
    for one in group:
        own = {
            (c.at, cell): float(f) for c in _scored(one) for cell, f in zip(c.above.cell, c.factor)
        }
        held.append(set(own))
        factors |= own
    keys = sorted(set.intersection(*held), key=lambda key: (key[0], factors[key], key[1]))
    factor = np.array([factors[key] for key in keys])
    # A factor that rounding puts beyond an edge is of the bin below it.
    bins = np.searchsorted(np.array(EDGES) * np.exp(SAME), factor, side="left") - 1
    filled, where, counts = np.unique(bins, return_inverse=True, return_counts=True)
    return Pairs(tuple(keys), factor, bins, 1.0 / (len(filled) * counts[where]))


def _candidates(laws: tuple[Graded, ...]) -> tuple[Graded, ...]:
    return tuple(one for one in laws if isinstance(one.law, SurfaceLaw)) or laws


def _scored(one: Rolled) -> tuple[Cut, ...]:
    """The cuts with half of a law's runs to fit or more; the highest where none has."""
    return tuple(cut for cut in one.cuts if cut.share >= HALF) or one.cuts[-1:]


def beats(sizes: Floats, others: Floats, pairs: Pairs) -> bool:
    """Whether one law's absolute log errors (m,) lie below another's by a standard error.

    The weighted mean of the paired differences must exceed its standard error, which is that of a
    sum over runs; a single run gives none. This is no test: the best of several equal laws often
    passes it.
    """
    if not np.isfinite(others).all():
        return bool(np.isfinite(sizes).all())
    _, run = np.unique(pairs.cells, return_inverse=True)
    shares = np.bincount(run, (others - sizes) * pairs.weight)
    if len(shares) < 2:
        return False
    return bool(shares.sum() > np.sqrt(len(shares)) * shares.std(ddof=1))


def summary(graded: Graded, pairs: Pairs, rows: NDArray[np.bool_]) -> Summary:
    """The errors of a law over some of its predictions (a mask), each counted alike."""
    percent = graded.percent[rows]
    runs = {cell for cell, taken in zip(pairs.cells, rows) if taken}
    return Summary(
        int(rows.sum()), len(runs), float(np.abs(percent).mean()), float(percent.mean()),
        float(np.abs(percent).max()), float(graded.covered[rows].mean()),
    )  # fmt: skip


def _graded(one: Rolled, pairs: Pairs) -> Graded:
    found = {
        (cut.at, cell): (error, inside)
        for cut in one.cuts
        for cell, error, inside in zip(cut.above.cell, cut.log_error, cut.covered)
    }
    errors = np.array([found[key][0] for key in pairs.keys], float)
    covered = np.array([found[key][1] for key in pairs.keys], bool)
    score = float(_size(errors) @ pairs.weight) if pairs.keys else np.nan
    return Graded(one.law, errors, covered, score, one.quality)


def _size(log_error: Floats) -> Floats:
    return np.where(np.isnan(log_error), np.inf, np.abs(log_error))


def _ranks(values: dict[str, float]) -> dict[str, int]:
    # Laws that end in the same curve differ by what the solver leaves over.
    known = {n: np.inf if np.isnan(v) else float(f"{v:.5g}") for n, v in values.items()}
    ordered = sorted(known.values())
    return {name: 1 + ordered.index(value) for name, value in known.items()}
