"""Figure 5: models of one size and several shapes: how little the loss depends on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, FittedLaw, Row
from pipeline.kaplan2020 import PAPER

TOLERANCE = 3.0  # % of the loss
SHALLOW = 2  # layers; models of fewer are left out, as in the paper


class Shape(NamedTuple):
    """What of a model is no size."""

    n_layer: int
    d_model: int
    d_ff: int
    n_head: int

    @property
    def ratio(self) -> float:
        return self.d_ff / self.d_model

    @property
    def aspect(self) -> float:
        return self.d_model / self.n_layer

    @property
    def head(self) -> float:
        return self.d_model / self.n_head


PANELS: tuple[tuple[str, str, Callable[[Shape, Shape], bool]], ...] = (
    ("ratio", "feed-forward ratio\n" r"$d_{\mathrm{ff}}/d_{\mathrm{model}}$",
     lambda s, base: s.n_layer == base.n_layer and (s.ratio != base.ratio or s == base)),
    ("aspect", "aspect ratio\n" r"$d_{\mathrm{model}}/n_{\mathrm{layer}}$",
     lambda s, base: s.ratio == base.ratio),
    ("head", "head width\n" r"$d_{\mathrm{model}}/n_{\mathrm{head}}$",
     lambda s, base: s[:3] == base[:3]),
)  # fmt: skip


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Three panels: what the loss exceeds the best one's by, as one property varies.

    Of several shapes at one value the best is shown. One layer is drawn, but counts nowhere.
    """
    figure.set_size_inches(frame.WIDE, 3.1)
    panels = figure.subplots(1, 3, sharey=True)
    by_shape = losses(data["shapes"].runs)
    noise = seed_spread(by_shape)
    base = baseline(by_shape)
    for axes, (name, label, chosen) in zip(panels, PANELS, strict=True):
        axes.set_label(name)
        varied = {s: runs for s, runs in by_shape.items() if chosen(s, base)}
        members = best_of_each(varied, name)
        deep = {s: _mean(runs) for s, runs in members.items() if s.n_layer >= SHALLOW}
        lowest = min((deep or {s: _mean(runs) for s, runs in members.items()}).values())
        excess = {getattr(s, name): 100 * (loss / lowest - 1) for s, loss in deep.items()}
        if noise is not None:
            axes.axhspan(-2 * noise, 2 * noise, color=marks.PALE, alpha=0.4, lw=0, zorder=0)
        axes.axhline(TOLERANCE, color=marks.VERMILLION, lw=0.9, ls=(0, (4, 2)), zorder=1.5)
        axes.plot(sorted(excess), [excess[x] for x in sorted(excess)], color=marks.BLUE, lw=0.9)
        for shape, runs in members.items():
            for run in runs:
                shown = run | {"included": shape in deep}
                marks.point(axes, getattr(shape, name), 100 * (run["loss"] / lowest - 1), shown,
                            marks.BLUE, ms=3.4)  # fmt: skip
        unit = "dimensions" if name == "head" else "dimensionless"
        scales.count_axis(axes, "x", f"{label} ({unit})")
        axes.set_title(_within(excess))
    panels[0].set_ylabel("loss above the panel's best shape's (%)")
    figure.legend(handles=_handles(by_shape, noise), title=_head(by_shape, data), ncols=4,
                  loc="outside upper left", alignment="left")  # fmt: skip


def losses(runs: Iterable[Row]) -> dict[Shape, list[Row]]:
    """The runs of each shape that have a loss."""
    found: dict[Shape, list[Row]] = {}
    for run in runs:
        if run["included"] and run["loss"] is not None:
            found.setdefault(Shape(*(run[name] for name in Shape._fields)), []).append(run)
    return found


