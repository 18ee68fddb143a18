"""Critical batch size against loss: the fronts of every size, the law, and the noise scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import NATS, Data, FittedLaw, Row

LAW = "critical_batch"
FOUND = "converged"
STRETCH = 0.02  # natural log of the loss: noise scales of so wide a stretch are one cross
BATCH = r"critical batch size $B_{\mathrm{crit}}$ (tokens)"
BEYOND: dict[str, Any] = {"lw": 0.9, "ls": (0, (4, 2))}


def draw(figure: Figure, data: Data) -> None:
    """One panel, the loss falling to the right: a dot for each front, the law with its band."""
    figure.set_size_inches(frame.COLUMN, 3.7)
    axes = figure.subplots()
    fit = data.fits[LAW]
    unit = "loss" if data.unit == NATS else "bits_per_byte"  # of the law
    fronts = [{**row, "loss": row[unit]} for row in data.critical_batches if row["critical_batch"]]
    colours = marks.SizeColours(row["params"] for row in data.critical_batches)
    noise = [found for found in noise_scales(data) if found[0] in colours.sizes]
    for row in fronts:
        _front(axes, row, colours(row["params"]))
    for params, loss, scale in noise:
        axes.plot(loss, scale, marker="x", ms=2.8, mew=0.8, ls="none", color=colours(params),
                  zorder=2.5)  # fmt: skip
    measured = [row["loss"] for row in fronts if row["status"] == FOUND]
    low, high = scales.padded(row["loss"] for row in fronts)
    if fit.drawable and measured:
        _law(axes, fit, (low, high), (min(measured), max(measured)))
    axes.set_xlim(high, low)
    axes.set_ylim(*scales.padded([row["critical_batch"] for row in fronts]
                                 + [scale for _, loss, scale in noise if low <= loss <= high],
                                 share=0.25))  # fmt: skip
    scales.count_axis(axes, "y", BATCH)
    scales.loss_axis(axes, "x", f"validation {data.loss_label}")
    marks.strip(axes, fit, 1, "front")
    marks.doubts(figure, {LAW: fit}, 62)
    marks.legend_below(axes, _handles(fit, fronts, noise), 2)
    colours.key(figure, [axes])


def noise_scales(data: Data) -> Iterator[tuple[int, float, float]]:
    """(N, loss, noise scale): the median over the curves of a size in each stretch of loss."""
    found: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for run in data.runs:
        curve = data.curves.get(run["cell"]) if run["included"] else None
        per_nat = run["loss"] / curve[-1]["val_loss"] if curve else 1.0  # the loss may be in bits
        for row in curve or ():
            if row["noise_scale"] and row["noise_scale"] > 0:
                pair = per_nat * row["val_loss"], row["noise_scale"]
                stretch = round(np.log(pair[0]) / STRETCH)
                found.setdefault((run["params"], stretch), []).append(pair)
    for (params, _), pairs in sorted(found.items()):
        loss, scale = np.median(np.array(pairs), axis=0)
        yield params, float(loss), float(scale)


def _front(axes: Axes, row: Row, colour: Any) -> None:
    """One measurement; its interval is cut where the axes end."""
    known = row["status"] == FOUND
    value, low, high = (row[f"critical_batch{end}"] for end in ("", "_low", "_high"))
    if known and low is not None:
        axes.plot([row["loss"]] * 2, [low, high], color=colour, lw=0.8, zorder=3)
    face = {"mfc": colour, "mec": "white", "mew": 0.5} if known else {"mfc": "white", "mec": colour}
    axes.plot(row["loss"], value, marker="o", ls="none", zorder=4, **face)


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


def _handles(fit: FittedLaw, fronts: list[Row], noise: list[Any]) -> list[Any]:
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
        handles.append(Line2D([], [], marker="x", ms=2.8, mew=0.8, color=marks.GREY, ls="none",
                              label="gradient noise scale"))  # fmt: skip
    return handles


if __name__ == "__main__":
    frame.main(LAW, draw)
