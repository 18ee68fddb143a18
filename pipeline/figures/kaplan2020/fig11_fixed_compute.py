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
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, FittedLaw
from pipeline.figures.kaplan2020 import algebra, along, headings
from pipeline.kaplan2020 import loss_of_budget
from pipeline.laws.base import Floats

LEVELS = 6  # lines that a panel has room for
LEAST = 3  # sizes that a level must have measured
DENSE = 25  # levels tried to find where enough sizes were measured
Of = Callable[[along.Course], Floats]


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Dots are curves read off at one C_min or S_min, lines L(N, S_min) and eq. B.3."""
    figure.set_size_inches(frame.WIDE, 3.5)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("compute")
    right.set_label("steps")
    sizes = data["sizes"]
    fit, of_batch = sizes.fits["kaplan_steps"], data["batches"].fits["critical_batch"]
    steps, batch = algebra.drawn(fit, of_batch)
    courses = along.courses(sizes)
    drawable = fit.drawable and of_batch.drawable

    def at_compute(params: Floats, flops: float) -> Floats:
        return np.asarray(loss_of_budget(steps.best, batch.best, params, flops))

    def at_steps(params: Floats, fewest: float) -> Floats:
        return np.asarray(steps.best.at(params, fewest))

    ends = [
        _panel(left, courses, lambda c: c.least_flops(batch.best), drawable and at_compute,
               scales.power_of_ten),
        _panel(right, courses, lambda c: c.fewest_steps(batch.best), drawable and at_steps,
               scales.count),
    ]  # fmt: skip
    scales.loss_axis(left, label=sizes.measured_label)
    marks.end_labels(figure, left, ends[0], r"$C_{\min}$ (FLOP)")
    marks.end_labels(figure, right, ends[1], r"$S_{\min}$ (steps)")
    headings.heading(left, fit, headings.BOTH, 2)
    left_handles: list[Any] = [
        Line2D([], [], marker="o", ls="none", color=marks.GREY, label="curve, read off"),
        Line2D([], [], color=marks.GREY, lw=0.9, label="laws fitted to all curves"),
    ]
    marks.legend_below(left, left_handles if drawable else left_handles[:1], 2)
    marks.doubts(figure, {"kaplan_steps": fit, "critical_batch": of_batch}, 130)


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
    lowest = np.minimum.accumulate(np.log(course.loss))
    at = np.interp(np.log(value), np.log(x), lowest, left=np.nan, right=np.nan)
    return float(np.exp(at))


def _panel(
    axes: Axes, courses: Sequence[along.Course], of: Of, law: Any, name: Callable[[float], str]
) -> dict[str, tuple[float, Any]]:
    """Dots and line of every level; return label -> (loss at the right edge, colour)."""
    spans = [(float(of(c).min()), float(of(c).max())) for c in courses]
    chosen = levels(spans)
    colours = marks.SizeColours(chosen, matplotlib.colormaps["plasma"])
    limits = scales.padded(course.params for course in courses)
    grid = np.geomspace(*limits, 120)
    axes.set_xlim(*limits)
    scales.count_axis(axes, "x", scales.PARAMS)
    ends: dict[str, tuple[float, Any]] = {}
    for value in chosen:
        colour, last, low, high = colours(value), np.nan, np.inf, 0.0
        for course in courses:
            loss = read_off(course, of(course), value)
            if np.isfinite(loss):
                marks.point(axes, course.params, loss, course.run, colour, f"{value:.2g}", ms=3.6)
                low, high, last = min(low, course.params), max(high, course.params), loss
        if law:
            inside = grid[(grid >= low / 2) & (grid <= high * 2)]
            line = law(inside, value)
            axes.plot(inside, line, color=colour, lw=0.9, zorder=2.5)
            last = float(law(np.array([limits[1]]), value)[0])
        ends[name(value)] = last, colour
    return ends


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig11_fixed_compute", draw)
