"""Critical batch size against loss: the fronts of every size, the law, and the noise scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import BITS, Data, FittedLaw, Row

LAW = "critical_batch"
FOUND = "converged"
BATCH = r"critical batch size $B_{\mathrm{crit}}$ (tokens)"
CROSS: dict[str, Any] = {"marker": "x", "ms": 2.8, "mew": 0.8, "ls": "none"}
BEYOND: dict[str, Any] = {"lw": 0.9, "ls": (0, (4, 2))}


def draw(figure: Figure, data: Data) -> None:
    """One panel, the loss falling to the right: a dot for each front, the law with its band."""
    figure.set_size_inches(frame.COLUMN, 3.7)
    axes = figure.subplots()
    fit = data.fits[LAW]
    unit = "bits_per_byte" if data.unit == BITS else "loss"  # of the law
    rows = [{**row, "loss": row[unit]} for row in data.critical_batches]
    colours = marks.SizeColours(row["params"] for row in rows)
    fronts = [row for row in rows if row["critical_batch"]]
    noise = [row for row in rows if row["noise_scale"]]
    for row in fronts:
        _front(axes, row, colours(row["params"]))
    for row in noise:
        _noise(axes, row, colours(row["params"]))
    measured = [row["loss"] for row in fronts if row["status"] == FOUND]
    low, high = scales.padded(row["loss"] for row in fronts)
    if fit.drawable and measured:
        _law(axes, fit, (low, high), (min(measured), max(measured)))
    axes.set_xlim(high, low)
    heights = [row["critical_batch"] for row in fronts]
    heights += [row["noise_scale"] for row in noise if low <= row["loss"] <= high]
    axes.set_ylim(*scales.padded(heights, share=0.25))
    scales.count_axis(axes, "y", BATCH)
    scales.loss_axis(axes, "x", data.measured_label)
    marks.strip(axes, fit, 1, "front")
    marks.doubts(figure, {LAW: fit}, 62)
    marks.legend_below(axes, _handles(fit, fronts, noise), 2)
    colours.key(figure, [axes])


def _front(axes: Axes, row: Row, colour: Any) -> None:
    """One measurement; its interval is cut where the axes end."""
    known = row["status"] == FOUND
    value, low, high = (row[f"critical_batch{end}"] for end in ("", "_low", "_high"))
    if known and low is not None:
        axes.plot([row["loss"]] * 2, [low, high], color=colour, lw=0.8, zorder=3)
    face = {"mfc": colour, "mec": "white", "mew": 0.5} if known else {"mfc": "white", "mec": colour}
    axes.plot(row["loss"], value, marker="o", ls="none", zorder=4, **face)


def _noise(axes: Axes, row: Row, colour: Any) -> None:
    """One noise scale of the gradient; its interval is cut where the axes end."""
    if row["noise_scale_low"] is not None:
        ends = row["noise_scale_low"], row["noise_scale_high"]
        axes.plot([row["loss"]] * 2, ends, color=colour, lw=0.6, ls=":", zorder=2.5)
    axes.plot(row["loss"], row["noise_scale"], color=colour, zorder=2.5, **CROSS)


def _law(
    axes: Axes, fit: FittedLaw, shown: tuple[float, float], measured: tuple[float, float]
) -> None:
    """The law over the losses ``shown``, solid where it was ``measured``."""
    grid = np.geomspace(*shown, 200)
    colour = marks.law_colour(LAW)
    marks.band(axes, grid, fit.band(loss=grid), colour)
    axes.plot(grid, fit.predict(loss=grid), color=colour, zorder=2, **BEYOND)
    inside = np.geomspace(*measured, 200)
    axes.plot(inside, fit.predict(loss=inside), color=colour, zorder=3)


def _handles(fit: FittedLaw, fronts: list[Row], noise: list[Row]) -> list[Any]:
    colour = marks.law_colour(LAW)
    bars = " with interval" if any(row["critical_batch_low"] for row in fronts) else ""
    handles: list[Any] = [
        Line2D([], [], marker="o", color=marks.GREY, mec="white", mew=0.5, ls="none",
               label=f"$E_{{\\min}}/S_{{\\min}}${bars}")
    ]  # fmt: skip
    if any(row["status"] != FOUND for row in fronts):
        handles.append(Line2D([], [], marker="o", mfc="white", mec=marks.GREY, ls="none",
                              label="not determined"))  # fmt: skip
    if fit.drawable:
        handles.append(Line2D([], [], color=colour, label="law"))
        handles.append(Line2D([], [], color=colour, label="law, beyond them", **BEYOND))
        if fit.has_intervals:
            handles.append(marks.band_handle(fit, colour))
    if noise:
        handles.append(Line2D([], [], color=marks.GREY, label="gradient noise scale", **CROSS))
    return handles


if __name__ == "__main__":
    frame.main(LAW, draw)
