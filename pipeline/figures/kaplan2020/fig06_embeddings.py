"""Figure 6: loss against size with embeddings counted and without, by depth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row
from pipeline.findings.kaplan2020 import collapse

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
        axes.set_title(_scattered(data["depths"].runs, column))
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


def _scattered(depths: Iterable[Row], column: str) -> str:
    """What the claim about embeddings compares, in words; nothing of too few sizes."""
    runs = collapse.deep(depths)
    found = collapse.scatter(collapse.logs(runs, column), collapse.logs(runs, "loss"))
    if not math.isfinite(found):
        return ""
    return f"two layers or more scatter by {100 * found:.3g} %\naround one curve (rms)"


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig06_embeddings", draw)
