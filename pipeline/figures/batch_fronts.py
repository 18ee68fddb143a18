"""Steps against tokens to the same loss: the batch sizes of each size, and the fitted fronts."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.batches.traces import Model
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import BITS, Data, Row

FOUND = "converged"
ACROSS = 2  # panels in a row
BEYOND = 100.0  # factor by which a front is drawn beyond its batch sizes
STEPS = "optimizer updates $S$ (steps)"
FORMULA = (
    r"fronts $(S/S_{\min} - 1)\,(E/E_{\min} - 1) = 1$, "
    r"with $B_{\mathrm{crit}} = E_{\min}/S_{\min}$"
)


def draw(figure: Figure, data: Data) -> None:
    """A panel for each model, its losses in colour; diagonals are batch sizes."""
    unit = "bits_per_byte" if data.unit == BITS else "loss"
    models: dict[tuple[Any, ...], list[Row]] = {}
    for row in data.critical_batches:
        shown = {**row, "loss": row[unit]}
        models.setdefault(tuple(row[name] for name in Model._fields), []).append(shown)
    if not models:
        figure.set_size_inches(frame.COLUMN, 0.6)
        marks.head(figure, "no size was trained at several batch sizes")
        return
    across = min(len(models), ACROSS)
    down = math.ceil(len(models) / across)
    figure.set_size_inches(frame.WIDE if across > 1 else frame.COLUMN, 1.0 + 2.8 * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    losses = [row["loss"] for rows in models.values() for row in rows]
    colours = marks.SizeColours(losses, matplotlib.colormaps["plasma"])
    for place, (axes, (model, rows)) in enumerate(zip(panels, models.items())):
        _panel(axes, rows, colours, f"{data.terms.tokens} $E$ (tokens)")
        axes.set_ylabel("" if place % across else STEPS)
        # Above the names of the diagonals.
        axes.set_title(f"$N$ = {scales.count(model[0])}", pad=14)
    for axes in panels[len(models) :]:
        axes.set_axis_off()
    bar = figure.colorbar(ScalarMappable(colours.norm, colours.map), ax=list(panels), pad=0.02,
                          aspect=35)  # fmt: skip
    bar.outline.set_visible(False)
    figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
    scales.loss_axis(bar.ax, "y", data.measured_label)
    marks.head(figure, FORMULA)
    handles = _handles(data.critical_batches)
    figure.legend(handles=handles, loc="outside lower left", ncols=3 if across > 1 else 1)


def _panel(axes: Axes, rows: list[Row], colours: marks.SizeColours, label: str) -> None:
    for row in rows:
        colour = colours(row["loss"])
        batch, steps = np.array(row["batch_tokens"], float), np.array(row["steps"])
        if row["steps_min"]:
            _line(axes, row, batch, colour)
        for b, s, edge, cell in zip(batch, steps, row["at_edge"], row["cells"], strict=True):
            face = {"mfc": "white", "mec": colour} if edge else {"mfc": colour, "mec": "white"}
            axes.plot(b * s, s, marker="o", ms=3.8, mew=0.6, ls="none", zorder=4,
                      gid=marks.gid(axes, cell, f"{row['loss']:.4g}.B{b:.0f}"), **face)  # fmt: skip
    all_steps = [s for row in rows for s in row["steps"]]
    tokens = [b * s for row in rows for b, s in zip(row["batch_tokens"], row["steps"])]
    axes.set(xlim=scales.padded(tokens, 0.12), ylim=scales.padded(all_steps, 0.12))
    scales.count_axis(axes, "x", label)
    scales.count_axis(axes, "y", "")
    _diagonals(axes, sorted({b for row in rows for b in row["batch_tokens"]}))


def _line(axes: Axes, row: Row, batch: Any, colour: Any) -> None:
    """The fitted front, and where it takes twice the fewest steps and tokens."""
    known = row["status"] == FOUND
    along = np.geomspace(batch.min() / BEYOND, batch.max() * BEYOND, 200)
    steps = row["steps_min"] * (1 + row["critical_batch"] / along)
    axes.plot(along * steps, steps, color=colour, lw=1.0, ls="-" if known else ":", zorder=3)
    if known:
        axes.plot(2 * row["tokens_min"], 2 * row["steps_min"], marker="D", ms=3.6, mfc="white",
                  mec=marks.INK, mew=0.7, ls="none", zorder=5)  # fmt: skip


def _diagonals(axes: Axes, batches: list[int]) -> None:
    """Lines of equal batch size, each named where it leaves the axes above or on the right."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for batch in batches:
        axes.plot([left, right], [left / batch, right / batch], color=marks.PALE, lw=0.6, zorder=1,
                  scalex=False, scaley=False)  # fmt: skip
        above = right / batch > top
        x, y = (batch * top, top) if above else (right, right / batch)
        if not (left < x <= right and bottom < y <= top):
            continue
        name = f"$B$ = {batch:,}" if batch == batches[0] else f"{batch:,}"
        axes.annotate(
            name, (x, y), (0, 2) if above else (2, 0), textcoords="offset points",
            ha="right" if above else "left", va="bottom" if above else "center",
            fontsize=marks.LABEL_SIZE, color=marks.GREY, annotation_clip=False,
        )  # fmt: skip


def _handles(rows: list[Row]) -> list[Any]:
    grey: dict[str, Any] = {"color": marks.GREY}
    handles = [Line2D([], [], marker="o", ms=3.8, mec="white", mew=0.6, ls="none", **grey,
                      label="batch size at its best rate")]  # fmt: skip
    if any(edge for row in rows for edge in row["at_edge"]):
        handles.append(Line2D([], [], marker="o", ms=3.8, mfc="white", mew=0.6, ls="none", **grey,
                              label="rate at the edge of those tried"))  # fmt: skip
    handles.append(Line2D([], [], lw=1.0, label="front of one loss", **grey))
    if any(row["status"] != FOUND and row["steps_min"] for row in rows):
        handles.append(Line2D([], [], lw=1.0, ls=":", label="not determined", **grey))
    twice = r"$B_{\mathrm{crit}}$: $2S_{\min}$, $2E_{\min}$"
    handles.append(Line2D([], [], marker="D", ms=3.6, mfc="white", mec=marks.INK, mew=0.7,
                          ls="none", label=twice))  # fmt: skip
    return handles


if __name__ == "__main__":
    frame.main("batch_fronts", draw)
