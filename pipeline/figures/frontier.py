"""N*(C) and D*(C) by approaches 1, 2 and 3 side by side, with their exponents."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.approaches import APPROACHES
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.isoflop import best_first, widest
from pipeline.findings import data as tables
from pipeline.findings.data import Data, Row

LAWS_SHOWN = 3  # beside the approaches; those that predict larger runs best
NO_LINE = "No approach finds an exponent in these runs;\nwhy stands below."
BEYOND = 10.0  # times the largest budget: how far lines are continued
STYLES = {
    "envelope": ("1, envelope", marks.GREEN, "^"),
    "isoflop_parabola": ("2, parabolas", marks.ORANGE, "s"),
    "isoflop_akima": ("2, Akima", marks.PURPLE, "o"),
    "isoflop_curves": ("2, along curves", marks.SKY, "D"),
}
FAINT = {"params": "optimal parameters $N^*$", "tokens": "optimal training tokens $D^*$"}


class _Style(NamedTuple):
    label: str
    colour: Any
    marker: str


def draw(figure: Figure, data: Data) -> None:
    """Two panels; solid where compute was measured, dashed beyond; the exponents below."""
    names = shown(data)
    lined = any(_has_line(data, name) for name in names)
    budgets = [row["flops"] for row in data.optima if row["params"] and row["approach"] in names]
    beyond = [BEYOND * max(budgets)] if budgets and lined else []
    limits = scales.padded([*budgets, *beyond], 0.04 if lined else 0.2)
    if not budgets and not lined:
        told = [f"approach {_style(name).label}:  {exponents(data, name)}" for name in names]
        figure.set_size_inches(frame.WIDE, 0.4 + 0.16 * len(told))
        marks.head(figure, "\n".join(["No approach finds an exponent in these runs:", *told]))
        return
    figure.set_size_inches(frame.WIDE, 4.2)
    panels = figure.subplots(1, 2)
    fit = next(iter(data.fits.values()))
    for axes, (quantity, label) in zip(panels, FAINT.items()):
        axes.set_label(quantity)
        for name in names:
            _approach(axes, data, name, quantity, limits)
        axes.set_xlim(*limits)
        scales.flops_axis(axes, "x", scales.FLOPS[fit.column("flops")])
        scales.count_axis(axes, "y", label)
        if not lined:
            axes.text(0.5, 0.5, NO_LINE, transform=axes.transAxes, ha="center", va="center",
                      color=marks.VERMILLION)  # fmt: skip
    figure.legend(handles=_handles(data, names), loc="outside lower left", ncols=1)


def shown(data: Data) -> list[str]:
    """The approaches of the tables, then the fitted laws; of many, those that predict best."""
    there = {row["approach"] for row in data.allocations}
    laws = [law for law in data.fits if law in there]
    best = best_first(data, laws)[:LAWS_SHOWN]
    return [name for name in APPROACHES if name in there] + [law for law in laws if law in best]


def _style(name: str) -> _Style:
    if name in STYLES:
        return _Style(*STYLES[name])
    return _Style(f"3, {name}", marks.law_colour(name), "")


def _lines(data: Data, name: str, quantity: str) -> list[Row]:
    return [
        row for row in data.allocations if (row["approach"], row["quantity"]) == (name, quantity)
    ]


def _approach(
    axes: Axes, data: Data, name: str, quantity: str, limits: tuple[float, float]
) -> None:
    _, colour, marker = _style(name)
    if marker:
        for row in data.optima:
            if row["approach"] == name and row[quantity]:
                _optimum(axes, row, quantity, colour, marker)
    rows = _lines(data, name, quantity)
    if not rows or rows[0]["exponent"] is None:
        return
    low, high = rows[0]["flops_low"], rows[0]["flops_high"]
    grid = np.unique(np.r_[np.geomspace(*limits, 160), low, high])
    line = rows[0]["coefficient"] * (grid / rows[0]["reference"]) ** rows[0]["exponent"]
    inside = (grid >= low) & (grid <= high)
    dashes = "-" if marker else (0, (6, 1.5))
    axes.plot(grid[inside], line[inside], color=colour, lw=1.4, ls=dashes, zorder=3)
    axes.plot(grid, line, color=colour, lw=0.8, ls=(0, (1.5, 1.5)), zorder=2.8)
    marks.band(axes, grid, _band(rows, grid), colour)


def _band(rows: list[Row], grid: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Pointwise ends of the lines of all kinds of resampling; None where there are none."""
    ends = []
    for row in rows:
        if row["low"] is None:
            continue
        slopes, levels = np.array(row["exponents"]), np.array(row["coefficients"])
        known = np.isfinite(slopes) & np.isfinite(levels) & (levels > 0)
        logs = np.log(levels[known])[:, None]
        logs = logs + slopes[known][:, None] * np.log(grid / row["reference"])
        outside = (1 - row["level"]) / 2
        ends.append(np.exp(np.quantile(logs, [outside, 1 - outside], axis=0)))
    if not ends:
        return None
    return np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)


def _optimum(axes: Axes, row: Row, quantity: str, colour: Any, marker: str) -> None:
    value, low, high = (row[f"{quantity}{end}"] for end in ("", "_low", "_high"))
    bars = None if low is None else [[max(value - low, 0)], [max(high - value, 0)]]
    across = [[row["flops"] - row["flops_low"]], [row["flops_high"] - row["flops"]]]
    axes.errorbar(
        row["flops"], value, yerr=bars, xerr=across, fmt=marker, ms=3.4, color=colour,
        mec="white", mew=0.4, elinewidth=0.7, zorder=4,
    )  # fmt: skip


def _handles(data: Data, names: list[str]) -> list[Line2D]:
    """One entry for each approach: its exponents with intervals, its budgets and runs.

    One without a line has none here either.
    """
    handles = []
    for name in names:
        label, colour, marker = _style(name)
        dashes: Any = "-" if marker else (0, (6, 1.5))
        text = f"approach {label}:  {exponents(data, name)}"
        handles.append(
            Line2D([], [], color=colour, lw=1.4, ls=dashes if _has_line(data, name) else "none",
                   marker=marker or None, ms=3.4, label=text)
        )  # fmt: skip
    if any(_has_line(data, name) for name in names):
        level = next((100 * row["level"] for row in data.allocations), 0.0)
        handles.append(
            Line2D([], [], color=marks.GREY, lw=0.8, ls=(0, (1.5, 1.5)),
                   label=r"$N^* \propto C^{\,a}$, $D^* \propto C^{\,b}$; bands and brackets: "
                   f"{level:.3g} %; dotted: beyond the budgets of the runs")
        )  # fmt: skip
    return handles


def _has_line(data: Data, name: str) -> bool:
    rows = _lines(data, name, "params")
    return bool(rows) and rows[0]["exponent"] is not None


def exponents(data: Data, name: str) -> str:
    """The exponents of N* and D* with their widest intervals, or why there are none."""
    parts = []
    for quantity, symbol in (("params", "a"), ("tokens", "b")):
        rows = _lines(data, name, quantity)
        if rows[0]["exponent"] is None:
            return str(rows[0]["reason"])
        parts.append(f"${symbol}$ = {tables.estimate(rows[0]['exponent'], *widest(rows))}")
    row = _lines(data, name, "params")[0]
    what = "stretches" if name == "envelope" else "budgets"
    return f"{parts[0]},  {parts[1]};  {row['budgets']} {what}, {row['runs']} runs"


if __name__ == "__main__":
    frame.main("frontier", draw)
