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
from pipeline.figures.kaplan2020 import curves
from pipeline.kaplan2020 import PAPER, BatchLaw, Growth, StepsLaw, growth
from pipeline.laws.base import Floats

FACTOR = 1e9  # the paper's: a budget a billion times as large
PARTS = (("steps", "steps", marks.ORANGE), ("batch", "batch size", marks.SKY),
         ("params", "model size", marks.BLUE))  # fmt: skip
Ends = dict[str, tuple[float, float] | None]


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
    left.set_title("these experiments")
    _stack(right, paper, {})
    right.set_title("Kaplan et al. 2020, table 6")
    scales.flops_axis(left, "y", "growth of each, multiplied up (dimensionless)")
    handles = [Patch(fc=colour, lw=0, label=name) for _, name, colour in reversed(PARTS)]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    marks.doubts(figure, fits, 130)


def exponents(steps: FittedLaw, batch: FittedLaw) -> tuple[Growth, Ends]:
    """Exponents of N, B and S in compute (eq. 1.7), and their intervals over replicates."""
    best = growth(curves.steps_law(steps), curves.batch_law(batch))
    ours, others = curves.replicates(steps, batch)
    drawn = growth(StepsLaw(**ours), BatchLaw(**others))
    ends: Ends = {}
    for name, samples in zip(Growth._fields, drawn, strict=True):
        found = curves.spread(np.asarray(samples), steps)
        ends[name] = found and (float(found[0][0]), float(found[1][0]))
    return Growth(*(float(value) for value in best)), ends


def _stack(axes: Axes, shares: Growth, ends: Ends) -> None:
    """Areas on a log scale: each is as high as the logarithm of its factor."""
    budget: Floats = np.geomspace(1, FACTOR, 50)
    base = np.ones_like(budget)
    grown = shares.times(budget)
    for name, word, colour in PARTS:
        top = base * getattr(grown, name)
        axes.fill_between(budget, base, top, color=colour, lw=0)
        exponent = getattr(shares, name)
        low, high = ends.get(name) or (None, None)
        told = f"{word}: {letter(name)} $\\propto C^{{a}}$, $a$ = {estimate(exponent, low, high)}"
        middle = np.sqrt(base[-1] * top[-1])
        axes.annotate(told, (budget[-1], middle))
        base = top
    axes.set_xlim(1, FACTOR)
    axes.set_ylim(1, FACTOR)
    scales.flops_axis(axes, "x", "compute over the first budget (dimensionless)")


def letter(name: str) -> str:
    """The symbol of a part."""
    return {"params": "$N$", "batch": "$B$", "steps": r"$S_{\min}$"}[name]


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig03_growing_budget", draw)
