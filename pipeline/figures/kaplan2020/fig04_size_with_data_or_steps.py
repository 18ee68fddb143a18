"""Figure 4: loss against dataset size and against steps, for every model size, with both laws."""

from __future__ import annotations

from collections.abc import Mapping
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
from pipeline.kaplan2020 import BatchLaw

STEPS = r"fewest steps $S_{\min}$ (steps)"
OVERLAID = 0.13  # opacity of bands, each of which lies over others
BEYOND = (0, (4, 2))


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Two panels coloured by N: ends of runs with L(N, D), and curves with L(N, S_min)."""
    fits = {"kaplan": data["data"].fits["kaplan"],
            "kaplan_steps": data["sizes"].fits["kaplan_steps"]}  # fmt: skip
    figure.set_size_inches(frame.WIDE, 3.7 + headings.room(fits))
    left, right = figure.subplots(1, 2)
    left.set_label("data")
    right.set_label("steps")
    (batch,) = algebra.drawn(data["batches"].fits["critical_batch"])
    colours = marks.SizeColours(run["params"] for name in ("data", "sizes")
                                for run in data[name].runs)  # fmt: skip
    _data(left, data["data"], colours)
    _steps(right, data["sizes"], batch.best, colours)
    scales.loss_axis(left, label=data["data"].measured_label)
    scales.loss_axis(right, label="")
    marks.legend_below(left, _handles(fits["kaplan"], "run", data["data"]), 3)
    marks.legend_below(right, _handles(fits["kaplan_steps"], "curve at the peak rate"), 2)
    colours.key(figure, (left, right))
    marks.doubts(figure, fits, 130)


def _data(axes: Axes, data: Data, colours: marks.SizeColours) -> None:
    """Every run against its data, as the law counts them."""
    fit = data.fits["kaplan"]
    column = fit.column("tokens")
    for run in data.runs:
        marks.point(axes, run[column], run["loss"], run, colours(run["params"]))
    limits = scales.padded(run[column] for run in data.runs)
    spans = {run["params"]: limits for run in data.runs}
    _lines(axes, fit, "tokens", limits, spans, colours)
    axes.set(xlim=limits, ylim=scales.padded(run["loss"] for run in data.runs))
    scales.count_axis(axes, "x", "dataset $D$ (tokens)")
    headings.heading(axes, fit, headings.BOTH, 2, "run")


def _steps(axes: Axes, data: Data, law: BatchLaw, colours: marks.SizeColours) -> None:
    """Every curve between warmup and cooldown against the steps of a very large batch."""
    fit = data.fits["kaplan_steps"]
    courses = along.courses(data)
    fewest = [course.fewest_steps(law) for course in courses]
    for course, steps in zip(courses, fewest, strict=True):
        axes.plot(steps, course.loss, color=colours(course.params), marker="o", ms=2.2, ls="none",
                  mew=0, gid=marks.gid(axes, course.run["cell"]))  # fmt: skip
    limits = scales.padded(np.concatenate(fewest) if fewest else ())
    spans: dict[float, tuple[float, float]] = {}
    for course, steps in zip(courses, fewest, strict=True):
        low, high = spans.get(course.params, (np.inf, 0.0))
        spans[course.params] = min(low, steps.min()), max(high, steps.max())
    _lines(axes, fit, "steps_min", limits, spans, colours)
    # The points, not the bands, say what is shown.
    losses = np.concatenate([course.loss for course in courses]) if courses else ()
    axes.set(xlim=limits, ylim=scales.padded(losses))
    scales.count_axis(axes, "x", STEPS)
    headings.heading(axes, fit, headings.BOTH, 2)


def _lines(
    axes: Axes, fit: FittedLaw, variable: str, limits: tuple[float, float],
    spans: Mapping[float, tuple[float, float]], colours: marks.SizeColours,
) -> None:  # fmt: skip
    """The law of each size, solid and with its band where it was measured, dashed beyond."""
    if not fit.drawable:
        return
    grid = np.geomspace(*limits, 120)
    for params, (low, high) in sorted(spans.items()):
        at = {variable: grid, "params": np.full_like(grid, params)}
        line, ends = fit.predict(**at), fit.band(**at)
        inside = (grid >= low) & (grid <= high)
        if ends is not None:
            shown = ends[0][inside], ends[1][inside]
            marks.band(axes, grid[inside], shown, colours(params), OVERLAID)
        axes.plot(grid, line, color=colours(params), lw=0.7, ls=BEYOND, zorder=2.4)
        axes.plot(grid[inside], line[inside], color=colours(params), lw=0.9, zorder=2.5)


def _handles(fit: FittedLaw, name: str, data: Data | None = None) -> list[Any]:
    handles: list[Any] = [
        Line2D([], [], marker="o", ls="none", ms=4.2 if data else 2.2, color=marks.GREY, label=name)
    ]
    if fit.drawable:
        handles.append(Line2D([], [], color=marks.GREY, lw=0.9, label="law"))
    if fit.drawable and not data:
        handles.append(Line2D([], [], color=marks.GREY, lw=0.7, ls=BEYOND, label="beyond a curve"))
    if fit.drawable and fit.has_intervals:
        handles.append(marks.band_handle(fit, marks.GREY))
    return handles + (marks.state_handles(data.runs) if data else [])


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig04_size_with_data_or_steps", draw)
