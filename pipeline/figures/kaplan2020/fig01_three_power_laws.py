"""Figure 1: loss against compute, dataset size and model size, each with its power law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra, headings
from pipeline.findings.data import Data, FittedLaw
from pipeline.findings.kaplan2020 import along
from pipeline.kaplan2020 import BatchLaw, least_flops


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Three panels: curves against compute, the largest model against D, the ladder against N."""
    fits = {**data["sizes"].fits, **data["data"].fits}
    figure.set_size_inches(frame.WIDE, 3.6 + headings.room(fits))
    panels = figure.subplots(1, 3)
    for axes, label in zip(panels, ("compute", "data", "params"), strict=True):
        axes.set_label(label)
    sizes, (batch,) = data["sizes"], algebra.drawn(data["batches"].fits["critical_batch"])
    colours = marks.SizeColours(run["params"] for run in sizes.runs)
    _compute(panels[0], sizes, batch.best, colours)
    _tokens(panels[1], data["data"])
    _params(panels[2], sizes, colours)
    scales.loss_axis(panels[0], label=sizes.measured_label)
    for axes in panels[1:]:
        scales.loss_axis(axes, label="")
    colours.key(figure, panels)
    handles = _handles(next(iter(fits.values())))
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
    marks.doubts(figure, fits, 130)


def _compute(axes: Axes, data: Data, law: BatchLaw, colours: marks.SizeColours) -> None:
    """Every curve between warmup and cooldown, and the points of the frontier that is fitted."""
    fit = data.fits["power_compute_min"]
    for course in along.courses(data):
        axes.plot(course.least_flops(law), course.loss, color=colours(course.params), lw=0.8,
                  gid=marks.gid(axes, course.run["cell"], "curve"))  # fmt: skip
    runs = {run["cell"]: run for run in data.runs}
    front = []
    for row in fit.points:
        run = runs.get(row["cell"].partition("@")[0])
        if run is None:  # the fit is older than the runs
            continue
        least = float(least_flops(law, row["flops"], run["batch_tokens"], row["observed"]))
        front.append(least)
        marks.point(axes, least, row["observed"], {**run, "cell": row["cell"]},
                    colours(run["params"]), ms=3.2)  # fmt: skip
    scales.flops_axis(axes, "x", r"compute $C_{\min}$ (FLOP)")
    _law(axes, fit, "flops_min", front)


def _tokens(axes: Axes, data: Data) -> None:
    """The largest model on each dataset, as the law has them."""
    fit = data.fits["power_tokens"]
    column, own = fit.column("tokens"), {row["cell"] for row in fit.points}
    runs = [run for run in data.runs if run["cell"] in own]
    for run in runs:
        marks.point(axes, run[column], run["loss"], run, marks.INK)
    scales.count_axis(axes, "x", "dataset $D$ (tokens)")
    _law(axes, fit, "tokens", [run[column] for run in runs])
    if runs:
        told = f"$N$ = {scales.count(max(run['params'] for run in runs))}"
        axes.text(0.97, 0.95, told, transform=axes.transAxes, ha="right", va="top")


def _params(axes: Axes, data: Data, colours: marks.SizeColours) -> None:
    """The runs that the law in N is fitted to."""
    fit = data.fits["power_params"]
    own = {row["cell"] for row in fit.points}
    runs = [run for run in data.runs if run["cell"] in own]
    for run in runs:
        marks.point(axes, run["params"], run["loss"], run, colours(run["params"]))
    scales.count_axis(axes, "x", scales.PARAMS)
    _law(axes, fit, "params", [run["params"] for run in runs])


def _law(axes: Axes, fit: FittedLaw, variable: str, fitted: Sequence[float]) -> None:
    """The law around the abscissae that it was fitted to."""
    if not axes.lines:
        axes.set(xlim=scales.padded(()), ylim=scales.padded(()))
    headings.heading(axes, fit, headings.BOTH)
    if not fit.drawable:
        return
    grid = np.geomspace(*scales.padded(fitted), 200)
    marks.band(axes, grid, fit.band(**{variable: grid}), marks.VERMILLION)
    axes.plot(grid, fit.predict(**{variable: grid}), color=marks.VERMILLION, zorder=3)


def _handles(fit: FittedLaw) -> list[Any]:
    return [
        Line2D([], [], color=marks.GREY, lw=0.8, label="curve at the peak rate"),
        Line2D([], [], marker="o", ls="none", color=marks.GREY, label="fitted"),
        Line2D([], [], color=marks.VERMILLION, label="law"),
        *([marks.band_handle(fit, marks.VERMILLION)] if fit.has_intervals else []),
    ]


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig01_three_power_laws", draw)
