"""Contours of equal loss over the plane of N and D, with the compute-optimal path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from matplotlib.ticker import MaxNLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw, ends

BEYOND = 8.0  # how far past the largest run the plane is drawn
LEVELS = 9
GRID = 80
MARGIN = 0.07  # of the axes' width and height that stays free of names
CLEAR = 0.05  # of the axes between a name and the nearest point
SHORTEST = 8  # vertices of the shortest line that has room for a name
MEASURED = "#f1f1ec"
NAME: dict[str, Any] = {
    "fontsize": 7, "ha": "center", "va": "center", "zorder": 3.9,
    "bbox": {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.85},
}  # fmt: skip


def draw(figure: Figure, data: Data) -> None:
    """One panel for each law of N and D."""
    columns, count = min(len(data.fits), 2), len(data.fits)
    rows = math.ceil(count / 2)
    figure.set_size_inches(frame.COLUMN * columns, 3.5 + 2.9 * (rows - 1))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[count:]:
        axes.remove()
    panels = panels[:count]
    for axes, (law, fit) in zip(panels, data.fits.items(), strict=True):
        axes.set_label(law if count > 1 else "")
        _panel(axes, data, fit)
        axes.set_title(f"{law}: {marks.summary(fit)}", pad=13)
        axes.xaxis.set_tick_params(labelbottom=True)
    for axes in panels[1::2]:
        axes.set_ylabel("")
    marks.doubts(figure, data.fits, 62 * min(columns, 2))
    figure.legend(handles=_handles(data), loc="outside upper left", ncols=3 if columns > 1 else 2)


def _panel(axes: Axes, data: Data, fit: FittedLaw) -> None:
    column = fit.column("params")
    sizes = [run[column] for run in data.runs]
    counts = [run["tokens"] for run in data.runs]
    x = scales.padded([*sizes, max(sizes) * BEYOND], 0.03)
    y = scales.padded([*counts, max(counts) * BEYOND], 0.03)
    axes.set(xlim=x, ylim=y)
    scales.count_axis(axes, "x", scales.PARAMS)
    scales.count_axis(axes, "y", data.tokens_label)
    axes.grid(False)
    measured(axes, sizes, counts)
    for run in data.runs:
        marks.point(axes, run[column], run["tokens"], run, marks.INK, ms=3.4)
    _iso_flops(axes, x, y)
    if not fit.drawable:
        return
    contours(axes, fit, x, y, [(run[column], run["tokens"]) for run in data.runs])
    _path(axes, fit, 6 * x[0] * y[0], 6 * x[1] * y[1])


def contours(
    axes: Axes, fit: FittedLaw, x: tuple[float, float], y: tuple[float, float],
    marked: Sequence[tuple[float, float]],
) -> None:  # fmt: skip
    """Lines of equal loss over N in ``x`` and D in ``y``, named away from the points ``marked``."""
    across, up = np.meshgrid(np.geomspace(*x, GRID), np.geomspace(*y, GRID))
    loss = fit.predict(params=across.ravel(), tokens=up.ravel()).reshape(across.shape)
    levels = MaxNLocator(LEVELS, steps=[1, 2, 2.5, 5, 10]).tick_values(loss.min(), loss.max())
    levels = levels[(levels > loss.min()) & (levels < loss.max())]
    if len(levels):
        dark = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.82, 0.0, 256)))
        lines = axes.contour(across, up, loss, levels=levels, cmap=dark, linewidths=1.0)
        names = dict(zip(levels, scales.PlainDecimals().format_ticks(levels)))
        limits = np.log([x, y])

        def shares(points: Any) -> np.ndarray:
            return (np.log(points) - limits[:, 0]) / np.ptp(limits, axis=1)

        for level, parts in zip(levels, lines.allsegs):
            place = _place([shares(part) for part in parts], shares(marked))
            if place is not None:
                axes.text(place[0], place[1], names[level], color=lines.to_rgba(level),
                          transform=axes.transAxes, **NAME)  # fmt: skip


def _place(parts: Sequence[np.ndarray], marked: np.ndarray) -> np.ndarray | None:
    """Where a contour's name stands, in shares of the axes; None on a line too short for one.

    Well inside the axes, about a quarter along the line, which is beside the compute-optimal path,
    and as near there as the points ``marked`` (n, 2) leave room.
    """
    inner = [part[((part > MARGIN) & (part < 1 - MARGIN)).all(axis=1)] for part in parts]
    longest = max(inner, key=len, default=np.empty((0, 2)))
    if len(longest) < SHORTEST:
        return None
    quarter = len(longest) // 4
    order = np.argsort(np.abs(np.arange(2 * quarter + 1) - quarter), kind="stable")
    tried = longest[order]
    gaps = np.hypot(*(tried[:, None] - marked).transpose(2, 0, 1)).min(axis=1, initial=CLEAR)
    return tried[int(gaps.argmax())]


def _iso_flops(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Lines of equal 6 N D, one for each power of ten (or few), named where they leave on top."""
    first, last = math.log10(6 * x[0] * y[0]), math.log10(6 * x[1] * y[1])
    stride = max(1, round((last - first) / 5))
    for exponent in range(math.ceil(first), math.floor(last) + 1, stride):
        flops = 10.0**exponent
        axes.plot(x, [flops / (6 * n) for n in x], color=marks.GREY, lw=0.6, ls=":", zorder=1)
        top = flops / (6 * y[1])
        if x[0] <= top <= x[1]:
            axes.annotate(
                scales.power_of_ten(flops), (top, 1), (0, 2), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", fontsize=7, color=marks.GREY,
            )  # fmt: skip


