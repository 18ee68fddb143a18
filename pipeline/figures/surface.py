"""One law of N and D over the grid of runs: against D for each N, and against N for each D."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw

LETTERS = {"tokens": "$D$", "params": "$N$"}


def draw_surface(figure: Figure, data: Data, law: str) -> None:
    """Two panels of the same fit; lines and bands are the law's, points the runs."""
    figure.set_size_inches(frame.WIDE, 3.6)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("tokens")
    right.set_label("params")
    fit = data.fits[law]
    _limits(left, data, fit, "tokens")
    _limits(right, data, fit, "params")
    scales.loss_axis(left, label=data.measured_label)
    ends = [
        (left, _panel(left, data, fit, "tokens", "params"), LETTERS["params"]),
        (right, _panel(right, data, fit, "params", "tokens"), LETTERS["tokens"]),
    ]
    # Both panels share the limits of the loss, which are known when both are drawn.
    for axes, of_lines, letter in ends:
        marks.end_labels(figure, axes, of_lines, letter)
    handles: list[Any] = [Line2D([], [], marker="o", ls="none", color=marks.GREY, label="run")]
    if fit.drawable:
        handles.append(Line2D([], [], color=marks.GREY, label="fit"))
    if fit.drawable and fit.has_intervals:
        handles.append(marks.band_handle(fit, marks.GREY))
    marks.legend_below(left, handles + marks.state_handles(data.runs), 3)
    marks.strip(left, fit, 3)
    marks.doubts(figure, {law: fit}, 130)


def _limits(axes: Axes, data: Data, fit: FittedLaw, x: str) -> None:
    values = [run[fit.column(x)] for run in data.runs]
    axes.set_xlim(*scales.padded(values))
    label = data.tokens_label if x == "tokens" else scales.PARAMS
    scales.count_axis(axes, "x", label, values)


def _panel(
    axes: Axes, data: Data, fit: FittedLaw, x: str, each: str
) -> dict[str, tuple[float, Any]]:
    """Runs against ``x``, and the law's line at each value of ``each``: name -> (end, colour)."""
    column, held = fit.column(x), fit.column(each)
    values = sorted({run[held] for run in data.runs})
    colours: Any = marks.SizeColours(values) if each == "params" else _token_colours(values)
    for run in data.runs:
        marks.point(axes, run[column], run["loss"], run, colours(run[held]))
    if not fit.drawable:
        return {}
    grid = np.geomspace(*axes.get_xlim(), 120)
    ends: dict[str, tuple[float, Any]] = {}
    # Few lines are read; of many token counts or sizes, evenly spaced ones stand for all.
    chosen = sorted({values[round(i)] for i in np.linspace(0, len(values) - 1, marks.LISTED)})
    for value in chosen:
        at = {x: grid, each: np.full_like(grid, value)}
        line = fit.predict(**at)
        marks.band(axes, grid, fit.band(**at), colours(value))
        axes.plot(grid, line, color=colours(value), lw=0.9, zorder=2.5)
        ends[scales.count(value)] = (float(line[-1]), colours(value))
    return ends


def _token_colours(values: list[float]) -> marks.SizeColours:
    """A second sequential map, so that a colour never stands for both an N and a D."""
    return marks.SizeColours(values, matplotlib.colormaps["plasma"])
