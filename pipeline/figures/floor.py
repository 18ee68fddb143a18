"""The losses over tokens, and beside them the floor of each law that has one, or the exact one."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import UNUSABLE, Data, FittedLaw, Row, estimate, verdict
from pipeline.laws.base import Kind, Parameter

EXACT: dict[str, Any] = {"color": marks.INK, "lw": 0.9, "ls": (0, (4, 2))}
INTERVAL: dict[str, Any] = {"lw": 1.4, "marker": "_", "ms": 6, "mew": 1.1}


def draw(figure: Figure, data: Data) -> None:
    """Left the runs by size over D; right, on the same scale, each floor with its interval.

    Where the exact floor is known, the legend says which intervals hold it.
    """
    figure.set_size_inches(frame.COLUMN, 3.3 + (0.27 if data.known else 0.14) * len(data.fits))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    left.set_label("tokens")
    colours = marks.SizeColours(run["params"] for run in data.runs)
    _runs(left, data, colours)
    left.set_ylabel(data.measured_label)
    handles: list[Any] = []
    for place, (key, fit) in enumerate(data.fits.items()):
        parameter, row = floor(fit)
        if math.isfinite(row["value"]) and row["status"] not in UNUSABLE:
            colour = marks.law_colour(key)
            _floor(right, place, row, colour, f"{key}.{parameter.name}")
            told = estimate(row["value"], row["low"], row["high"])
            label = f"{key}: ${parameter.symbol}$ = {told}"
            if exact := data.truth(key).get(parameter.name):
                label += f"\nexact one {verdict(row, exact['value'])}"
            handles.append(Line2D([], [], marker="o", ms=4, ls="none", color=colour, label=label))
    handles += _exact((left, right), data)
    level = next(iter(data.fits.values())).level
    low, high = left.get_ylim()
    even = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    left.set_yticks([tick for tick in even if low <= tick <= high])
    right.set_xlabel(f"floor\n({data.unit})")
    right.set(xlim=(-0.7, len(data.fits) - 0.3), xticks=[])
    right.spines["left"].set_visible(False)
    right.tick_params(axis="y", length=0)
    colours.key(figure, (right,))
    marks.doubts(figure, data.fits, 62)
    title = f"floor with {100 * level:.3g} % interval" if handles else ""
    handles += marks.state_handles(data.runs)
    if handles:
        figure.legend(handles=handles, title=title, loc="outside upper left", alignment="left")


def floor(fit: FittedLaw) -> tuple[Parameter, Row]:
    """A law's floor and its estimate."""
    return next(pair for pair in fit.estimates if pair[0].kind is Kind.FLOOR)


def _runs(axes: Axes, data: Data, colours: marks.SizeColours) -> None:
    """Each run by its tokens, those of one size joined."""
    by_size: dict[float, list[Row]] = {}
    for run in data.runs:
        marks.point(axes, run["tokens"], run["loss"], run, colours(run["params"]))
        if run["included"] and run["loss"] is not None:
            by_size.setdefault(run["params"], []).append(run)
    for size, members in by_size.items():  # the runs come in the order of their tokens
        x, y = [run["tokens"] for run in members], [run["loss"] for run in members]
        axes.plot(x, y, color=colours(size), lw=0.7, alpha=0.6)
    counts = [run["tokens"] for run in data.runs]
    axes.set_xlim(*scales.padded(counts))
    scales.count_axis(axes, "x", data.tokens_label, counts)


def _floor(axes: Axes, place: int, row: Row, colour: str, gid: str) -> None:
    if row["low"] is not None and row["high"] is not None:
        axes.plot([place, place], [row["low"], row["high"]], color=colour, **INTERVAL)
    axes.plot(place, row["value"], marker="o", ms=4, ls="none", color=colour, zorder=3, gid=gid)


def _exact(panels: tuple[Axes, ...], data: Data) -> list[Any]:
    """A line across the panels at each exact floor; its entries in the legend."""
    exact = {}
    for key, fit in data.fits.items():
        row = data.truth(key).get(floor(fit)[0].name)
        if row:
            exact[row["value"]] = row["reason"]
    for value in exact:
        for axes in panels:
            axes.axhline(value, **EXACT, zorder=1.5)
    return [
        Line2D([], [], label=f"exact: {reason}, {value:.4g}", **EXACT)
        for value, reason in exact.items()
    ]


if __name__ == "__main__":
    frame.main("floor", draw)