def _path(axes: Axes, fit: FittedLaw, low: float, high: float) -> None:
    """N*(C), D*(C) as a line, with the interval of N* at each budget as a band along it."""
    flops = np.geomspace(low, high, 100)
    best = fit.optimum(flops)
    if not best:
        return
    axes.plot(best["params"].mid, best["tokens"].mid, color=marks.VERMILLION, lw=1.8, zorder=3)
    if (sides := ends(best["params"])) is not None:
        n = np.concatenate([sides[0], sides[1][::-1]])
        d = np.concatenate([flops, flops[::-1]]) / (6 * n)
        axes.fill(n, d, color=marks.VERMILLION, alpha=marks.BAND, lw=0, zorder=1.5)


def measured(axes: Axes, sizes: Sequence[float], counts: Sequence[float]) -> None:
    """Shade what the runs surround: anything outside is extrapolation."""
    corners = hull([(math.log(n), math.log(d)) for n, d in zip(sizes, counts, strict=True)])
    axes.add_patch(Polygon(np.exp(corners), fc=MEASURED, ec="none", zorder=0))


def hull(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Corners (k, 2) of the convex hull of points, counterclockwise, by Andrew's two chains."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return np.array(ordered)

    def chain(along: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, y in along:
            while len(kept) > 1:
                (a, b), (c, d) = kept[-2:]
                if (c - a) * (y - b) - (d - b) * (x - a) > 0:  # a turn to the left
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array([*chain(ordered), *chain(ordered[::-1])])


def _handles(data: Data) -> list[Any]:
    handles: list[Any] = []
    if drawn := [fit for fit in data.fits.values() if fit.drawable]:
        handles += [
            Line2D([], [], color=marks.GREEN, lw=1, label=f"equal {data.loss_label}"),
            Line2D([], [], color=marks.VERMILLION, lw=1.8, label="compute-optimal $N^*$, $D^*$"),
            marks.band_handle(drawn[0], marks.VERMILLION),
        ]
    handles += [
        Line2D([], [], color=marks.GREY, lw=0.6, ls=":", label="equal compute $6ND$ (FLOP)"),
        Line2D([], [], marker="o", ls="none", ms=3.4, color=marks.INK, label="run"),
        Patch(fc=MEASURED, lw=0, label="among the runs"),
    ]
    return handles + marks.state_handles(data.runs)


if __name__ == "__main__":
    frame.main("iso_loss", draw)
