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
from pipeline.figures.data import Backtest, Data, FittedLaw, Row

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
    if test := fit.backtest:
        lines.append(f"backtest, {test.runs} runs: error {test.mape:.2f} %, "
                     f"bias {signed(test.bias)}")  # fmt: skip
    else:
        lines.append("no backtest: too few runs")
    return "\n".join(lines)


def signed(percent: float) -> str:
    """A percentage with its sign."""
    return f"{percent:+.2f} %".replace("-", "−")


def verdict(fits: Mapping[str, FittedLaw]) -> str:
    """Which law predicts the runs left out of its fit best, if any does, and how the others miss.

    One line for each law, the best first. A law is best where it beats every other one.
    """
    tests = {law: test for law, fit in fits.items() if (test := fit.backtest) is not None}
    if len(tests) < 2:
        known = "Only one law" if tests else "No law"
        return f"{known} could be tested on runs left out of its fit: none is named best."
    best, *rest = sorted(tests, key=lambda law: tests[law].mape)
    misses = fits[best].misses()
    equals = [law for law in rest if not beats(misses, fits[law].misses())]
    count = tests[best].runs
    if equals:
        names = " and ".join([best, *equals])
        lines = [f"{names} cannot be told apart on {count} run{'s' if count > 1 else ''}."]
        rest = [best, *rest]
    else:
        lines = [f"{best} predicts the {count} largest runs best: {_size(tests[best])}."]
    return "\n".join(
        [*lines, *(f"{law}: {_size(tests[law])}; {lean(tests[law])}." for law in rest)]
    )


def beats(misses: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether the absolute errors of one law are below another's by more than chance.

    Both are by cell. The mean of the paired differences must exceed its standard error, which one
    run does not give.
    """
    paired = np.array([others[cell] - misses[cell] for cell in misses.keys() & others.keys()])
    if len(paired) < 2:
        return False
    return bool(paired.mean() > paired.std(ddof=1) / np.sqrt(len(paired)))


def lean(test: Backtest) -> str:
    """How a law misses: too high, too low, or either way."""
    if abs(test.bias) <= 0.5 * test.mape:
        return "its errors have no common sign"
    return f"it puts them too {'high' if test.bias > 0 else 'low'} by {abs(test.bias):.2f} %"


def _size(test: Backtest) -> str:
    return f"{test.mape:.2f} % off on average, {test.worst:.2f} % at worst"


def _handles() -> list[Any]:
    return [
        Line2D([], [], marker="o", ls="none", color=marks.GREY, label="fit of all runs"),
        Line2D([], [], **HELD, label="held out, predicted from the rest"),
    ]


if __name__ == "__main__":
    frame.main("residuals", draw)
