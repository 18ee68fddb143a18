"""Figure 6: loss against size with embeddings counted and without, by depth."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, Row

SAME_TOKENS = 1.05  # token counts are rounded to whole steps
COLOURS = (marks.ORANGE, marks.BLUE, marks.GREEN, marks.PURPLE, marks.VERMILLION, marks.SKY)
LOOKS = tuple(zip(COLOURS, marks.MARKERS, strict=True))


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Two panels of the same runs; depths that agree fall on one line."""
    figure.set_size_inches(frame.WIDE, 3.2)
    left, right = figure.subplots(1, 2, sharey=True)
    runs = compared(data["depths"].runs, data["sizes"].runs)
    depths = sorted({run["n_layer"] for run in runs})
    looks = {depth: LOOKS[i % len(LOOKS)] for i, depth in enumerate(depths)}
    for axes, column in ((left, "params_total"), (right, "params")):
        axes.set_label(column)
        for depth, (colour, marker) in looks.items():
            own = sorted((r for r in runs if r["n_layer"] == depth), key=lambda r: r[column])
            axes.plot([r[column] for r in own], [r["loss"] for r in own], color=colour, lw=0.8)
            for run in own:
                marks.point(axes, run[column], run["loss"], run, colour, marker=marker)
        axes.set_title(_apart(runs, column))
    scales.count_axis(left, "x", "parameters with embeddings (parameters)")
    scales.count_axis(right, "x", "parameters $N$ without embeddings (parameters)")
    scales.loss_axis(left, label=data["depths"].measured_label)
    handles = [
        Line2D([], [], color=colour, marker=marker, mec="white", mew=0.5, lw=0.8,
               label=f"{depth} layer{'s' if depth > 1 else ''}")
        for depth, (colour, marker) in looks.items()
    ]  # fmt: skip
    marks.legend_below(left, handles, 5)


def compared(depths: Iterable[Row], sizes: Iterable[Row]) -> list[Row]:
    """The runs of ``depths``, and those of ``sizes`` of the same token count that are not there."""
    found = [run for run in depths if run["included"] and run["loss"] is not None]
    if not found:
        return []
    tokens = Counter(run["tokens"] for run in found).most_common(1)[0][0]
    known = {(run["n_layer"], run["params"]) for run in found}
    for run in sizes:
        new = (run["n_layer"], run["params"]) not in known
        same = 1 / SAME_TOKENS <= run["tokens"] / tokens <= SAME_TOKENS
        if new and same and run["included"] and run["loss"] is not None:
            found.append(run)
            known.add((run["n_layer"], run["params"]))
    return found


def apart(runs: Iterable[Row], column: str, least: int = 1) -> float:
    """How far depths lie apart at one size, %: root mean square over pairs; NaN without any.

    Each run is held against the curve of every other depth that spans its size, interpolated in
    logarithms. Depths below ``least`` are left out.
    """
    curves: dict[int, list[tuple[float, float]]] = {}
    for run in runs:
        if run["n_layer"] >= least:
            pair = math.log(run[column]), math.log(run["loss"])
            curves.setdefault(run["n_layer"], []).append(pair)
    gaps = []
    for one, other in itertools.permutations(curves.values(), 2):
        x, y = np.array(sorted(other)).T
        gaps += [loss - np.interp(size, x, y) for size, loss in one if x[0] <= size <= x[-1]]
    return 100 * float(np.sqrt(np.mean(np.square(gaps)))) if gaps else math.nan


def _apart(runs: list[Row], column: str) -> str:
    every, deeper = apart(runs, column), apart(runs, column, least=2)
    text = f"depths differ by {every:.2g} % (rms)" if math.isfinite(every) else ""
    if math.isfinite(deeper):
        text += f"\nwithout one layer by {deeper:.2g} %"
    return text


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig06_embeddings", draw)
