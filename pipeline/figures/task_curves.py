"""Errors on tasks against the loss along the curves, and which of them the loss predicts."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row

COLUMNS = 4
HEIGHT = 1.75  # inches of a row of panels
SHADE = 0.35  # opacity of the last part of the losses
CHANCE: dict[str, Any] = {"color": marks.INK, "lw": 0.9, "ls": (0, (4, 2))}


def draw(figure: Figure, data: Data) -> None:
    """A panel for each task, the loss falling to the right; one line for each curve."""
    runs = {run["cell"]: run for run in data.runs if run["source"] == "native"}
    colours = marks.SizeColours(run["params"] for run in runs.values())
    judged = {row["task"]: row for row in data.saturation}
    curves: dict[str, dict[str, list[Row]]] = {task: {} for task in judged}
    for row in data.task_curves:
        if row["val_loss"] is not None and row["task"] in judged:
            curves[row["task"]].setdefault(row["cell"], []).append(row)
    count = max(1, len(judged))
    columns, lines = min(count, COLUMNS), math.ceil(count / COLUMNS)
    figure.set_size_inches(frame.WIDE if columns > 2 else frame.COLUMN, 0.8 + HEIGHT * lines)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    panels = grid.ravel()
    for axes in panels[count:]:
        axes.remove()
    losses = [row["val_loss"] for own in curves.values() for rows in own.values() for row in rows]
    low, high = scales.padded(losses)
    for place, (axes, (task, verdict)) in enumerate(zip(panels, judged.items())):
        axes.set_ylabel("" if place % columns else "error (dimensionless)")
        axes.set_label(task)
        _panel(axes, verdict, curves[task], runs, colours)
        axes.set_xlim(high, low)
    figure.legend(handles=_handles(), ncols=4 if columns > 2 else 2, loc="outside upper left")
    colours.key(figure, [panels[columns - 1]])


def _panel(
    axes: Axes, verdict: Row, curves: dict[str, list[Row]], runs: dict[str, Row], colours: Any
) -> None:
    """The curves of one task, its chance level, and the part of the losses that it is judged by."""
    if verdict["loss_high"] is not None:
        axes.axvspan(verdict["loss_low"], verdict["loss_high"], color=marks.PALE, alpha=SHADE, lw=0)
    if verdict["chance"] is not None:
        axes.axhline(verdict["chance"], zorder=3, **CHANCE)
    for cell, rows in curves.items():
        run, rows = runs[cell], sorted(rows, key=lambda row: row["step"])
        colour = colours(run["params"])
        axes.plot([row["val_loss"] for row in rows], [row["error"] for row in rows],
                  color=colour, lw=0.7, alpha=0.8)  # fmt: skip
        marks.point(axes, rows[-1]["val_loss"], rows[-1]["error"], run, colour, ms=3)
    scales.loss_axis(axes, "x")
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.yaxis.set_major_formatter(scales.PlainDecimals())
    axes.set_title(f"{verdict['task']}: {verdict['kind']}")


def _handles() -> list[Any]:
    return [
        Line2D([], [], color=marks.GREY, lw=0.7, label="training"),
        Line2D([], [], marker="o", ms=3, color=marks.GREY, ls="none", label="end of a run"),
        Line2D([], [], label="guess", **CHANCE),
        Patch(color=marks.PALE, alpha=SHADE, lw=0, label="lowest third of losses"),
    ]


if __name__ == "__main__":
    frame.main("task_curves", draw)
