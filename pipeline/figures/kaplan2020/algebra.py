"""Stored fits as the laws of Kaplan's algebra: at their best estimates, and as replicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from pipeline.figures import frame, marks, notes
from pipeline.findings.data import FittedLaw
from pipeline.kaplan2020.fits import best, resampled
from pipeline.laws.base import Floats
from pipeline.laws.interval import interval


class Drawn(NamedTuple):
    """A law of the algebra at the best estimate, and with its replicates (R,) as constants.

    ``samples`` is None where there are none.
    """

    best: Any
    samples: Any


def drawn(*fits: FittedLaw) -> list[Drawn]:
    """The laws of some fits, with replicates where every one of them has intervals."""
    saved = [fit.saved for fit in fits]
    samples = resampled(*saved) if all(fit.has_intervals for fit in fits) else None
    return [Drawn(best(fit), samples and samples[i]) for i, fit in enumerate(saved)]


def refused(figure: Figure, fits: Mapping[str, FittedLaw], curves: bool = True) -> bool:
    """Whether a figure of these fits cannot be drawn; it then says so, and why, in words alone."""
    called = notes.names(fits)
    missing = [called[name] for name, fit in fits.items() if not fit.drawable]
    if not missing and curves:
        return False
    figure.set_size_inches(frame.COLUMN, 0.6 + room(fits, 62))
    without = f"{' and '.join(missing)} could not be fitted" if missing else "no run has a curve"
    marks.head(figure, f"not drawn: {without}")
    marks.doubts(figure, fits, 62)
    return True


def room(fits: Mapping[str, FittedLaw], width: int) -> float:
    """The inches that ``marks.doubts`` takes below a figure, in lines of ``width`` characters."""
    return notes.room(fits, width)


def columns(law: Any) -> Any:
    """A law whose replicates (R,) stand as columns (R, 1), to be evaluated along a grid."""
    return type(law)(*(np.asarray(value)[:, None] for value in vars(law).values()))


def ends(samples: Floats, level: float) -> tuple[Floats, Floats] | None:
    """Pointwise interval of samples (R, m), by the rule of all fits; None where there is none."""
    low, high = interval(samples, level)
    return (low, high) if np.isfinite(low).any() else None
