"""The error on a task against the loss, with the law fitted to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw

TICKS = 6  # at most, about
ROOM = 0.08  # of the range of losses that is free on both sides


def draw(figure: Figure, data: Data) -> None:
    """One panel for each fit: the runs, the curve with its band, the formula and its numbers."""
    count = len(data.fits)
    columns, rows = min(count, 2), math.ceil(count / 2)
    figure.set_size_inches(frame.COLUMN * columns, 4.3 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.remove()
    for axes, (key, fit) in zip(panels, data.fits.items()):
        axes.set_label(key.replace("@", "_") if count > 1 else "")
        _panel(axes, data, key, fit)
    marks.doubts(figure, data.fits, 62 * columns)


def _panel(axes: Axes, data: Data, key: str, fit: FittedLaw) -> None:
    """Error against loss, both linear: that is how the laws are written."""
    _, _, task = key.partition("@")
    colour = marks.law_colour(key)
    runs = {run["cell"]: run for run in data.runs}
    shown = [(runs[row["cell"]], row["observed"]) for row in fit.points if row["cell"] in runs]
    for run, error in shown:
        marks.point(axes, run["loss"], error, run, colour)
    axes.set_xlabel(data.measured_label)
    axes.set_ylabel(f"error on {task} (dimensionless)")
    handles: list[Any] = [
        Line2D([], [], marker="o", ls="none", color=colour, label=f"run ({len(shown)})")
    ]
    losses = np.array([run["loss"] for run, _ in shown])
    if fit.drawable and len(losses):
        room = ROOM * (float(np.ptp(losses)) or 1.0)
        grid = np.linspace(max(losses.min() - room, losses.min() / 2), losses.max() + room, 200)
        marks.band(axes, grid, fit.band(loss=grid), marks.GREY)
        axes.plot(grid, fit.predict(loss=grid), color=marks.INK, zorder=3)
        handles.append(Line2D([], [], color=marks.INK, label="fit"))
        if fit.has_intervals:
            handles.append(marks.band_handle(fit, marks.GREY))
    for axis, view in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = np.array(MaxNLocator(TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(*view))
        axis.set_major_locator(
            FixedLocator(ticks[(ticks >= view[0]) & (ticks <= view[1])].tolist())
        )
        axis.set_major_formatter(scales.PlainDecimals())
    axes.autoscale(False)
    marks.strip(axes, fit, 1)
    marks.legend_below(axes, handles, 3)


if __name__ == "__main__":
    frame.main("tasks", draw)
