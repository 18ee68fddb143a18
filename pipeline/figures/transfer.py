"""Loss on other texts against model size and against the validation loss (after Kaplan, fig. 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.loss_by_position import largest_runs
from pipeline.findings.data import MINUS, NATS, Data, FittedLaw, Row, estimate

DASHED: dict[str, Any] = {"lw": 0.9, "ls": (0, (4, 2))}
SAME_TOKENS = 1.05  # token counts are rounded to whole steps


def draw(figure: Figure, data: Data) -> None:
    """Two panels, one colour and marker for each text; on the right its fitted line, if any.

    Against size stand the runs of each size at its largest D; they are joined where that is the
    same D for all sizes, else the difference between neighbours is one of D too.
    """
    figure.set_size_inches(frame.WIDE, 3.0 + 0.17 * len(data.fits))
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("params")
    right.set_label("loss")
    runs = {run["cell"]: run for run in data.runs if run["loss"] is not None}
    largest = {run["cell"] for run in largest_runs(data.runs)}
    counts = [runs[cell]["tokens"] for cell in largest & set(runs)]
    joined = bool(counts) and max(counts) <= SAME_TOKENS * min(counts)
    comparable = data.unit == NATS  # that of the other texts' losses
    limits = scales.padded(run["loss"] for run in runs.values())
    handles = []
    for text, look in looks(data).items():
        rows = [row for row in data.evaluations if row["corpus"] == text and row["cell"] in runs]
        pairs = [(runs[row["cell"]], row["loss"]) for row in rows]
        _plot(left, [pair for pair in pairs if pair[0]["cell"] in largest], "params", look, text,
              joined)  # fmt: skip
        _plot(right, pairs, "loss", look, text, joined=False)
        fit = data.fits.get(f"transfer@{text}")
        if fit is not None and fit.drawable:
            _line(right, fit, limits, look["color"])
        handles.append(
            Line2D([], [], ms=4, label=told(text, pairs if comparable else (), fit), **look)
        )
    if comparable:
        own = sorted(
            (run["params"], run["loss"]) for run in runs.values() if run["cell"] in largest
        )
        look = DASHED if joined else {"marker": "_", "ls": "none"}
        left.plot(*zip(*own), color=marks.INK, **look)
        right.plot(limits, limits, color=marks.INK, **DASHED)
        label, marker = "the validation text itself", "none" if joined else "_"
        handles.append(Line2D([], [], color=marks.INK, marker=marker, label=label, **DASHED))
    scales.count_axis(left, "x", scales.PARAMS)
    scales.loss_axis(right, "x", data.measured_label)
    scales.loss_axis(left, label=scales.LOSS)
    title = "text (gap to validation, nats/token)" if comparable else "text"
    if data.fits:
        level = next(iter(data.fits.values())).level
        title += f"; line $L' = k + s\\,L$ with {100 * level:.3g} % intervals"
    figure.legend(
        handles=handles, title=title, ncols=1 if data.fits else min(3, len(handles)),
        loc="outside upper left", alignment="left",
    )  # fmt: skip
    marks.doubts(figure, data.fits, 130)


def looks(data: Data) -> dict[str, dict[str, Any]]:
    """Colour and marker of each text."""
    texts = sorted({row["corpus"] for row in data.evaluations})
    return {
        text: {
            "color": marks.CATEGORIES[index % len(marks.CATEGORIES)],
            "marker": marks.MARKERS[index % len(marks.MARKERS)],
        }
        for index, text in enumerate(texts)
    }


def told(text: str, pairs: Sequence[tuple[Row, float]], fit: FittedLaw | None) -> str:
    """A text with its smallest and largest gap, and the numbers of its line where one is fitted."""
    gaps = [loss - run["loss"] for run, loss in pairs]
    if gaps:
        text += f" ({min(gaps):+.2f} to {max(gaps):+.2f})".replace("-", MINUS)
    if fit is None or not fit.drawable:
        return text
    numbers = [
        f"${p.symbol}$ = {estimate(row['value'], row['low'], row['high'])}"
        for p, row in fit.estimates
    ]
    return ",  ".join([f"{text}:  {numbers[0]}", *numbers[1:], f"{fit.runs} runs"])


def _line(axes: Axes, fit: FittedLaw, limits: tuple[float, float], colour: str) -> None:
    """The fitted line, which two logarithmic axes bend, and its band."""
    grid = np.geomspace(*limits, 100)
    marks.band(axes, grid, fit.band(loss=grid), colour)
    axes.plot(grid, fit.predict(loss=grid), color=colour, lw=0.9, zorder=2.5)


def _plot(
    axes: Axes, shown: Sequence[tuple[Row, float]], x: str, look: dict[str, Any], text: str,
    joined: bool,
) -> None:  # fmt: skip
    shown = sorted(shown, key=lambda pair: pair[0][x])
    if joined:
        axes.plot([run[x] for run, _ in shown], [y for _, y in shown], color=look["color"], lw=0.7,
                  alpha=0.6)  # fmt: skip
    for run, loss in shown:
        marks.point(axes, run[x], loss, run, look["color"], text, marker=look["marker"])


if __name__ == "__main__":
    frame.main("transfer", draw)
