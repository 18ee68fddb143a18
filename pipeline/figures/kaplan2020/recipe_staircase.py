"""How the exponent of the best size falls as the recipe of training is put right, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.isoflop import widest
from pipeline.findings.data import Data, Row, estimate

STEPS = {
    "recipe_paper": ("as in the paper:\nlong warmup, one\nrate, no decay", marks.VERMILLION, "o"),
    "recipe_head": ("parameters and\nFLOP of the last\nlayer counted", marks.ORANGE, "s"),
    "recipe_warmup": ("warmup that\nsmall budgets\ncan afford", marks.PURPLE, "^"),
    "recipe_decay": ("rate decayed at\nthe end of each\nbudget", marks.SKY, "D"),
    "recipe_tuned": ("rate tuned\nto each\nsize", marks.BLUE, "v"),
}
PUBLISHED = {"Kaplan et al.": 0.73, "Hoffmann et al.": 0.50}
APPROACH = "isoflop_curves"
WHOLE = (math.floor, min), (math.ceil, max)  # of an axis' ends in compute
BOTTOM, TOP = -0.2, 1.4  # of the axis; bars that tell nothing go on beyond it


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Above the exponent under each recipe; below the isoFLOP minima that it goes through."""
    figure.set_size_inches(frame.WIDE, 4.9)
    grid = figure.add_gridspec(2, len(STEPS), height_ratios=(1.25, 1))
    above = figure.add_subplot(grid[0, :])
    above.set_label("exponent")
    known = {name: exponent(data[name]) for name in STEPS}
    for place, (name, row) in enumerate(known.items()):
        _step(above, place, name, row)
    _frame(above, known)
    first: Axes | None = None
    for place, name in enumerate(STEPS):
        axes = figure.add_subplot(grid[1, place], sharex=first, sharey=first)
        axes.set_label(name)
        _minima(axes, data[name], name, known[name][0])
        axes.tick_params(labelleft=place == 0)
        first = first or axes
    if first:
        _limits(first, data)
    figure.supxlabel("compute $C$ (FLOP); the first panel counts $C$ and $N$ without, "
                     "the others with the last layer", fontsize=8)  # fmt: skip


def exponent(data: Data) -> tuple[Row | None, tuple[float | None, float | None]]:
    """The row of the exponent of N* along curves, and the widest of its intervals."""
    rows = [r for r in data.allocations if (r["approach"], r["quantity"]) == (APPROACH, "params")]
    return (rows[0], widest(rows)) if rows else (None, (None, None))


def _step(
    axes: Axes, place: int, name: str, of: tuple[Row | None, tuple[float | None, float | None]]
) -> None:
    _, colour, marker = STEPS[name]
    row, (low, high) = of
    if row is None or row["exponent"] is None:
        axes.annotate("no exponent", (place, 0.02), xycoords=("data", "axes fraction"), ha="center",
                      fontsize=marks.LABEL_SIZE, color=marks.VERMILLION)  # fmt: skip
        return
    face: dict[str, Any] = {"mfc": "white", "mew": 1.2}
    told = f"{estimate(row['exponent'], low, high)}, no interval"
    if low is not None and high is not None:
        face = {"mfc": colour, "mec": "white", "mew": 0.7}
        told = estimate(row["exponent"], low, high)
        axes.plot([place, place], [low, high], color=colour, lw=1.6, marker="_", ms=7, mew=1.2,
                  zorder=3)  # fmt: skip
    axes.plot(place, row["exponent"], marker=marker, ms=7, color=colour, ls="none", zorder=4,
              gid=f"exponent.{name}", **face)  # fmt: skip
    axes.plot([place - 0.5, place + 0.5], [row["exponent"]] * 2, color=marks.PALE, lw=1.0, zorder=2)
    axes.annotate(
        told, (place, min(row["exponent"] if high is None else high, TOP - 0.1)), (0, 6),
        textcoords="offset points", ha="center", fontsize=marks.LABEL_SIZE, zorder=5,
        bbox={"fc": "white", "alpha": 0.85, "lw": 0, "pad": 0.8},
    )  # fmt: skip


def _frame(axes: Axes, known: Mapping[str, Any]) -> None:
    rows = [row for row, _ in known.values() if row and row["exponent"] is not None]
    axes.set_xlim(-0.5, len(STEPS) - 0.5)
    for name, value in PUBLISHED.items():
        axes.axhline(value, color=marks.INK, lw=0.8, ls=(0, (4, 2)), zorder=1)
        axes.annotate(
            f"{name}\n$a$ = {value:.2f}", (1, value), (3, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=marks.LABEL_SIZE, color=marks.INK,
            annotation_clip=False,
        )  # fmt: skip
    axes.set_xticks(range(len(STEPS)), [text for text, _, _ in STEPS.values()])
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")
    axes.margins(y=0.15)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, BOTTOM), min(high, TOP))
    axes.set_ylabel("exponent $a$ (dimensionless)")
    level = next((f"{100 * row['level']:.3g} % intervals" for row in rows), "")
    axes.set_title(rf"$N^* \propto C^{{\,a}}$ through minima along loss curves; {level}")


def _minima(axes: Axes, data: Data, name: str, row: Row | None) -> None:
    """The minima at the budgets of the grid, their intervals, and the line of the exponent."""
    _, colour, marker = STEPS[name]
    for best in _optima(data):
        if best["params_low"] is not None:
            axes.plot([best["flops"]] * 2, [best["params_low"], best["params_high"]], color=colour,
                      lw=0.8, alpha=0.5, zorder=2)  # fmt: skip
        axes.plot(best["flops"], best["params"], marker=marker, ms=3.2, color=colour, mec="white",
                  mew=0.4, ls="none", zorder=3)  # fmt: skip
    if row and row["exponent"] is not None:
        grid = np.geomspace(row["flops_low"], row["flops_high"], 40)
        line = row["coefficient"] * (grid / row["reference"]) ** row["exponent"]
        axes.plot(grid, line, color=marks.INK, lw=0.9, zorder=4)


def _optima(data: Data) -> list[Row]:
    return [row for row in data.optima if row["approach"] == APPROACH and row["params"]]


def _limits(axes: Axes, data: Mapping[str, Data]) -> None:
    best = [row for name in STEPS for row in _optima(data[name])]
    ends = [row["flops"] for row in best]
    # Whole powers of ten: a narrow panel has no room for the labels of other ticks.
    if ends:
        axes.set_xlim(*(10.0 ** whole(math.log10(end(ends))) for whole, end in WHOLE))
    axes.set_ylim(*scales.padded(row["params"] for row in best))
    scales.flops_axis(axes, "x", "")
    scales.count_axis(axes, "y", "best size $N^*$ (parameters)")
    axes.xaxis.get_major_locator().most = 3  # type: ignore[attr-defined]


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "recipe_staircase", draw)
