"""Rolling backtests: a law fitted to the runs up to a cut-off predicts those beyond it.

A fit always describes its own runs, and the better the more freedom the law has. What a plan asks
is how far off the law is at runs larger than any it has seen, and how that grows with distance. So
the cut-off rolls down along an axis (compute, parameters or tokens), the law is fitted to what lies
at or below it, and each run above is predicted as one more run, with its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Law, Runs
from pipeline.laws.estimate import Fit, Options, Quality, fit
from pipeline.laws.prediction import Prediction, predicted

SAME = 0.01  # natural log: values this close stay on one side of a cut-off
VALUES = 3  # of each input below a cut-off: two tell no curve from a straight line


@dataclass(frozen=True)
class Cut:
    """A law fitted up to one cut-off, and the m runs above it as it predicts them.

    ``factor`` (m,) is each run's place on the axis over that of the largest fitted run.
    """

    axis: str
    at: float  # the largest fitted place on the axis
    fit: Fit
    above: Runs
    factor: Floats
    prediction: Prediction

    @property
    def share(self) -> float:
        """The share of the law's runs that it was fitted to."""
        return len(self.fit.runs) / (len(self.fit.runs) + len(self.above))

    @property
    def observed(self) -> Floats:
        """The measured target of the runs above, (m,)."""
        return self.above.column(self.fit.law.target)

    @property
    def log_error(self) -> Floats:
        """log predicted - log observed, (m,); NaN where the law predicts no positive number."""
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.log(self.prediction.value) - np.log(self.observed)
        return np.where(np.isfinite(error), error, np.nan)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Whether the interval of one more run holds the measured target, (m,)."""
        inside = (self.prediction.low <= self.observed) & (self.observed <= self.prediction.high)
        return np.asarray(inside, dtype=bool)


@dataclass(frozen=True)
class Rolled:
    """One law along one axis: its cuts by rising cut-off, and why it has none where it has none.

    ``quality`` is how well it describes all its runs when it is fitted to all of them.
    """

    law: Law
    axis: str
    cuts: tuple[Cut, ...]
    quality: Quality
    refusal: str | None


def ladder(places: Floats, ratio: float) -> list[float]:
    """Cut-offs, ascending: the largest of ``places`` (n,) at or below max / ratio^k, k = 1, 2, ...

    Raises ValueError for a ratio that is not above one.
    """
    if not ratio > 1:
        raise ValueError(f"ladder {ratio}: take a ratio above 1")
    if not len(places):
        return []
    logs = np.log(places)
    rungs = np.arange(logs.max() - np.log(ratio), logs.min() - SAME, -np.log(ratio))
    return sorted({float(places[logs <= rung + SAME].max()) for rung in rungs})


def rolled(law: Law, runs: Runs, axis: str, cutoffs: Sequence[float], options: Options) -> Rolled:
    """A law fitted below and tested above each cut-off of an axis, a column of the runs."""
    if missing := [name for name in (*law.inputs, axis) if name not in runs.columns]:
        unknown = Quality(np.nan, np.nan, np.nan)
        return Rolled(law, axis, (), unknown, f"The runs have no column {missing[0]}.")
    quality = _described(law, runs, options)
    tried = [cut(law, runs, axis, at, options) for at in sorted(cutoffs)]
    # Cut-offs between two neighbours of a law's own runs are one.
    cuts = {one.at: one for one in tried if isinstance(one, Cut)}
    # The highest cut-off leaves the most runs, so its refusal is the one to mend.
    refusals = [one for one in tried if isinstance(one, str)] or [f"All runs have one {axis}."]
    return Rolled(law, axis, tuple(cuts.values()), quality, None if cuts else refusals[-1])


def _described(law: Law, runs: Runs, options: Options) -> Quality:
    try:
        return fit(law, runs, replace(options, bootstraps=0, profile=False)).quality
    except ValueError:
        return Quality(np.nan, np.nan, np.nan)


def cut(law: Law, runs: Runs, axis: str, at: float, options: Options) -> Cut | str:
    """A law fitted to its runs up to ``at`` and tested on its runs above, or why that cannot be.

    A law's own runs are those that it selects from all; of these it selects again from the ones
    below, so that nothing above the cut-off decides what is fitted. A frontier of all runs, cut
    off, is the frontier of the runs below; a law of N at the largest D is tested at that same D.
    """
    own = runs.take(law.select(runs).mask)
    places = own.column(axis)
    below = np.log(places) <= np.log(at) + SAME
    kept = own.take(below)
    kept = kept.take(law.select(kept).mask)
    if refusal := _refusal(law, own, kept, bool(below.all()), f"{axis} {at:.3g}"):
        return refusal
    try:
        found = fit(law, kept, replace(options, profile=False))
    except ValueError as error:  # one cut-off that cannot be computed is no reason to lose the rest
        return f"It could not be fitted up to {axis} {at:.3g}: {error}."
    if not all(map(len, found.replicates.values())):
        return f"Its fit up to {axis} {at:.3g} has no resamples, so its predictions no interval."
    above, largest = own.take(~below), float(kept.column(axis).max())
    residuals = np.log(kept.column(law.target)) - np.log(found.predicted)
    with np.errstate(all="ignore"):  # a law may have no value far from its runs
        prediction = predicted(
            law, found.values, found.replicates, residuals,
            {name: above.column(name) for name in law.inputs}, options.level,
            factor=found.widening,
        )  # fmt: skip
    return Cut(axis, largest, found, above, above.column(axis) / largest, prediction)


def _refusal(law: Law, own: Runs, kept: Runs, nothing_above: bool, where: str) -> str | None:
    """Why a law cannot be fitted below and tested above a cut-off; None where it can."""
    if nothing_above:
        return f"None of its {len(own)} runs lies above {where}."
    least = len(law.parameters) + 2
    if len(kept) < least:
        return f"Only {len(kept)} of its {len(own)} runs lie up to {where}; it takes {least}."
    for name in law.inputs:
        values = _distinct(kept.column(name))
        if _distinct(own.column(name)) > 1 and values < VALUES:
            return f"Its runs up to {where} have {values} values of {name}; it takes {VALUES}."
    return None


def _distinct(column: Floats) -> int:
    """How many values a column has, near ones counted once."""
    return 1 + int((np.diff(np.sort(np.log(column))) > SAME).sum())
