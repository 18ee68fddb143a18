"""Loss against N or D with the law fitted to it; its runs stand out, the others are faint."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw, Row
from pipeline.laws.base import Floats

EXACT: dict[str, Any] = {"color": marks.INK, "lw": 0.9, "ls": (0, (4, 2))}


@dataclass(frozen=True)
class View:
    """A law's variable, the variable that is held fixed along each line, and its letter."""

    law: str
    variable: str
    fixed: str
    letter: str

    @property
    def colour(self) -> str:
        """The law's."""
        return marks.law_colour(self.law)


def draw_view(figure: Figure, data: Data, view: View) -> None:
    """Every run, those of one fixed value joined; the fit, its band, formula and numbers."""
    figure.set_size_inches(frame.COLUMN, 3.5)
    axes = figure.subplots()
    fit = data.fits[view.law]
    x, fixed = fit.column(view.variable), fit.column(view.fixed)
    fitted = {row["cell"] for row in fit.points}
    for run in data.runs:
        own = run["cell"] in fitted
        style: dict[str, Any] = {} if own else {"ms": 3.2, "zorder": 2.5}
        marks.point(axes, run[x], run["loss"], run, view.colour if own else marks.GREY, **style)
    low, high = scales.padded([run[x] for run in data.runs])
    axes.set_xlim(low, high)
    label = data.tokens_label if view.variable == "tokens" else scales.PARAMS
    scales.count_axis(axes, "x", label, [run[x] for run in data.runs])
    scales.loss_axis(axes, label=data.measured_label)
    if fit.drawable:
        grid = np.geomspace(low, high, 200)
        marks.band(axes, grid, fit.band(**{view.variable: grid}), view.colour)
        axes.plot(grid, fit.predict(**{view.variable: grid}), color=view.colour, zorder=3)
        _exact(axes, data, fit, view, grid)
    ends = _lines(axes, [run for run in data.runs if run["cell"] not in fitted], x, fixed)
    values = {run[fixed] for run in data.runs if run["cell"] in fitted}
    if fit.drawable:
        name = f"{scales.count(max(values))}" if values else "fit"
        ends[name] = (float(fit.predict(**{view.variable: np.array([high])})[0]), view.colour)
    marks.end_labels(figure, axes, ends, f"${view.letter}$")
    marks.strip(axes, fit, 1)
    marks.doubts(figure, {view.law: fit}, 62)
    marks.legend_below(axes, _handles(data, fit, view), 2)


def _exact(axes: Axes, data: Data, fit: FittedLaw, view: View, grid: Floats) -> None:
    """The law at what is known of it; through the middle of the runs where only its slope is."""
    truth = data.truth(view.law)
    if not truth:
        return
    values = {p.name: np.array(row["value"]) for p, row in fit.estimates}
    values |= {name: np.array(row["value"]) for name, row in truth.items()}

    def law(at: Floats) -> Floats:
        return fit.law.predict(values, {view.variable: at})

    height = np.ones(1)
    if len(truth) < len(values):
        own = np.array([row[view.variable] for row in fit.points])
        middle = np.exp(np.log(own).mean(keepdims=True))
        height = fit.predict(**{view.variable: middle}) / law(middle)
    axes.plot(grid, height * law(grid), zorder=3.2, **EXACT)


def _lines(axes: Axes, runs: list[Row], x: str, fixed: str) -> dict[str, tuple[float, Any]]:
    """Join runs of the same fixed value in grey; return label -> (loss at the end, colour).

    Where several differ only by their seed the line takes their geometric mean.
    """
    groups: dict[float, list[Row]] = {}
    for run in runs:
        if run["loss"] is not None and run["included"]:
            groups.setdefault(run[fixed], []).append(run)
    ends: dict[str, tuple[float, Any]] = {}
    for value, members in sorted(groups.items()):
        by_x: dict[float, list[float]] = {}
        for run in sorted(members, key=lambda run: run[x]):
            by_x.setdefault(run[x], []).append(run["loss"])
        means = [geometric_mean(losses) for losses in by_x.values()]
        axes.plot(list(by_x), means, color=marks.PALE, lw=0.7, zorder=2)
        ends[scales.count(value)] = (means[-1], marks.GREY)
    return ends


def _told(data: Data, fit: FittedLaw, view: View) -> list[str]:
    """What is known of the law, in a line: the exponents' exact values."""
    truth = data.truth(view.law) if fit.drawable else {}
    known = [(p, truth[p.name]["value"]) for p, _ in fit.exponents if p.name in truth]
    return [f"exact, ${p.symbol}$ = {value:.3g}" for p, value in known]


def _handles(data: Data, fit: FittedLaw, view: View) -> list[Any]:
    line = "-" if fit.drawable else "none"
    handles: list[Any] = [
        Line2D([], [], marker="o", color=view.colour, mec="white", mew=0.5, ls=line,
               label="fitted runs and fit" if fit.drawable else "runs of the fit"),
    ]  # fmt: skip
    if fit.drawable and fit.has_intervals:
        handles.append(marks.band_handle(fit, view.colour))
    handles += [Line2D([], [], label=told, **EXACT) for told in _told(data, fit, view)]
    if len(fit.points) < len(data.runs):
        handles.append(
            Line2D([], [], marker="o", ms=3.2, color=marks.PALE, mfc=marks.GREY, mec="white",
                   lw=0.7, label=f"at other ${view.letter}$, not fitted")
        )  # fmt: skip
    return handles + marks.state_handles(data.runs)
