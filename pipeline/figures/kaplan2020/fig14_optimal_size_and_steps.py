"""Figure 14: the best size and the fewest steps of a compute budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline import kaplan2020
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data, Row, estimate
from pipeline.findings.kaplan2020 import along, envelopes
from pipeline.kaplan2020 import BatchLaw, Trend
from pipeline.laws.base import Floats
from pipeline.laws.interval import around

ENVELOPE, FITS, NAIVE = marks.VERMILLION, marks.BLUE, marks.GREY
NOTHING = "no envelope: too few sizes to compare"
AROUND = 3.0  # factor that axes leave around the points
COMPUTE = r"compute $C_{\min}$ (FLOP)"
NAIVE_PAPER = 0.88  # N ~ C^0.88 of figure 14, dashed
PAPER_LINE: dict[str, Any] = {"color": marks.INK, "lw": 1.0, "ls": (0, (1.5, 1.5))}


class Best(NamedTuple):
    """What is best on an envelope: compute (m,), the quantity (m,), the runs, and the line."""

    flops: Floats
    value: Floats
    runs: list[Row]
    line: envelopes.Line | None
    ends: tuple[float, float]  # of compute, inside the envelope


def best(
    courses: Sequence[along.Course], compute: envelopes.Of, quantity: envelopes.Of
) -> Best | None:
    """A quantity of the best course at each compute, and the line through it; None without one.

    Points are the middles of the stretches of compute over which one size is best.
    """
    envelope = envelopes.envelope(courses, compute)
    values, (place, inside) = envelope.along(quantity), envelope.best()
    rows = envelope.stretches()
    if not rows:
        return None
    return Best(
        envelope.flops[rows], values[rows, place[rows]], [envelope.run(row) for row in rows],
        envelope.line(values), tuple(envelope.flops[inside][[0, -1]].tolist()),
    )  # fmt: skip


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """N and S_min of the envelope of C_min, and of the fitted laws; N of the naive envelope."""
    courses = along.courses(data["sizes"])
    fits = {"kaplan_steps": data["sizes"].fits["kaplan_steps"],
            "critical_batch": data["batches"].fits["critical_batch"]}  # fmt: skip
    if algebra.refused(figure, fits, bool(courses)):
        return
    figure.set_size_inches(frame.WIDE, 4.2 + algebra.room(fits, 130))
    left, right = figure.subplots(1, 2)
    left.set_label("params")
    right.set_label("steps")
    fit = fits["kaplan_steps"]
    steps, batch = algebra.drawn(*fits.values())
    law: BatchLaw = batch.best

    def of_least(course: along.Course) -> Floats:
        return course.least_flops(law)

    for axes, quantity, trend, paper in (
        (left, _params, kaplan2020.params_of, kaplan2020.PAPER.params_of),
        (right, lambda c: c.fewest_steps(law), kaplan2020.steps_of, kaplan2020.PAPER.steps_of),
    ):  # fmt: skip
        handles: list[Line2D] = []
        found = best(courses, of_least, quantity)
        axes.set_xlim(*_limits(courses, found, law))
        naive = best(courses, lambda course: course.flops, _params) if axes is left else None
        if naive:
            handles += _shown(axes, naive, NAIVE, "D", "naive envelope of $C$", fit.level)
            handles[-1].set_label(f"{handles[-1].get_label()}  (paper: {NAIVE_PAPER})")
        if found:
            handles += _shown(axes, found, ENVELOPE, "o", r"envelope of $C_{\min}$", fit.level)
        else:
            handles.append(Line2D([], [], ls="none", label=NOTHING))
        handles += _fitted(axes, trend, steps, batch, fit.saved.percentiles)
        handles += _paper(axes, paper, found, trend(steps.best, batch.best))
        if found:  # the points, not the bands, say what is shown
            low, high = scales.padded(found.value)
            axes.set_ylim(low / AROUND, high * AROUND)
        scales.flops_axis(
            axes, "x", r"compute $C_{\min}$; naive: $C$ (FLOP)" if axes is left else COMPUTE
        )
        marks.legend_below(axes, handles, 1)
    scales.count_axis(left, "y", "best size $N$ (parameters)")
    scales.count_axis(right, "y", r"fewest steps $S_{\min}$ (steps)")
    left.set_title(rf"$N \propto C_{{\min}}^{{\,p}}$; {100 * fit.level:.3g} % intervals")
    right.set_title(r"$S_{\min} \propto C_{\min}^{\,p}$")
    marks.doubts(figure, fits, 130)


def _limits(
    courses: Sequence[along.Course], found: Best | None, law: BatchLaw
) -> tuple[float, float]:
    """A decade around the points; all curves where there are none."""
    if found:
        return float(found.flops.min()) / 10, 10 * float(found.flops.max())
    return scales.padded(np.concatenate([c.least_flops(law) for c in courses]))


def _params(course: along.Course) -> Floats:
    return np.full(len(course.steps), course.params)


def _shown(
    axes: Axes, found: Best, colour: str, marker: str, name: str, level: float
) -> list[Line2D]:
    for index, run in enumerate(found.runs):
        marks.point(axes, found.flops[index], found.value[index], run, colour,
                    f"{marker}{index}", marker=marker, ms=3.8)  # fmt: skip
    look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 3.8, "mec": "white"}
    if found.line is None:
        return [Line2D([], [], ls="none", label=f"{name}: no line, fewer than 3 sizes", **look)]
    x = np.geomspace(*found.ends, 100)
    marks.band(axes, x, found.line.ends(x, level), colour)
    axes.plot(x, found.line.at(x), color=colour, lw=1.0, zorder=3)
    exponent = estimate(found.line.slope, *found.line.slope_ends(level))
    label = f"{name}: $p$ = {exponent}"
    return [Line2D([], [], lw=1.0, label=label, **look)]


def _fitted(
    axes: Axes, trend: Callable[..., Trend], steps: algebra.Drawn, batch: algebra.Drawn,
    level: float,
) -> list[Line2D]:  # fmt: skip
    """The line that the fitted laws of N and S_min, and of B_crit, give by eq. B.9 and B.10."""
    x = np.geomspace(*axes.get_xlim(), 100)
    line = trend(steps.best, batch.best)
    ends: tuple[float | None, float | None] = (None, None)
    if steps.samples:
        with np.errstate(all="ignore"):
            drawn = trend(steps.samples, batch.samples)
            band = algebra.ends(np.asarray(algebra.columns(drawn).at(x)), level)
        marks.band(axes, x, band, FITS)
        ends = around(drawn.exponent, level)
    axes.plot(x, line.at(x), color=FITS, lw=1.2, ls=(0, (6, 1.5)), zorder=3)
    exponent = estimate(float(line.exponent), *ends)
    label = rf"fitted $L(N, S_{{\min}})$ and $B_{{\mathrm{{crit}}}}$: $p$ = {exponent}"
    return [Line2D([], [], color=FITS, lw=1.2, ls=(0, (6, 1.5)), label=label)]


def _paper(axes: Axes, paper: Trend, found: Best | None, law: Trend) -> list[Line2D]:
    """The paper's exponent: through the envelope's points, without a line there the fitted laws."""
    x = np.geomspace(*axes.get_xlim(), 100)
    centre = float(np.sqrt(x[0] * x[-1]))
    height, where = float(law.at(centre)), "through the fitted line"
    if found and found.line:
        centre, height = (float(np.exp(np.log(v).mean())) for v in (found.flops, found.value))
        where = "through the points"
    axes.plot(x, height * (x / centre) ** paper.exponent, zorder=2.5, **PAPER_LINE)
    label = f"the paper's slope, {where}: $p$ = {paper.exponent}"
    return [Line2D([], [], label=label, **PAPER_LINE)]


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig14_optimal_size_and_steps", draw)
