"""Critical batch size against loss: the fronts of every size, the law, and the noise scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import BITS, MINUS, Data, FittedLaw, Row

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
    _cuts(axes, fronts, noise, colours)
    scales.count_axis(axes, "y", BATCH)
    scales.loss_axis(axes, "x", data.measured_label)
    marks.strip(axes, fit, 1, "front", units=True)
    if sides := beside(fit, fronts):
        axes.set_title(f"{axes.get_title(loc='left')}\n{sides}", linespacing=1.35)
    marks.doubts(figure, {LAW: fit}, 62)
    marks.legend_below(axes, _handles(fit, fronts, noise), 2)
    colours.key(figure, [axes])


def beside(fit: FittedLaw, fronts: list[Row]) -> str:
    """How far the filled dots of each size lie from the law, on average; nothing of one size."""
    logs: dict[float, list[float]] = {}
    for row in fronts if fit.drawable else ():
        if row["status"] == FOUND:
            expected = float(fit.predict(loss=np.array([row["loss"]]))[0])
            logs.setdefault(row["params"], []).append(math.log(row["critical_batch"] / expected))
    if len(logs) < 2:
        return ""
    away = {size: 100 * math.expm1(sum(own) / len(own)) for size, own in sorted(logs.items())}
    told = [f"{scales.count(n)}: {round(x):+d} %".replace("-", MINUS) for n, x in away.items()]
    return f"off the law, on average: {', '.join(told[:3])}{', …' * (len(told) > 3)}"


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


def _cuts(axes: Axes, fronts: list[Row], noise: list[Row], colours: marks.SizeColours) -> None:
    """Arrows where an interval goes on beyond the axes."""
    (right, left), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    known = [row for row in fronts if row["status"] == FOUND]
    for name, rows in (("critical_batch", known), ("noise_scale", noise)):
        for row in rows:
            low, high = (row[f"{name}_{end}"] for end in ("low", "high"))
            if low is None or not left <= row["loss"] <= right:
                continue
            for cut, y, marker in ((high > top, top, "^"), (low < bottom, bottom, "v")):
                if cut:
                    axes.plot(row["loss"], y, marker=marker, ms=3, color=colours(row["params"]),
                              clip_on=False, zorder=5)  # fmt: skip


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
        if any(row["noise_scale_low"] is not None for row in noise):
            handles.append(Line2D([], [], color=marks.GREY, lw=0.8, ls=":", label="its interval"))
    return handles


if __name__ == "__main__":
    frame.main(LAW, draw)
