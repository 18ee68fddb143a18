"""Figure 23: a power law and a logarithm of model size: fit, residuals, and held-out error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data, FittedLaw, Row, estimate, held_out

LOOKS: dict[str, tuple[str, str, Any]] = {  # colour, marker, dashes
    "power_params": (marks.BLUE, "o", "-"),
    "log_params": (marks.VERMILLION, "s", (0, (4, 2))),
}
NAMES = {"power_params": "power law", "log_params": "logarithm"}
BEYOND = 10.0  # times the largest size: how far the lines go on


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Left both laws through the same runs; right their residuals, and the runs they foretold."""
    sizes = data["sizes"]
    fits = {law: sizes.fits[law] for law in LOOKS}
    figure.set_size_inches(frame.WIDE, 4.0 + algebra.room(fits, 130))
    left, right = figure.subplots(1, 2)
    left.set_label("loss")
    right.set_label("error")
    _laws(left, sizes, fits)
    _residuals(right, sizes, fits)
    handles: list[Any] = []
    for law, fit in fits.items():
        colour, marker, dashes = LOOKS[law]
        numbers = ",  ".join(
            f"${p.symbol}$ = {estimate(row['value'], row['low'], row['high'])}"
            for p, row in fit.estimates
        )
        handles.append(Line2D([], [], color=colour, marker=marker, mec="white", ls=dashes,
                              label=f"{NAMES[law]} ${fit.law.formula}$:  {numbers}"))  # fmt: skip
    handles.append(marks.band_handle(next(iter(fits.values())), marks.GREY))
    told = "foretold by a fit to the smaller sizes alone; right, both laws beside their size"
    handles.append(Line2D([], [], marker="o", ls="none", mfc="white", mec=marks.GREY, mew=0.9,
                          label=told))  # fmt: skip
    figure.legend(handles=handles, loc="outside upper left", ncols=1)
    marks.doubts(figure, fits, 130)


def errors(data: Data, law: str) -> list[Row]:
    """What a law, fitted to the smaller sizes, said of the larger: rows of the backtest."""
    return [row for row in held_out(data.backtest, law, data.fits[law].runs)
            if math.isfinite(row["predicted"])]  # fmt: skip


def held_out_error(data: Data, law: str) -> float | None:
    """Mean absolute error of these predictions, % of the loss; None where there are none."""
    rows = errors(data, law)
    return float(np.mean([abs(row["error"]) for row in rows])) if rows else None


def _laws(axes: Axes, data: Data, fits: Mapping[str, FittedLaw]) -> None:
    first = next(iter(fits.values()))
    column = first.column("params")
    runs = {run["cell"]: run for run in data.runs}
    for point in first.points:
        if point["cell"] in runs:
            marks.point(axes, point["params"], point["observed"], runs[point["cell"]], marks.INK)
    sizes = [point["params"] for point in first.points] or [run[column] for run in data.runs]
    low, high = scales.padded(sizes)
    grid = np.geomspace(low, BEYOND * high, 160)
    axes.set_xlim(low, BEYOND * high)
    axes.axvspan(max(sizes), BEYOND * high, color="#f3f3f3", zorder=0)
    for law, fit in fits.items():
        if fit.drawable:
            colour, _, dashes = LOOKS[law]
            marks.band(axes, grid, fit.band(params=grid), colour)
            axes.plot(grid, fit.predict(params=grid), color=colour, lw=1.2, ls=dashes, zorder=3)
    scales.count_axis(axes, "x", scales.PARAMS)
    scales.loss_axis(axes, label=data.measured_label)
    axes.set_title(f"{first.runs} runs at the largest $D$; grey: beyond them")


def _residuals(axes: Axes, data: Data, fits: Mapping[str, FittedLaw]) -> None:
    """Predicted less observed in % of the loss: filled within the fit, hollow foretold."""
    runs = {run["cell"]: run for run in data.runs}
    lines = []
    axes.axhline(0, color=marks.INK, lw=0.6)
    for index, (law, fit) in enumerate(fits.items()):
        colour, marker, dashes = LOOKS[law]
        aside = 1.04 if index else 1 / 1.04  # else equal ones hide each other; the legend says so
        own = sorted(fit.points, key=lambda point: point["params"])
        x = [aside * point["params"] for point in own]
        y = [100 * math.expm1(-point["residual"]) for point in own]
        axes.plot(x, y, color=colour, lw=0.8, ls=dashes, zorder=3)
        for at, height, point in zip(x, y, own, strict=True):
            if point["cell"] in runs:
                marks.point(axes, at, height, runs[point["cell"]], colour, law, marker=marker)
        for row in errors(data, law):
            axes.plot(
                aside * row["params"], row["error"], marker=marker, mfc="white", mec=colour,
                mew=1.0, ls="none", zorder=5, gid=marks.gid(axes, row["cell"], f"{law}.held"),
            )  # fmt: skip
        within, beyond = float(np.mean(np.abs(y))) if y else math.nan, held_out_error(data, law)
        told = "none" if beyond is None else f"{beyond:.2f} %"
        lines.append(f"{NAMES[law]}: {within:.2f} % within, {told} held out")
    scales.count_axis(axes, "x", scales.PARAMS)
    axes.set_ylabel("predicted less observed loss (%)")
    axes.set_title("mean absolute error\n" + "\n".join(lines), linespacing=1.35)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig23_power_or_logarithm", draw)
