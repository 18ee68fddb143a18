"""Figure 3: how a growing budget is split between model size, batch size and steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, FittedLaw, estimate
from pipeline.figures.kaplan2020 import algebra
from pipeline.kaplan2020 import PAPER, Growth, growth
from pipeline.laws.base import Floats
from pipeline.laws.interval import around

FACTOR = 1e9  # the paper's: a budget a billion times as large
PARTS = (
    ("steps", "steps", r"$S_{\min}$", marks.ORANGE),
    ("batch", "batch size", "$B$", marks.SKY),
    ("params", "model size", "$N$", marks.BLUE),
)
Ends = Mapping[str, tuple[float | None, float | None]]


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Two panels: by the fitted exponents and by the paper's; heights are factors, stacked."""
    figure.set_size_inches(frame.WIDE, 3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    steps, batch = data["sizes"].fits["kaplan_steps"], data["batches"].fits["critical_batch"]
    paper = Growth(
        float(PAPER.params_of.exponent), float(PAPER.batch_of.exponent),
        float(PAPER.steps_of.exponent),
    )  # fmt: skip
    fits = {"kaplan_steps": steps, "critical_batch": batch}
    if all(fit.drawable for fit in fits.values()):
        ours, ends = exponents(steps, batch)
        _stack(left, ours, ends)
    left.set_title(f"fitted here; {100 * steps.level:.3g} % intervals")
    _stack(right, paper, {})
    right.set_title("Kaplan et al. 2020, table 6")
    scales.flops_axis(left, "y", "growth, multiplied up (dimensionless)")
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


def _stack(axes: Axes, shares: Growth, ends: Ends) -> None:
    """Areas on a log scale: each is as high as the logarithm of its factor."""
    budget: Floats = np.geomspace(1, FACTOR, 50)
    base = np.ones_like(budget)
    handles = []
    grown = shares.times(budget)
    for name, word, letter, colour in PARTS:
        top = base * getattr(grown, name)
        axes.fill_between(budget, base, top, color=colour, lw=0)
        told = estimate(getattr(shares, name), *ends.get(name, (None, None)))
        handles.append(
            Patch(fc=colour, lw=0, label=f"{word}  {letter} $\\propto C^{{\\,a}}$, $a$ = {told}")
        )
        base = top
    axes.set_xlim(1, FACTOR)
    axes.set_ylim(1, FACTOR)
    scales.flops_axis(axes, "x", "growth of compute (dimensionless)")
    marks.legend_below(axes, handles[::-1], 1)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig03_growing_budget", draw)
