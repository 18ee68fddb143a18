"""Stored fits as the laws of Kaplan's algebra: at their best estimates, and as replicates."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from pipeline import kaplan2020
from pipeline.figures import frame, marks
from pipeline.figures.data import FittedLaw
from pipeline.kaplan2020 import PF_DAY, BatchLaw, DataLaw, Power, StepsLaw, Trend
from pipeline.laws.base import Floats
from pipeline.laws.interval import interval

LINE = 0.14  # inches of a line of text below a figure
BUILT: dict[str, Any] = {
    "kaplan": DataLaw,
    "kaplan_steps": StepsLaw,
    "critical_batch": BatchLaw,
    "power_tokens": Power,
    "power_compute_min": Power,
}


class Drawn(NamedTuple):
    """A law of the algebra at the best estimate, and with its replicates (R,) as constants.

    ``samples`` is None where the fit has no intervals.
    """

    best: Any
    samples: Any


def drawn(*fits: FittedLaw) -> list[Drawn]:
    """The laws of some fits; replicate i of one goes with replicate i of the others.

    They come from different runs, so that any pairing will do; the fewest of a fit are the most of
    all, and none has any where one has none.
    """
    count = min(len(next(iter(fit.saved.replicates.values()), [])) for fit in fits)
    every = all(fit.has_intervals for fit in fits) and count > 0
    return [Drawn(_law(fit, None), _law(fit, count) if every else None) for fit in fits]


def _law(fit: FittedLaw, count: int | None) -> Any:
    names = [p.name for p in fit.law.parameters]
    if count is None:
        return BUILT[fit.law.name](*(np.float64(fit.saved.values[name]) for name in names))
    return BUILT[fit.law.name](*(fit.saved.replicates[name][:count] for name in names))


def refused(figure: Figure, fits: Mapping[str, FittedLaw], curves: bool = True) -> bool:
    """Whether a figure of these fits cannot be drawn; it then says so, and why, in words alone."""
    missing = [name for name, fit in fits.items() if not fit.drawable]
    if not missing and curves:
        return False
    figure.set_size_inches(frame.COLUMN, 0.6 + room(fits, 62))
    without = f"the fit of {', '.join(missing)} has no values" if missing else "no run has a curve"
    marks.head(figure, f"not drawn: {without}")
    marks.doubts(figure, fits, 62)
    return True


def room(fits: Mapping[str, FittedLaw], width: int) -> float:
    """The inches that ``marks.doubts`` takes below a figure, in lines of ``width`` characters."""
    told = [f"{name}: {sentence}" for name, fit in fits.items() for sentence in fit.doubts]
    return LINE * sum(len(textwrap.wrap(text, width)) for text in told)


def columns(law: Any) -> Any:
    """A law whose replicates (R,) stand as columns (R, 1), to be evaluated along a grid."""
    return type(law)(*(np.asarray(value)[:, None] for value in vars(law).values()))


def ends(samples: Floats, level: float) -> tuple[Floats, Floats] | None:
    """Pointwise interval of samples (R, m), by the rule of all fits; None where there is none."""
    low, high = interval(samples, level)
    return (low, high) if np.isfinite(low).any() else None


def around(value: Any, level: float) -> tuple[float | None, float | None]:
    """The interval of one number from its samples (R,); None and None where there is none."""
    found = ends(np.atleast_1d(value)[:, None], level)
    return (float(found[0][0]), float(found[1][0])) if found else (None, None)


def params_of(steps: StepsLaw, batch: BatchLaw) -> Trend:
    """N of the best run of C_min, eq. B.9, as a power law of C_min."""
    growth = kaplan2020.growth(steps, batch)
    return Trend(kaplan2020.frontier(steps, batch, PF_DAY).params, growth.params)


def steps_of(steps: StepsLaw, batch: BatchLaw) -> Trend:
    """S_min of the best run of C_min, eq. B.10, as a power law of C_min."""
    growth = kaplan2020.growth(steps, batch)
    return Trend(kaplan2020.frontier(steps, batch, PF_DAY).steps, growth.steps)


def tokens_of(params: Trend) -> Trend:
    """D = 2 C_min / 6 N(C_min), eq. 6.7: what the best run at the critical batch has seen."""
    return Trend(2 * PF_DAY / (6 * params.factor), 1 - params.exponent)
