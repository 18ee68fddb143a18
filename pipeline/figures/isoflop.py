"""Loss against N at each budget: the runs, the line of approach 2 and its minimum, and a law's."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from pipeline.approaches import APPROACHES
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row, estimate

NONE = "no budget with several sizes"  # in place of a method: runs alone
LISTED = 12  # more budgets than this get a colour bar instead of a list
FOUND = "converged"
MINIMA = [name for name, entry in APPROACHES.items() if entry.isoflop]


def draw(figure: Figure, data: Data) -> None:
    """A panel for each method; solid its lines and stars, dashed and hollow the law beside it."""
    methods = [name for name in MINIMA if _rows(data, name)]
    law = beside(data)
    wide = len(methods) > 1
    figure.set_size_inches(frame.WIDE if wide else frame.COLUMN, 3.7)
    panels = figure.subplots(1, max(len(methods), 1), sharex=True, sharey=True, squeeze=False)[0]
    budgets = sorted({row["flops"] for name in methods for row in _rows(data, name)})
    colours = marks.SizeColours(budgets, matplotlib.colormaps["plasma"])
    for method, axes in zip(methods or [NONE], panels):
        axes.set_label(method)
        _panel(axes, data, method, law, colours)
        axes.set_title(heading(data, method), linespacing=1.35)
    for axes in panels:
        scales.count_axis(axes, "x", scales.PARAMS)
    scales.loss_axis(panels[0], label=data.measured_label)
    _key(figure, panels, budgets, colours)
    figure.legend(handles=_handles(data, law), loc="outside upper left", ncols=4 if wide else 1)
    _refusals(figure, data, methods, 130 if wide else 62)


def _rows(data: Data, approach: str) -> list[Row]:
    return [row for row in data.optima if row["approach"] == approach]


def best_first(data: Data, laws: Sequence[str]) -> list[str]:
    """Laws by how they predict larger runs, then by how they fit their own."""
    ranks = {row["law"]: row["out_of_sample_rank"] for row in reversed(data.ranking)}

    def place(name: str) -> tuple[float, float]:
        return ranks.get(name) or math.inf, -(data.fits[name].r_squared or 0.0)

    return sorted(laws, key=place)


def beside(data: Data) -> str | None:
    """The law shown beside approach 2: the best of those with an optimum."""
    named = [name for name in data.fits if any(row["params"] for row in _rows(data, name))]
    return next(iter(best_first(data, named)), None)


def loss_column(data: Data) -> str:
    """The column of the runs that was fitted."""
    unit = next(iter(data.fits.values())).saved.card["convention"].get("loss")
    return "bits_per_byte" if unit == "bits/byte" else "loss"


def _panel(
    axes: Axes, data: Data, method: str, law: str | None, colours: marks.SizeColours
) -> None:
    fit = next(iter(data.fits.values()))
    params, flops, loss = fit.column("params"), fit.column("flops"), loss_column(data)
    rows = _rows(data, method)
    for run in data.runs:
        if not (run[params] and run[flops]):
            continue
        own = [row for row in rows if row["flops_low"] <= run[flops] <= row["flops_high"]]
        colour = colours(own[0]["flops"]) if own else marks.PALE
        marks.point(axes, run[params], run[loss], run, colour, ms=3.4)
    for row in rows:
        colour = colours(row["flops"])
        axes.plot(row["curve_params"], row["curve_loss"], color=colour, lw=1.2, zorder=3)
        if row["status"] == FOUND:
            _star(axes, row, colour)
    for row in _rows(data, law) if law else []:
        colour = colours(row["flops"])
        axes.plot(row["curve_params"], row["curve_loss"], color=colour, lw=0.7, ls=(0, (4, 2)))
        if row["params"]:
            axes.plot(row["params"], row["loss"], marker="D", ms=3.6, mfc="white", mec=colour,
                      mew=0.9, ls="none", zorder=5)  # fmt: skip


def _star(axes: Axes, row: Row, colour: Any) -> None:
    ends = None
    if row["params_low"] is not None:
        ends = [[max(row["params"] - row["params_low"], 0)],
                [max(row["params_high"] - row["params"], 0)]]  # fmt: skip
    axes.errorbar(
        row["params"], row["loss"], xerr=ends, fmt="*", ms=8, color=colour, mec=marks.INK, mew=0.5,
        ecolor=marks.INK, elinewidth=0.8, capsize=2, zorder=6,
    )  # fmt: skip


def heading(data: Data, method: str) -> str:
    """The method, and the exponent that it gives, with its widest interval."""
    if method not in APPROACHES:
        return method
    lines = [APPROACHES[method].title]
    rows = [r for r in data.allocations if (r["approach"], r["quantity"]) == (method, "params")]
    if rows and rows[0]["exponent"] is not None:
        row, ends = rows[0], widest(rows)
        lines.append(rf"$N^* \propto C^{{\,a}}$ with $a$ = {estimate(row['exponent'], *ends)}")
        lines.append(f"through {row['budgets']} budgets, {row['runs']} runs")
    elif rows:
        lines += textwrap.wrap(f"no exponent: {rows[0]['reason']}", 56)
    return "\n".join(lines)


def widest(rows: Sequence[Row]) -> tuple[float | None, float | None]:
    """The ends that hold the intervals of all kinds of resampling; None where there is none."""
    lows = [row["low"] for row in rows if row["low"] is not None]
    highs = [row["high"] for row in rows if row["high"] is not None]
    return (min(lows), max(highs)) if lows and highs else (None, None)


def _key(
    figure: Figure, panels: Sequence[Axes], budgets: Sequence[float], colours: marks.SizeColours
) -> None:
    if not budgets:
        return
    if len(budgets) > LISTED:
        bar = figure.colorbar(ScalarMappable(colours.norm, colours.map), ax=list(panels), pad=0.02)
        bar.outline.set_visible(False)
        scales.flops_axis(bar.ax, "y", "compute $C$ (FLOP)")
        return
    handles = [Line2D([], [], color=colours(c), lw=2.2) for c in reversed(budgets)]
    listed = Legend(
        panels[-1], handles, [scales.power_of_ten(float(f"{c:.1e}")) for c in reversed(budgets)],
        title="$C$ (FLOP)", loc="upper left", bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip
    panels[-1].add_artist(listed)
    listed.set_clip_on(False)  # else the layout leaves it no room


def _handles(data: Data, law: str | None) -> list[Any]:
    handles: list[Any] = []
    for level in {100 * row["level"] for row in data.optima if row["approach"] in MINIMA}:
        handles.append(
            Line2D([], [], color=marks.GREY, lw=1.2, marker="*", ms=8, mec=marks.INK, mew=0.5,
                   label=f"approach 2: line, minimum, {level:.3g} % interval")
        )  # fmt: skip
    if law:
        handles.append(
            Line2D([], [], color=marks.GREY, lw=0.7, ls=(0, (4, 2)), marker="D", ms=3.6,
                   mfc="white", mec=marks.GREY, label=f"approach 3: {law} and its optimum")
        )  # fmt: skip
    return handles + marks.state_handles(data.runs)


def _refusals(figure: Figure, data: Data, methods: Sequence[str], width: int) -> None:
    """Below the figure, in lines of ``width``: which budgets have no minimum, and why."""
    reasons: dict[str, list[str]] = {}
    for method in methods:
        for row in _rows(data, method):
            if row["status"] != FOUND:
                reasons.setdefault(row["reason"], []).append(method.removeprefix("isoflop_"))
    lines = []
    for reason, names in reasons.items():
        lines += textwrap.wrap(f"{', '.join(names)}: {reason}", width, subsequent_indent="  ")
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=marks.LABEL_SIZE,
                         color=marks.VERMILLION, linespacing=1.3)  # fmt: skip


if __name__ == "__main__":
    frame.main("isoflop", draw)
