"""How a budget is best split: N*(C) and D*(C) of each law, measured and extrapolated."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks, notes
from pipeline.findings.data import Data, ends

RATIO = 20.0  # tokens per parameter, Hoffmann et al. 2022, table 3
MEASURED = "#f1f1ec"


def draw(figure: Figure, data: Data) -> None:
    """Two panels; solid and shaded where compute was measured, dashed beyond."""
    figure.set_size_inches(frame.WIDE, 3.0 + notes.room(data.fits, 130))
    left, right = figure.subplots(1, 2)
    # An optimum splits C = 6ND, whatever C the laws of compute were fitted to.
    flops = [6 * row["params"] * row["tokens"] for fit in data.fits.values() for row in fit.points]
    plans = [row["flops"] for row in data.predictions if row["law"] in data.fits]
    low, high = (min(flops), max(flops)) if flops else (1.0, 10.0)
    limits = scales.padded([low, high, *plans, high * 10], 0.04)
    for axes, quantity in ((left, "params"), (right, "tokens")):
        axes.set_label(quantity)
        axes.axvspan(low, high, color=MEASURED, lw=0, zorder=0)
        axes.set_xlim(*limits)
        for law in _predicted(data):
            _law(axes, data, law, quantity, (limits[0], low, high, limits[1]))
        grid = np.array(limits)
        rule = np.sqrt(grid / (6 * RATIO))
        axes.plot(
            grid, rule if quantity == "params" else RATIO * rule, color=marks.INK, lw=0.8, ls=":"
        )
        scales.flops_axis(axes, "x", scales.FLOPS["flops_6nd"])
    scales.count_axis(left, "y", "optimal parameters $N^*$")
    scales.count_axis(right, "y", "optimal training tokens $D^*$")
    figure.legend(handles=_handles(data), loc="outside upper left", ncols=3)
    marks.doubts(figure, data.fits, 130)


def _predicted(data: Data) -> list[str]:
    """The laws whose optimum the runs determine; the others have no predictions."""
    found = {row["law"] for row in data.predictions}
    return [law for law in data.fits if law in found]


def _law(
    axes: Axes, data: Data, law: str, quantity: str, spans: tuple[float, float, float, float]
) -> None:
    fit, colour = data.fits[law], marks.law_colour(law)
    start, low, high, stop = spans
    grid = np.geomspace(start, stop, 200)
    best = fit.optimum(grid)
    if not best:
        return
    line = best[quantity].mid
    marks.band(axes, grid, ends(best[quantity]), colour)
    inside = (grid >= low) & (grid <= high)
    axes.plot(grid, line, color=colour, ls=(0, (4, 2)), lw=1.0, zorder=3)
    axes.plot(grid[inside], line[inside], color=colour, lw=1.6, zorder=3)
    for row in data.predictions:
        if row["planned"] and row["law"] == law and row["quantity"] == quantity:
            bars = None
            if row["low"] is not None and row["high"] is not None:
                bars = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axes.errorbar(
                row["flops"], row["value"], yerr=bars, fmt="s", ms=3.6, color=colour,
                mec="white", mew=0.4, elinewidth=0.9, capsize=2, zorder=4,
            )  # fmt: skip


def _handles(data: Data) -> list[Any]:
    handles: list[Any] = []
    for law, fit in data.fits.items():
        shown = law in _predicted(data)
        colour = marks.law_colour(law) if shown else "none"
        told = f"{law} ({fit.runs} runs)" if shown else f"{law}: optimum not determined"
        handles.append(Line2D([], [], color=colour, lw=1.6, label=told))
    if data.predictions:
        handles.append(marks.band_handle(next(iter(data.fits.values())), marks.GREY))
    handles += [
        Patch(fc=MEASURED, lw=0, label="measured compute; dashed: extrapolated"),
    ]
    if data.predictions:
        handles.append(Line2D([], [], marker="s", ls="none", ms=3.6, color=marks.GREY,
                              label="planned budget, with interval"))  # fmt: skip
    handles.append(
        Line2D([], [], color=marks.INK, lw=0.8, ls=":", label="$D = 20N$ (Hoffmann et al. 2022)")
    )
    return handles


if __name__ == "__main__":
    frame.main("allocation", draw)
