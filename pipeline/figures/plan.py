"""The planned runs over the plane of N and D: equal loss, equal compute, caps, and the range."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.iso_loss import MEASURED, contours, measured
from pipeline.findings.data import Data, FittedLaw, Row

ROOM = 3.0  # times beyond the outermost run or plan that the plane is drawn
# Of plans; green is that of equal loss.
COLOURS = (marks.VERMILLION, marks.PURPLE, marks.BLUE, marks.ORANGE, marks.SKY)
EXTRAPOLATED = (30.0, 1000.0)  # times the largest measured compute, marked where they are in view


def draw(figure: Figure, data: Data) -> None:
    """One panel: the law that plans, the runs behind it, and each plan with its interval."""
    figure.set_size_inches(frame.COLUMN, 4.2)
    axes = figure.subplots()
    plans = by_question(data.plan)
    law = next(iter(plans.values()))["params"]["law"] if plans else next(iter(data.fits))
    fit = data.fits[law]
    _plane(axes, data, fit, plans)
    told = f"{law}: {marks.summary(fit)}" if plans else f"{law}: these runs determine no plan"
    axes.set_title(told, pad=13)
    marks.doubts(figure, {law: fit}, 62)
    figure.legend(handles=_handles(data, plans), loc="outside upper left", ncols=2)
    marks.legend_below(axes, _plan_handles(plans), 1)


def by_question(rows: list[Row]) -> dict[str, dict[str, Row]]:
    """Question -> quantity -> row, for the questions that have a run."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["asked"], {})[row["quantity"]] = row
    return {asked: plan for asked, plan in found.items() if "params" in plan}


def _plane(axes: Axes, data: Data, fit: FittedLaw, plans: dict[str, dict[str, Row]]) -> None:
    column = fit.column("params")
    sizes, counts = [run[column] for run in data.runs], [run["tokens"] for run in data.runs]
    wanted = {
        name: [plan[name]["value"] for plan in plans.values()] for name in ("params", "tokens")
    }
    x = _limits([*sizes, *wanted["params"]])
    y = _limits([*counts, *wanted["tokens"]])
    axes.set(xlim=x, ylim=y)
    scales.count_axis(axes, "x", scales.PARAMS)
    scales.count_axis(axes, "y", data.tokens_label)
    axes.grid(False)
    measured(axes, sizes, counts)
    for run in data.runs:
        marks.point(axes, run[column], run["tokens"], run, marks.INK, ms=2.6)
    largest = max(6.0 * n * d for n, d in zip(sizes, counts))
    for factor in EXTRAPOLATED:
        _budget(axes, factor * largest, marks.GREY, (0, (1, 2)), f"×{factor:g}")
    if fit.drawable:
        placed = [*zip(sizes, counts), *zip(wanted["params"], wanted["tokens"])]
        contours(axes, fit, x, y, placed)
    for index, plan in enumerate(plans.values()):
        _plan(axes, plan, COLOURS[index % len(COLOURS)])


def _limits(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return low / ROOM, high * ROOM


def _budget(axes: Axes, flops: float, colour: Any, style: Any, name: str = "") -> None:
    """A line of equal 6 N D, named where it leaves on top."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    if not 6 * left * bottom < flops < 6 * right * top:
        return
    n = np.array([left, right])
    axes.plot(n, flops / (6 * n), color=colour, lw=0.8, ls=style, zorder=1.2)
    above = flops / (6 * top)
    if name and left <= above <= right:
        axes.annotate(
            name, (above, 1), (0, 2), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", fontsize=7, color=colour,
        )  # fmt: skip


def _plan(axes: Axes, plan: dict[str, Row], colour: Any) -> None:
    """One plan: its budget as a line, the interval of its split along it, its caps, its point."""
    n, d = plan["params"], plan["tokens"]
    flops = 6.0 * n["value"] * d["value"]
    _budget(axes, flops, colour, "-")
    if n["low"] is not None and n["high"] > n["low"]:
        along = np.geomspace(n["low"], n["high"], 50)
        axes.plot(along, flops / (6 * along), color=colour, lw=5, alpha=2 * marks.BAND,
                  solid_capstyle="butt", zorder=1.4)  # fmt: skip
    for name, line in (("max_params", axes.axvline), ("max_tokens", axes.axhline)):
        if name in plan:
            line(plan[name]["value"], color=marks.INK, lw=1.0, ls=(0, (5, 1)), zorder=1.3)
    axes.plot([n["value"]], [d["value"]], marker="s", ms=5, mfc=colour, mec="white", mew=0.6,
              ls="none", zorder=5)  # fmt: skip


def spent(plan: dict[str, Row]) -> str:
    """The training compute of a plan, as mathtext."""
    return scales.power_of_ten(6.0 * plan["params"]["value"] * plan["tokens"]["value"])


def _handles(data: Data, plans: dict[str, dict[str, Row]]) -> list[Any]:
    handles: list[Any] = []
    if plans:
        handles += [
            Line2D([], [], color=marks.GREEN, lw=1, label=f"equal loss ({data.unit})"),
            Line2D(
                [],
                [],
                color=marks.GREY,
                lw=0.8,
                ls=(0, (1, 2)),
                label="times the largest run's $6ND$",
            ),
        ]
    handles += [
        Line2D([], [], marker="o", ls="none", ms=2.6, color=marks.INK, label="run"),
        Patch(fc=MEASURED, lw=0, label="among the runs"),
    ]
    if any("max_params" in plan or "max_tokens" in plan for plan in plans.values()):
        handles.append(Line2D([], [], color=marks.INK, lw=1.0, ls=(0, (5, 1)), label="cap"))
    return handles + marks.state_handles(data.runs)


def _plan_handles(plans: dict[str, dict[str, Row]]) -> list[Any]:
    """Each plan with its compute, and its loss with the interval."""
    handles: list[Any] = []
    for index, plan in enumerate(plans.values()):
        colour = COLOURS[index % len(COLOURS)]
        loss = plan["loss"]
        ends = "" if loss["low"] is None else f" [{loss['low']:.2f}, {loss['high']:.2f}]"
        label = f"{spent(plan)} FLOP: loss {loss['value']:.2f}{ends}"
        handles.append(Line2D([], [], marker="s", ms=4, mec="white", color=colour, label=label))
    return handles


if __name__ == "__main__":
    frame.main("plan", draw)
