"""L(C): loss against training compute, with the power law fitted to the frontier."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw

LAW = "power_compute"
RING: dict[str, Any] = {
    "marker": "o",
    "ls": "none",
    "mfc": "none",
    "mec": marks.INK,
    "mew": 0.9,
    "ms": 6.2,
}


def draw(figure: Figure, data: Data) -> None:
    """Every run coloured by N; those on the frontier ringed, the fit through them."""
    figure.set_size_inches(frame.COLUMN, 3.5)
    axes = figure.subplots()
    fit = data.fits[LAW]
    x = fit.column("flops")
    colours = marks.SizeColours(run["params"] for run in data.runs)
    for run in data.runs:
        marks.point(axes, run[x], run["loss"], run, colours(run["params"]))
    for row in fit.points:
        axes.plot(row["flops"], row["observed"], zorder=3.5, **RING)
    low, high = scales.padded([run[x] for run in data.runs])
    axes.set_xlim(low, high)
    scales.flops_axis(axes, "x", scales.FLOPS[x])
    scales.loss_axis(axes, label=data.measured_label)
    if fit.drawable:
        grid = np.geomspace(low, high, 200)
        marks.band(axes, grid, fit.band(flops=grid), marks.GREY)
        axes.plot(grid, fit.predict(flops=grid), color=marks.INK, zorder=3)
    marks.strip(axes, fit, 1)
    marks.doubts(figure, {LAW: fit}, 62)
    marks.legend_below(axes, _handles(data, fit), 3)
    colours.key(figure, (axes,))


def _handles(data: Data, fit: FittedLaw) -> list[Any]:
    handles: list[Any] = [Line2D([], [], **RING, label="on the frontier")]
    if fit.drawable:
        handles.append(Line2D([], [], color=marks.INK, label="fit"))
    if fit.drawable and fit.has_intervals:
        handles.append(marks.band_handle(fit, marks.GREY))
    return handles + marks.state_handles(data.runs)


if __name__ == "__main__":
    frame.main("loss_vs_compute", draw)