def baseline(shapes: Iterable[Shape]) -> Shape:
    """The shape that others vary: of the commonest depth and widths, with a middling head."""
    shapes = list(shapes)
    depth = Counter(shape.n_layer for shape in shapes).most_common(1)[0][0]
    widths = Counter(s[:3] for s in shapes if s.n_layer == depth).most_common(1)[0][0]
    heads = sorted(shape.head for shape in shapes if shape[:3] != widths) or [shapes[0].head]
    middle = heads[len(heads) // 2]
    own = [shape for shape in shapes if shape[:3] == widths]
    return min(own, key=lambda shape: abs(math.log(shape.head / middle)))


def seed_spread(by_shape: Mapping[Shape, Sequence[Row]]) -> float | None:
    """Standard deviation of a run among the seeds of its shape, % of the loss, pooled; or None."""
    squares, freedom = 0.0, 0
    for runs in by_shape.values():
        mean = fmean(run["loss"] for run in runs)
        squares += sum((100 * (run["loss"] / mean - 1)) ** 2 for run in runs)
        freedom += len(runs) - 1
    return math.sqrt(squares / freedom) if freedom else None


def best_of_each(by_shape: Mapping[Shape, Sequence[Row]], name: str) -> dict[Shape, Sequence[Row]]:
    """Of the shapes at each value of a property the one of least mean loss, and its runs."""
    best: dict[float, Shape] = {}
    for shape, runs in by_shape.items():
        known = best.setdefault(getattr(shape, name), shape)
        if _mean(runs) < _mean(by_shape[known]):
            best[getattr(shape, name)] = shape
    return {shape: by_shape[shape] for shape in best.values()}


def _mean(runs: Sequence[Row]) -> float:
    return fmean(run["loss"] for run in runs)


def within(excess: Mapping[float, float]) -> tuple[float, float] | None:
    """The stretch around the best value in which no loss exceeds the tolerance; None without."""
    values = sorted(excess)
    good = [excess[value] <= TOLERANCE for value in values]
    if not any(good):
        return None
    best = first = last = min(range(len(values)), key=lambda i: excess[values[i]])
    while first > 0 and good[first - 1]:
        first -= 1
    while last < len(values) - 1 and good[last + 1]:
        last += 1
    return values[min(first, best)], values[max(last, best)]


def _within(excess: Mapping[float, float]) -> str:
    found = within(excess)
    if found is None:
        return f"none within {TOLERANCE:g} %"
    low, high = found
    return f"up to {max(excess.values()):.1f} %; within {TOLERANCE:g} %: {low:.2g} to {high:.2g}"


def _head(by_shape: Mapping[Shape, Sequence[Row]], data: Mapping[str, Data]) -> str:
    """The sizes compared, and what a per cent of loss is worth in compute."""
    sizes = [run["params"] for runs in by_shape.values() for run in runs]
    text = f"$N$ = {scales.count(min(sizes))} to {scales.count(max(sizes))}, {len(by_shape)} shapes"
    fit: FittedLaw | None = data["sizes"].fits.get("power_compute_min") if "sizes" in data else None
    if fit is None or not fit.drawable:
        return text
    ours, paper = (
        100 * (1.01 ** (1 / exponent) - 1)
        for exponent in (fit.saved.values["alpha_C_min"], float(PAPER.compute.exponent))
    )
    return f"{text}; 1 % of loss is worth {ours:.2g} % more compute (paper {paper:.0f} %)"


def _handles(shapes: Iterable[Shape], noise: float | None) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], marker="o", ms=3.4, color=marks.BLUE, mec="white", mew=0.5, lw=0.9,
               label="run, and mean of seeds"),
        Line2D([], [], color=marks.VERMILLION, lw=0.9, ls=(0, (4, 2)), label=f"{TOLERANCE:g} %"),
    ]  # fmt: skip
    if any(shape.n_layer < SHALLOW for shape in shapes):
        handles.append(Line2D([], [], marker="o", ms=3.4, ls="none", mfc="white", mec=marks.BLUE,
                              mew=0.9, label="one layer, not counted"))  # fmt: skip
    if noise is not None:
        told = f"two standard deviations of a seed ({2 * noise:.2g} %)"
        handles.append(Patch(fc=marks.PALE, alpha=0.4, lw=0, label=told))
    return handles


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig05_shape", draw)
