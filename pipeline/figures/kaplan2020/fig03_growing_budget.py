"""Figure 3: how a growing budget is split between model size, batch size and steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks, notes
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data, FittedLaw, estimate
from pipeline.kaplan2020 import PAPER, Growth, growth
from pipeline.laws.base import Floats
from pipeline.laws.interval import around

FACTOR = 1e9  # the paper's: a budget a billion times as large
PARTS = (
    ("steps", "steps", r"$S_{\min}$", marks.ORANGE),
    ("batch", "batch size", "$B$", marks.SKY),
    ("params", "model size", "$N$", marks.BLUE),
)
HATCHES = {"steps": "\\\\\\\\\\", "batch": "/////"}  # of the borders above these
OPEN = 0.4  # opacity of shares that the runs leave open
Ends = Mapping[str, tuple[float | None, float | None]]


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Two panels: by the fitted exponents and by the paper's; heights are factors, stacked."""
    steps, batch = data["sizes"].fits["kaplan_steps"], data["batches"].fits["critical_batch"]
    fits = {"kaplan_steps": steps, "critical_batch": batch}
    figure.set_size_inches(frame.WIDE, 3.2 + notes.room(fits, 130))
    left, right = figure.subplots(1, 2, sharey=True)
    paper = Growth(
        float(PAPER.params_of.exponent), float(PAPER.batch_of.exponent),
        float(PAPER.steps_of.exponent),
    )  # fmt: skip
    settled = not notes.lines(fits, 130)
    if all(fit.drawable for fit in fits.values()):
        handles = _stack(left, *exponents(steps, batch), 1.0 if settled else OPEN)
        level = 100 * steps.level
        handles += _borders(left, borders(steps, batch), f"{level:.3g} % interval of a border")
        marks.legend_below(left, handles, 1)
    left.set_title("fitted here" if settled else "fitted here: left open by these runs")
    marks.legend_below(right, _stack(right, paper, {}, 1.0), 1)
    right.set_title("Kaplan et al. 2020, table 6")
    scales.flops_axis(left, "y", "growth (dimensionless)")
    marks.doubts(figure, fits, 130)


def exponents(steps: FittedLaw, batch: FittedLaw) -> tuple[Growth, Ends]:
    """Exponents of N, B and S in compute (eq. 1.7), and their intervals over replicates."""
    ours, others = algebra.drawn(steps, batch)
    best = Growth(*(float(value) for value in growth(ours.best, others.best)))
    if ours.samples is None:
        return best, {}
    drawn = growth(ours.samples, others.samples)
    level = steps.saved.percentiles
    return best, {
        name: around(samples, level) for name, samples in zip(Growth._fields, drawn, strict=True)
    }


def borders(steps: FittedLaw, batch: FittedLaw) -> Ends:
    """Intervals of the exponents that the borders above steps and above batch size rise by."""
    ours, others = algebra.drawn(steps, batch)
    if ours.samples is None:
        return {}
    drawn = growth(ours.samples, others.samples)
    level = steps.saved.percentiles
    return {"steps": around(drawn.steps, level), "batch": around(drawn.tokens, level)}


def _stack(axes: Axes, shares: Growth, ends: Ends, opacity: float) -> list[Patch]:
    """Areas on a log scale: each is as high as the logarithm of its factor; their names."""
    budget: Floats = np.geomspace(1, FACTOR, 50)
    base = np.ones_like(budget)
    handles = []
    grown = shares.times(budget)
    for name, word, letter, colour in PARTS:
        top = base * getattr(grown, name)
        axes.fill_between(budget, base, top, color=colour, lw=0, alpha=opacity)
        told = estimate(getattr(shares, name), *ends.get(name, (None, None)))
        label = f"{word}  {letter} $\\propto C^{{\\,a}}$, $a$ = {told}"
        handles.append(Patch(fc=colour, lw=0, alpha=opacity, label=label))
        base = top
    axes.set_xlim(1, FACTOR)
    axes.set_ylim(1, FACTOR)
    scales.flops_axis(axes, "x", "growth of compute (dimensionless)")
    return handles[::-1]


def _borders(axes: Axes, between: Ends, label: str) -> list[Patch]:
    """Hatch where the borders of the areas may run; their name, where there is any."""
    budget: Floats = np.geomspace(1, FACTOR, 50)
    for name, (low, high) in between.items():
        if low is None or high is None:
            continue
        bottom, top = (budget ** min(max(end, 0.0), 1.0) for end in (low, high))
        axes.fill_between(budget, bottom, top, fc="none", ec=marks.INK, alpha=0.5, lw=0,
                          hatch=HATCHES[name], gid=f"border.{name}")  # fmt: skip
        for end in (bottom, top):
            axes.plot(budget, end, color=marks.INK, lw=0.6, ls=(0, (4, 2)))
    hatch = HATCHES["batch"]
    return [Patch(fc="none", ec=marks.INK, lw=0, hatch=hatch, label=label)] if between else []


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig03_growing_budget", draw)
