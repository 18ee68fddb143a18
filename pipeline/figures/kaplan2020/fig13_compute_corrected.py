"""Figure 13: loss against compute corrected to small batches, and as it was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data, estimate
from pipeline.findings.kaplan2020 import along, envelopes
from pipeline.laws.base import Floats

NAIVE, LEAST = marks.ORANGE, marks.BLUE
PAPER = {"C": 0.057, "C_{\\min}": 0.050}  # table 5


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Curves and their envelopes against C (orange) and C_min (blue); the fit of L(C_min)."""
    fit, critical = data["sizes"].fits["power_compute_min"], data["batches"].fits["critical_batch"]
    courses = along.courses(data["sizes"])
    fits = {"power_compute_min": fit, "critical_batch": critical}
    if algebra.refused(figure, fits, bool(courses)):
        return
    figure.set_size_inches(frame.COLUMN, 4.3 + algebra.room(fits, 62))
    axes = figure.subplots()
    batch = algebra.drawn(critical)[0].best
    spent = [course.flops for course in courses]
    least = [course.least_flops(batch) for course in courses]
    for course, c, c_min in zip(courses, spent, least, strict=True):
        axes.plot(c, course.loss, color=NAIVE, lw=0.6, alpha=0.45, zorder=2)
        axes.plot(c_min, course.loss, color=LEAST, lw=0.6, alpha=0.45, zorder=2,
                  gid=course.run["cell"])  # fmt: skip
    envelope = envelopes.envelope(courses, lambda course: course.flops)
    naive = envelope.line(envelope.losses)
    axes.set_xlim(*scales.padded(np.concatenate([*spent, *least])))
    axes.set_ylim(*scales.padded(np.concatenate([c.loss for c in courses])))
    scales.flops_axis(axes, "x", r"compute, $C = 6NBS$ or $C_{\min}$ (FLOP)")
    scales.loss_axis(axes, label=data["sizes"].measured_label)
    handles: list[Any] = [Line2D([], [], color=NAIVE, lw=0.8, label="curves against $C$"),
               Line2D([], [], color=LEAST, lw=0.8, label=r"against $C_{\min}$")]  # fmt: skip
    x = np.geomspace(*axes.get_xlim(), 120)
    numbers = []
    if naive:
        ends = naive.ends(x, fit.level)
        _line(axes, x, naive.at(x), ends, NAIVE)
        low, high = naive.slope_ends(fit.level)
        falls = -naive.slope, None if high is None else -high, None if low is None else -low
        bare = "" if None not in falls else ", no interval"
        numbers.append(_told("C", estimate(*falls) + bare))
        handles.append(Line2D([], [], color=NAIVE, lw=1.5, ls="--", label="line through envelope"))
    else:
        numbers.append(r"$\alpha_C$: too few best sizes for a line")
    _line(axes, x, fit.predict(flops_min=x), fit.band(flops_min=x), LEAST)
    row = fit.parameters["alpha_C_min"]
    numbers.append(_told(r"C_{\min}", estimate(row["value"], row["low"], row["high"])))
    handles.append(Line2D([], [], color=LEAST, lw=1.5, label=r"fit of $L(C_{\min})$"))
    handles.append(marks.band_handle(fit, LEAST))
    axes.set_title("\n".join(
        [r"$L = (C_c/C)^{\alpha_C}$, and with $C_{\min} = C / (1 + B/B_{\mathrm{crit}}(L))$",
         "along curves before any cooldown:",
         *numbers, marks.summary(fit, "point")]
    ), linespacing=1.4)  # fmt: skip
    marks.legend_below(axes, handles, 2)
    marks.doubts(figure, fits, 62)


def _told(of: str, value: str) -> str:
    return rf"$\alpha_{{{of}}}$ = {value}  (paper: {PAPER[of]:.3f})"


def _line(
    axes: Axes, x: Floats, y: Floats, ends: tuple[Floats, Floats] | None, colour: str
) -> None:
    marks.band(axes, x, ends, colour)
    axes.plot(x, y, color=colour, lw=1.5, ls="--" if colour == NAIVE else "-", zorder=3)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig13_compute_corrected", draw)
