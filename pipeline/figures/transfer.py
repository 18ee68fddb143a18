"""Loss on other texts against model size and against the validation loss (after Kaplan, fig. 8)."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, Row
from pipeline.figures.loss_by_position import largest_runs

DASHED: dict[str, Any] = {"lw": 0.9, "ls": (0, (4, 2))}
SAME_TOKENS = 1.05  # token counts are rounded to whole steps


def draw(figure: Figure, data: Data) -> None:
    """Two panels, one colour and marker for each text.

    Against size stand the runs of each size at its largest D; they are joined where that is the
    same D for all sizes, else the difference between neighbours is one of D too.
    """
    figure.set_size_inches(frame.WIDE, 3.0)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("params")
    right.set_label("loss")
    texts = sorted({row["corpus"] for row in data.evaluations})
    runs = {run["cell"]: run for run in data.runs if run["loss"] is not None}
    largest = {run["cell"] for run in largest_runs(data.runs)}
    ends: list[float] = [run["loss"] for run in runs.values()]
    counts = [runs[cell]["tokens"] for cell in largest & set(runs)]
    joined = bool(counts) and max(counts) <= SAME_TOKENS * min(counts)
    handles = []
    for index, text in enumerate(texts):
        colour = marks.CATEGORIES[index % len(marks.CATEGORIES)]
        marker = marks.MARKERS[index % len(marks.MARKERS)]
        rows = [row for row in data.evaluations if row["corpus"] == text and row["cell"] in runs]
        for axes, x in ((left, "params"), (right, "loss")):
            shown = [row for row in rows if axes is right or row["cell"] in largest]
            pairs = [(runs[row["cell"]], row["loss"]) for row in shown]
            _plot(axes, pairs, x, colour, marker, text, joined or axes is right)
        gaps = [row["loss"] - runs[row["cell"]]["loss"] for row in rows]
        label = f"{text} ({min(gaps):+.2f} to {max(gaps):+.2f})" if gaps else text
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4, label=label))
    own = sorted((run["params"], run["loss"]) for run in runs.values() if run["cell"] in largest)
    left.plot(*zip(*own), color=marks.INK, **(DASHED if joined else {"marker": "_", "ls": "none"}))
    low, high = scales.padded(ends)
    right.plot([low, high], [low, high], color=marks.INK, **DASHED)
    label = "the validation text itself"
    handles.append(
        Line2D([], [], color=marks.INK, marker="none" if joined else "_", label=label, **DASHED)
    )
    scales.count_axis(left, "x", scales.PARAMS)
    scales.loss_axis(right, "x", "validation " + scales.LOSS)
    scales.loss_axis(left, label=scales.LOSS)
    figure.legend(
        handles=handles, title="text (gap to validation, nats/token)", ncols=min(3, len(handles)),
        loc="outside upper left", alignment="left",
    )  # fmt: skip


def _plot(
    axes: Axes, shown: list[tuple[Row, float]], x: str, colour: str, marker: str, text: str,
    joined: bool,
) -> None:  # fmt: skip
    shown = sorted(shown, key=lambda pair: pair[0][x])
    xs, ys = [run[x] for run, _ in shown], [y for _, y in shown]
    axes.plot(xs, ys, color=colour, lw=0.7 if joined else 0.0, alpha=0.6)
    for run, loss in shown:
        marks.point(axes, run[x], loss, run, colour, text, marker=marker)


if __name__ == "__main__":
    frame.main("transfer", draw)
