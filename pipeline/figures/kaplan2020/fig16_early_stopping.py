"""Figure 16: when early stopping stops, against its lower bound; curves on subsets of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline import kaplan2020
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, Row
from pipeline.figures.kaplan2020 import algebra

BEYOND = 30.0  # times the longest run: bounds above it are drawn at the edge
STEPS = "step (steps)"


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Left each run of the grid of N and D; right the curves of one size on every subset."""
    fits = {
        "kaplan_steps": data["sizes"].fits["kaplan_steps"],
        "kaplan": data["data"].fits["kaplan"],
    }
    if algebra.refused(figure, fits):
        return
    figure.set_size_inches(frame.WIDE, 3.9 + algebra.room(fits, 130))
    left, right = figure.subplots(1, 2)
    left.set_label("bound")
    right.set_label("curves")
    runs = [run for run in data["data"].runs if run["best_step"]]
    colours = marks.SizeColours(
        (run["unique_tokens"] for run in runs), matplotlib.colormaps["plasma"]
    )
    bounds = bound(data, runs)
    _stops(left, runs, bounds, colours)
    size = shown_size(data["data"])
    _curves(right, data["data"], size, colours)
    marks.doubts(figure, fits, 130)
    key = [Line2D([], [], color=colours(d), lw=2.2, label=scales.count(d))
           for d in reversed(colours.sizes)]  # fmt: skip
    figure.legend(handles=key, title="$D$ (tokens)", loc="outside right upper")


def bound(data: Mapping[str, Data], runs: list[Row]) -> list[float]:
    """The lower bound of the stopping step of each run, eq. 5.7, from the fitted laws."""
    steps, of_data = algebra.drawn(data["sizes"].fits["kaplan_steps"], data["data"].fits["kaplan"])
    n, d = (np.array([run[name] for run in runs], float) for name in ("params", "unique_tokens"))
    return np.asarray(kaplan2020.earliest_stop(steps.best, of_data.best, n, d)).tolist()


def stopped(run: Row) -> bool:
    """Whether the loss rose again before the run's planned end; else it may have fallen on."""
    return bool(run["best_step"] < run["steps"])


def shown_size(data: Data) -> int:
    """The largest size: the one that overfits most."""
    return max(run["params"] for run in data.runs)


def _stops(axes: Axes, runs: list[Row], bounds: list[float], colours: marks.SizeColours) -> None:
    sizes = sorted({run["params"] for run in runs})
    longest = max((run["steps"] for run in runs), default=1)
    shown = np.minimum(bounds, BEYOND * longest)
    for run, x in zip(runs, shown, strict=True):
        marker = marks.MARKERS[sizes.index(run["params"]) % len(marks.MARKERS)]
        colour = colours(run["unique_tokens"])
        face: dict[str, Any] = {} if stopped(run) else {"mfc": "white", "mec": colour, "mew": 0.9}
        marks.point(axes, float(x), run["best_step"], run, colour, marker=marker)
        if face:
            axes.lines[-1].set(**face)
    low, high = scales.padded([*shown, *(run["best_step"] for run in runs)])
    axes.plot([low, high], [low, high], color=marks.INK, lw=1.0, ls=(0, (4, 2)), zorder=2)
    axes.set_xlim(*scales.padded(shown))
    axes.set_ylim(low, high)  # so that the bound is there to be seen, however far below
    scales.count_axis(axes, "x", r"bound $S_c\,[L(N,D) - L(N,\infty)]^{-1/\alpha_S}$ (steps)")
    scales.count_axis(axes, "y", r"step of the lowest loss $S_{\mathrm{stop}}$ (steps)")
    kept = [run["best_step"] >= b for run, b in zip(runs, bounds, strict=True) if stopped(run)]
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
                          label="at its end, still falling"))  # fmt: skip
    handles.append(Line2D([], [], color=marks.INK, lw=1.0, ls=(0, (4, 2)), label="the bound"))
    marks.legend_below(axes, handles, 3)


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
