"""Observed against predicted loss, and errors against compute, for each law of N and D."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, FittedLaw, Row


def draw(figure: Figure, data: Data) -> None:
    """A column of two panels for each law."""
    columns = len(data.fits)
    figure.set_size_inches(frame.COLUMN if columns == 1 else frame.WIDE, 4.8)
    panels = figure.subplots(2, columns, sharex="row", sharey="row", squeeze=False)
    colours = marks.SizeColours(run["params"] for run in data.runs)
    for (law, fit), top, bottom in zip(data.fits.items(), *panels, strict=True):
        top.set_label(f"{law}.predicted")
        bottom.set_label(f"{law}.error")
        _points(top, bottom, data, fit, colours)
        top.set_title(f"{law}: {marks.summary(fit)}")
        column = fit.column("flops")
        scales.flops_axis(bottom, "x", scales.FLOPS[column])
        bottom.axhline(0, color=marks.INK, lw=0.8)
        bottom.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
        )
    scales.loss_axis(panels[0, 0], label="observed " + data.loss_label)
    for top in panels[0]:
        scales.loss_axis(top, "x", "predicted " + data.loss_label)
    panels[1, 0].set_ylabel("predicted / observed − 1 (%)")
    marks.doubts(figure, data.fits, 62 * min(columns, 2))
    colours.key(figure, list(panels[0]))


def _points(
    top: Axes, bottom: Axes, data: Data, fit: FittedLaw, colours: marks.SizeColours
) -> None:
    runs = {run["cell"]: run for run in data.runs}
    rows = [row for row in fit.points if row["cell"] in runs]
    for row in rows:
        run = runs[row["cell"]]
        colour = colours(run["params"])
        if np.isfinite(row["predicted"]):
            marks.point(top, row["predicted"], row["observed"], run, colour)
            marks.point(bottom, row["flops"], _percent(row, "predicted"), run, colour)
    ends = [row["observed"] for row in rows]
    if not fit.drawable:
        for axes in (top, bottom):
            axes.text(0.5, 0.6, "no fit to compare with", transform=axes.transAxes, ha="center")
    if ends:
        low, high = scales.padded(ends)
        top.plot([low, high], [low, high], color=marks.INK, lw=0.8, zorder=1.5)


def _percent(row: Row, column: str) -> float:
    return 100.0 * (row[column] / row["observed"] - 1.0)


if __name__ == "__main__":
    frame.main("residuals", draw)
