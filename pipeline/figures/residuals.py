"""Observed against predicted loss, and errors against compute, for each law of N and D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw, Row, held_out

COLUMNS = 4  # laws that a page has room for
HELD: dict[str, Any] = {
    "marker": "D",
    "ls": "none",
    "mfc": "none",
    "mec": marks.VERMILLION,
    "mew": 0.9,
    "ms": 4.0,
}


def draw(figure: Figure, data: Data) -> None:
    """A column of two panels for each law, headed by how it predicts runs held out of its fit."""
    shown = laws(data)
    columns = len(shown)
    figure.set_size_inches(frame.COLUMN if columns == 1 else frame.WIDE, 4.8)
    panels = figure.subplots(2, columns, sharex="row", sharey="row", squeeze=False)
    colours = marks.SizeColours(run["params"] for run in data.runs)
    for law, top, bottom in zip(shown, *panels, strict=True):
        fit = data.fits[law]
        held = held_out(data.backtest, law, fit.runs)
        top.set_label(f"{law}.predicted")
        bottom.set_label(f"{law}.error")
        _points(top, bottom, data, fit, colours)
        _held(top, bottom, held)
        top.set_title(heading(law, fit, held), linespacing=1.35)
        column = fit.column("flops")
        scales.flops_axis(bottom, "x", scales.FLOPS[column])
        bottom.axhline(0, color=marks.INK, lw=0.8)
        bottom.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
        )
    scales.loss_axis(panels[0, 0], label="observed " + data.loss_label)
    for top in panels[0]:
        scales.loss_axis(top, "x", "predicted " + data.loss_label)
    panels[1, 0].set_ylabel("predicted / observed − 1 (%)")
    marks.doubts(figure, {law: data.fits[law] for law in shown}, 62 * min(columns, 2))
    panels[0, 0].legend(handles=_handles(), loc="upper left")
    colours.key(figure, list(panels[0]))


def laws(data: Data) -> list[str]:
    """The fitted laws; where a page has no room for all, those that predict larger runs best."""
    ranks = {row["law"]: row["out_of_sample_rank"] for row in reversed(data.ranking)}
    best = sorted(data.fits, key=lambda law: ranks.get(law) or len(data.fits))[:COLUMNS]
    return [law for law in data.fits if law in best]


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
    ends = [row["observed"] for row in rows]
    if not fit.drawable:
        for axes in (top, bottom):
            axes.text(0.5, 0.6, "no fit to compare with", transform=axes.transAxes, ha="center")
    if ends:
        low, high = scales.padded(ends)
        top.plot([low, high], [low, high], color=marks.INK, lw=0.8, zorder=1.5)


def _held(top: Axes, bottom: Axes, held: Sequence[Row]) -> None:
    for row in held:
        for axes, x, y in (
            (top, row["predicted"], row["observed"]),
            (bottom, row["flops"], _percent(row, "predicted")),
        ):
            if np.isfinite(row["predicted"]):
                axes.plot(x, y, zorder=5, gid=marks.gid(axes, row["cell"], "held_out"), **HELD)


def _percent(row: Row, column: str) -> float:
    return 100.0 * (row[column] / row["observed"] - 1.0)


def heading(law: str, fit: FittedLaw, held: Sequence[Row]) -> str:
    """Law, goodness of fit, and how it did on the runs it had not seen."""
    lines = [f"{law}: {marks.summary(fit)}"]
    errors = np.array([row["error"] for row in held])
    if len(errors):
        bias = f"{errors.mean():+.2f}".replace("-", "−")
        count = f"{len(errors)} run{'s' if len(errors) > 1 else ''}"
        lines.append(f"{count} held out: error {np.abs(errors).mean():.2f} %, bias {bias} %")
    else:
        lines.append("could not be tested on larger runs")
    return "\n".join(lines)


def _handles() -> list[Any]:
    return [
        Line2D([], [], marker="o", ls="none", color=marks.GREY, label="fit of all runs"),
        Line2D([], [], **HELD, label="held out, predicted from the rest"),
    ]


if __name__ == "__main__":
    frame.main("residuals", draw)
