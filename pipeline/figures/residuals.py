"""Observed against predicted loss, and errors against compute, for each law of N and D."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, FittedLaw, Row

HELD: dict[str, Any] = {
    "marker": "D",
    "ls": "none",
    "mfc": "none",
    "mec": marks.VERMILLION,
    "mew": 0.9,
    "ms": 4.0,
}


def draw(figure: Figure, data: Data) -> None:
    """A column of two panels for each law, headed by its backtest."""
    columns = len(data.fits)
    figure.set_size_inches(frame.COLUMN if columns == 1 else frame.WIDE, 4.8)
    panels = figure.subplots(2, columns, sharex="row", sharey="row", squeeze=False)
    colours = marks.SizeColours(run["params"] for run in data.runs)
    for (law, fit), top, bottom in zip(data.fits.items(), *panels, strict=True):
        top.set_label(f"{law}.predicted")
        bottom.set_label(f"{law}.error")
        _points(top, bottom, data, fit, colours)
        top.set_title(heading(law, fit), linespacing=1.35)
        column = fit.column("flops")
        scales.flops_axis(bottom, "x", scales.FLOPS[column])
        bottom.axhline(0, color=marks.INK, lw=0.8)
        bottom.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
        )
    scales.loss_axis(panels[0, 0], label="observed " + scales.LOSS)
    for top in panels[0]:
        scales.loss_axis(top, "x", "predicted " + scales.LOSS)
    panels[1, 0].set_ylabel("predicted / observed − 1 (%)")
    marks.head(figure, verdict(data.fits))
    marks.doubts(figure, data.fits, 62 * min(columns, 2))
    panels[0, 0].legend(handles=_handles(), loc="upper left")
    colours.key(figure, list(panels[0]))


def _points(
    top: Axes, bottom: Axes, data: Data, fit: FittedLaw, colours: marks.SizeColours
) -> None:
    runs = {run["cell"]: run for run in data.runs}
    rows = [row for row in fit.points if row["cell"] in runs]
    for row in rows:
        run = runs[row["cell"]]
        colour = colours(run["params"])
        if np.isfinite(row["predicted"]):
            marks.point(top, row["predicted"], row["observed"], run, colour)
            marks.point(bottom, row["flops"], _percent(row, "predicted"), run, colour)
        if row["held_out"] and row["backtest"] is not None and np.isfinite(row["backtest"]):
            top.plot(row["backtest"], row["observed"], zorder=5, **HELD,
                     gid=marks.gid(top, row["cell"], "backtest"))  # fmt: skip
            bottom.plot(row["flops"], _percent(row, "backtest"), zorder=5, **HELD,
                        gid=marks.gid(bottom, row["cell"], "backtest"))  # fmt: skip
    ends = [row["observed"] for row in rows]
    if not fit.drawable:
        for axes in (top, bottom):
            axes.text(0.5, 0.6, "no fit to compare with", transform=axes.transAxes, ha="center")
    if ends:
        low, high = scales.padded(ends)
        top.plot([low, high], [low, high], color=marks.INK, lw=0.8, zorder=1.5)


def _percent(row: Row, column: str) -> float:
    return 100.0 * (row[column] / row["observed"] - 1.0)


def heading(law: str, fit: FittedLaw) -> str:
    """Law, goodness of fit, and how it did on the runs it had not seen."""
    lines = [f"{law}: {marks.summary(fit)}"]
    if backtest := fit.backtest():
        count, size, bias = backtest
        lines.append(f"backtest, {count} runs: error {100 * size:.2f} %, bias {signed(bias)}")
    else:
        lines.append("no backtest: too few runs")
    return "\n".join(lines)


def signed(ratio: float) -> str:
    """A ratio in per cent with its sign."""
    return f"{100 * ratio:+.2f} %".replace("-", "−")


def verdict(fits: Mapping[str, FittedLaw]) -> str:
    """Which law wins, by the error on runs left out of its fit, and why the others lose."""
    errors = {law: fit.backtest() for law, fit in fits.items()}
    known = {law: error for law, error in errors.items() if error is not None}
    if len(known) < 2:
        count = "Only one law" if known else "No law"
        return f"{count} could be tested on runs left out of its fit: no winner is named."
    ranked = sorted(known, key=lambda law: known[law][1])
    best, rest = ranked[0], ranked[1:]
    lines = [
        f"{best} wins: it predicts the largest runs, unseen, within {100 * known[best][1]:.2f} %."
    ]
    for law in rest:
        _, size, bias = known[law]
        why = (
            f"it puts them {'too high' if bias > 0 else 'too low'} by {100 * abs(bias):.2f} %"
            if abs(bias) > 0.5 * size
            else "its errors have no common sign"
        )
        lines.append(f"{law}: {100 * size:.2f} %; {why}.")
    return "\n".join(lines)


def _handles() -> list[Any]:
    return [
        Line2D([], [], marker="o", ls="none", color=marks.GREY, label="fit of all runs"),
        Line2D([], [], **HELD, label="held out, predicted from the rest"),
    ]


if __name__ == "__main__":
    frame.main("residuals", draw)
