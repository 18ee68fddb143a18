"""Figure 16: when early stopping stops, against its lower bound; curves on subsets of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data
from pipeline.findings.kaplan2020.stops import Stop, stops
from pipeline.kaplan2020.fits import best

BEYOND = 30.0  # times the longest run: bounds above it are drawn at the edge
STEPS = "trained for $S$ (steps)"


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Left each run of the grid of N and D; right the curves of one size on every subset."""
    fits = {
        "kaplan_steps": data["sizes"].fits["kaplan_steps"],
        "kaplan": data["data"].fits["kaplan"],
        "critical_batch": data["batches"].fits["critical_batch"],
    }
    if algebra.refused(figure, fits):
        return
    figure.set_size_inches(frame.WIDE, 3.9 + algebra.room(fits, 130))
    left, right = figure.subplots(1, 2)
    left.set_label("bound")
    right.set_label("curves")
    found = stops(data["data"].runs, *(best(fit.saved) for fit in fits.values()))
    colours = marks.SizeColours(
        (stop.run["unique_tokens"] for stop in found), matplotlib.colormaps["plasma"]
    )
    _stops(left, found, colours)
    size = shown_size(data["data"])
    _curves(right, data["data"], size, colours)
    marks.doubts(figure, fits, 130)
    key = [Line2D([], [], color=colours(d), lw=2.2, label=scales.count(d))
           for d in reversed(colours.sizes)]  # fmt: skip
    figure.legend(handles=key, title="$D$ (tokens)", loc="outside right upper")


def shown_size(data: Data) -> int:
    """The largest size: the one that overfits most."""
    return max(run["params"] for run in data.runs)


def _stops(axes: Axes, found: list[Stop], colours: marks.SizeColours) -> None:
    sizes = sorted({stop.run["params"] for stop in found})
    longest = max((stop.steps for stop in found), default=1)
    shown = np.minimum([stop.bound for stop in found], BEYOND * longest)
    for stop, x in zip(found, shown, strict=True):
        marker = marks.MARKERS[sizes.index(stop.run["params"]) % len(marks.MARKERS)]
        colour = colours(stop.run["unique_tokens"])
        face: dict[str, Any] = {} if stop.early else {"mfc": "white", "mec": colour, "mew": 0.9}
        marks.point(axes, float(x), stop.steps, stop.run, colour, marker=marker)
        if face:
            axes.lines[-1].set(**face)
    low, high = scales.padded([*shown, *(stop.steps for stop in found)])
    axes.plot([low, high], [low, high], color=marks.INK, lw=1.0, ls=(0, (4, 2)), zorder=2)
    axes.set_xlim(*scales.padded(shown))
    axes.set_ylim(low, high)  # so that the bound is there to be seen, however far below
    scales.count_axis(axes, "x", r"bound $S_c\,[L(N,D) - L(N,\infty)]^{-1/\alpha_S}$ (steps)")
    scales.count_axis(
        axes, "y", r"$S_{\mathrm{min}}$ of the lowest loss, $S_{\mathrm{stop}}$ (steps)"
    )
    kept = [stop.late_enough for stop in found if stop.early]
    axes.set_title(
        r"$S_{\mathrm{stop}} \gtrsim S_c\,[L(N,D) - L(N,\infty)]^{-1/\alpha_S}$" + "\n"
        f"{sum(kept)} of {len(kept)} stopped runs lie above the bound", linespacing=1.5,
    )  # fmt: skip
    handles = [
        Line2D([], [], marker=marks.MARKERS[i % len(marks.MARKERS)], color=marks.GREY, ls="none",
               mec="white", mew=0.5, label=f"$N$ = {scales.count(n)}")
        for i, n in enumerate(sizes)
    ]  # fmt: skip
    handles.append(Line2D([], [], marker="o", ls="none", mfc="white", mec=marks.GREY, mew=0.9,
                          label="not stopped before its planned end"))  # fmt: skip
    handles.append(Line2D([], [], color=marks.INK, lw=1.0, ls=(0, (4, 2)), label="the bound"))
    marks.legend_below(axes, handles, 2)


def _curves(axes: Axes, data: Data, size: int, colours: marks.SizeColours) -> None:
    """Validation loss solid, training loss dashed; a triangle where it was lowest."""
    lows, steps = [], []
    for run in data.runs:
        rows = [r for r in data.curves.get(run["cell"], []) if r["step"] > 0]
        if run["params"] != size or not rows:
            continue
        colour = colours(run["unique_tokens"])
        at = [r["step"] for r in rows]
        axes.plot(at, [r["val_loss"] for r in rows], color=colour, lw=1.1, zorder=3)
        trained = [(r["step"], r["train_loss"]) for r in rows if r["train_loss"]]
        axes.plot(*zip(*trained), color=colour, lw=0.8, ls=(0, (3, 1.5)), zorder=2.5)
        marks.point(axes, run["best_step"], run["loss"], run, colour, marker="v")
        lows += [min(r["val_loss"] for r in rows), *(y for _, y in trained)]
        lows.append(np.quantile([r["val_loss"] for r in rows], 0.9))
        steps += at
    axes.set_xlim(*scales.padded(steps))
    axes.set_ylim(*scales.padded(lows))
    scales.count_axis(axes, "x", STEPS)
    scales.loss_axis(axes)
    axes.set_title(f"$N$ = {scales.count(size)} on subsets of the data")
    handles = [
        Line2D([], [], color=marks.GREY, lw=1.1, label="validation"),
        Line2D([], [], color=marks.GREY, lw=0.8, ls=(0, (3, 1.5)), label="training"),
        Line2D([], [], color=marks.GREY, marker="v", ls="none", mec="white",
               label=r"$S_{\mathrm{stop}}$"),
    ]  # fmt: skip
    marks.legend_below(axes, handles, 3)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig16_early_stopping", draw)
