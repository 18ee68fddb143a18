"""Figure 11: loss against model size at fixed compute and at a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks, notes
from pipeline.figures.kaplan2020 import algebra, headings
from pipeline.findings.data import Data, FittedLaw
from pipeline.findings.kaplan2020 import along
from pipeline.kaplan2020 import loss_of_budget
from pipeline.laws.base import Floats

LEVELS = 6  # lines that a panel has room for
LEAST = 2  # sizes that a level must have measured
OVERLAID = 0.11  # opacity of bands, each of which lies over others
DENSE = 25  # levels tried to find where enough sizes were measured
BEYOND: dict[str, Any] = {"color": marks.GREY, "lw": 0.7, "ls": (0, (4, 2))}
Of = Callable[[along.Course], Floats]
# Sizes and a level -> loss of the law, and its interval where there is one.
Line = Callable[[Floats, float], tuple[Floats, tuple[Floats, Floats] | None]]


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Dots are curves read off at one C_min or S_min, lines L(N, S_min) and eq. B.3."""
    sizes = data["sizes"]
    fit, of_batch = sizes.fits["kaplan_steps"], data["batches"].fits["critical_batch"]
    fits = {"kaplan_steps": fit, "critical_batch": of_batch}
    figure.set_size_inches(frame.WIDE, 4.1 + notes.room(fits, 130))
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("compute")
    right.set_label("steps")
    steps, batch = algebra.drawn(fit, of_batch)
    courses = along.courses(sizes)
    drawable = fit.drawable and of_batch.drawable

    def at_compute(laws: tuple[Any, Any], params: Floats, flops: float) -> Floats:
        return np.asarray(loss_of_budget(*laws, params, flops))

    def at_steps(laws: tuple[Any, Any], params: Floats, fewest: float) -> Floats:
        return np.asarray(laws[0].at(params, fewest))

    def lines(at: Callable[..., Floats]) -> Line | None:
        return (lambda x, value: _line(at, steps, batch, x, value, fit)) if drawable else None

    losses = [
        *_panel(left, courses, lambda c: c.least_flops(batch.best), lines(at_compute),
                r"$C_{\min}$ (FLOP)", scales.power_of_ten),
        *_panel(right, courses, lambda c: c.fewest_steps(batch.best), lines(at_steps),
                r"$S_{\min}$ (steps)", scales.count),
    ]  # fmt: skip
    left.set_ylim(*scales.padded(losses))
    scales.loss_axis(left, label=sizes.measured_label)
    headings.across(left, right, fit, 2)
    handles: list[Any] = [
        Line2D(
            [], [], marker="o", ls="none", color=marks.GREY, label="curve at one compute or step"
        ),
        Line2D([], [], color=marks.GREY, lw=0.9, label="law fitted to all curves"),
        Line2D([], [], label="beyond the sizes measured there", **BEYOND),
    ]
    if fit.has_intervals:
        handles.append(marks.band_handle(fit, marks.GREY))
    figure.legend(handles=handles if drawable else handles[:1], loc="outside upper left", ncols=4)
    marks.doubts(figure, fits, 130)


def _line(
    at: Callable[..., Floats], steps: algebra.Drawn, batch: algebra.Drawn, params: Floats,
    value: float, fit: FittedLaw,
) -> tuple[Floats, tuple[Floats, Floats] | None]:  # fmt: skip
    """The law at a level and its band over the replicates of both fits."""
    ends = None
    if steps.samples is not None:
        laws = algebra.columns(steps.samples), algebra.columns(batch.samples)
        ends = algebra.ends(at(laws, params, value), fit.saved.percentiles)
    return at((steps.best, batch.best), params, value), ends


def levels(spans: Sequence[tuple[float, float]]) -> Floats:
    """Values, evenly spaced in logarithms, each within the spans of at least a few curves.

    Rounded to two digits, so that they can be told.
    """
    if not spans:
        return np.empty(0)
    low, high = (end(np.log(spans)) for end in (np.min, np.max))
    tried = np.exp(np.linspace(low, high, DENSE))
    many = [x for x in tried if sum(a <= x <= b for a, b in spans) >= min(LEAST, len(spans))]
    if not many:
        return np.empty(0)
    chosen = np.geomspace(many[0], many[-1], LEVELS + 2)[1:-1]
    return np.unique([float(f"{x:.1e}") for x in chosen])


def read_off(course: along.Course, x: Floats, value: float) -> float:
    """The lowest loss so far of a curve where ``x`` has a value; NaN outside of it."""
    order = np.argsort(x, kind="stable")  # S_min may fall where the critical batch soars
    lowest = np.minimum.accumulate(np.log(course.loss[order]))
    at = np.interp(np.log(value), np.log(x[order]), lowest, left=np.nan, right=np.nan)
    return float(np.exp(at))


def _panel(
    axes: Axes, courses: Sequence[along.Course], of: Of, law: Line | None, title: str,
    name: Callable[[float], str],
) -> list[float]:  # fmt: skip
    """Dots and line of every level, named below; return the losses of the dots."""
    chosen = levels([(float(of(c).min()), float(of(c).max())) for c in courses])
    colours = marks.SizeColours(chosen, matplotlib.colormaps["plasma"])
    limits = scales.padded(course.params for course in courses)
    grid = np.geomspace(*limits, 120)
    handles, losses = [], []
    for value in chosen:
        colour = colours(value)
        read = [(course, read_off(course, of(course), value)) for course in courses]
        read = [(course, loss) for course, loss in read if np.isfinite(loss)]
        if not read:
            continue
        for course, loss in read:
            marks.point(axes, course.params, loss, course.run, colour, f"{value:.2g}", ms=3.6)
        losses += [loss for _, loss in read]
        if law:
            sizes = [course.params for course, _ in read]
            inside = (grid >= min(sizes) / 1.02) & (grid <= max(sizes) * 1.02)
            line, ends = law(grid, value)
            if ends is not None:
                shown = (ends[0][inside], ends[1][inside])
                marks.band(axes, grid[inside], shown, colour, OVERLAID)
            axes.plot(grid, line, **{**BEYOND, "color": colour})
            axes.plot(grid[inside], line[inside], color=colour, lw=0.9, zorder=2.5)
        handles.append(Line2D([], [], marker="o", ms=3.6, mec="white", mew=0.5, color=colour,
                              lw=0.9, label=name(value)))  # fmt: skip
    axes.set_xlim(*limits)
    scales.count_axis(axes, "x", scales.PARAMS)
    marks.legend_below(axes, handles, 3)
    axes.get_legend().set_title(title)  # type: ignore[union-attr]
    return losses


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig11_fixed_compute", draw)
