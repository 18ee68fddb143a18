"""Figure 24: loss on other texts against depth, at one model size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import MINUS, Data, Row

OWN = "the validation text itself"


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """A line for each text through the means of seeds; dashed the validation text."""
    figure.set_size_inches(frame.COLUMN, 3.6)
    axes = figure.subplots()
    shapes = data["shapes"]
    runs = by_depth(shapes.runs)
    cells = {run["cell"]: run for run in runs}
    texts: dict[str, list[tuple[Row, float]]] = {OWN: [(run, run["loss"]) for run in runs]}
    for row in sorted(shapes.evaluations, key=lambda row: row["corpus"]):
        if row["cell"] in cells:
            texts.setdefault(row["corpus"], []).append((cells[row["cell"]], row["loss"]))
    handles = []
    for index, (text, pairs) in enumerate(texts.items()):
        look: dict[str, Any] = {"color": marks.INK, "ls": (0, (4, 2)), "marker": "o"}
        if index:
            look = {"color": marks.CATEGORIES[(index - 1) % len(marks.CATEGORIES)], "ls": "-",
                    "marker": marks.MARKERS[index % len(marks.MARKERS)]}  # fmt: skip
        handles.append(_text(axes, text, pairs, look))
    depths = sorted({run["n_layer"] for run in runs})
    scales.count_axis(axes, "x", "layers at one size (dimensionless)", depths)
    axes.xaxis.set_minor_locator(NullLocator())
    scales.loss_axis(axes, label=scales.LOSS)
    if runs:
        sizes = " to ".join(dict.fromkeys(
            scales.count(f(run["params"] for run in runs)) for f in (min, max)
        ))  # fmt: skip
        axes.set_title(f"$N$ = {sizes}, $D$ = {scales.count(runs[0]['tokens'])} tokens; "
                       f"{len(runs)} runs")  # fmt: skip
    marks.legend_below(axes, handles, 1)


def by_depth(runs: Sequence[Row]) -> list[Row]:
    """The runs that differ in depth alone, as far as one size lets them.

    Of each depth those with a feed-forward part of four widths, and the heads nearest to the median
    width of all depths' heads.
    """
    usual = [r for r in runs if r["loss"] is not None and r["d_ff"] == 4 * r["d_model"]]
    depths = {run["n_layer"] for run in usual}
    widths = [mean({width(r) for r in usual if r["n_layer"] == depth}) for depth in depths]
    aim = median(widths) if widths else 0.0
    kept = []
    for depth in sorted(depths):
        own = [run for run in usual if run["n_layer"] == depth]
        nearest = min((width(run) for run in own), key=lambda w: abs(w - aim))
        kept += [run for run in own if width(run) == nearest]
    return kept


def width(run: Row) -> float:
    """Of one head."""
    return float(run["d_model"] / run["n_head"])


def _text(
    axes: Axes, text: str, pairs: Sequence[tuple[Row, float]], look: Mapping[str, Any]
) -> Line2D:
    by: dict[int, list[float]] = {}
    for run, loss in sorted(pairs, key=lambda pair: pair[0]["n_layer"]):
        by.setdefault(run["n_layer"], []).append(loss)
        marks.point(axes, run["n_layer"], loss, run, look["color"], text, marker=look["marker"])
    means = [mean(losses) for losses in by.values()]
    axes.plot(list(by), means, color=look["color"], ls=look["ls"], lw=1.0, zorder=3)
    change = 100 * (max(means) / min(means) - 1)
    label = f"{text}: means within {change:.1f} %".replace("-", MINUS)
    return Line2D([], [], mec="white", mew=0.5, lw=1.0, label=label, **look)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig24_transfer_by_depth", draw)
