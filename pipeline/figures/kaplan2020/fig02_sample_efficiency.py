"""Figure 2: learning curves against tokens and against compute: large models learn from fewer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.learning_curves import frontier
from pipeline.findings.data import Data, Row
from pipeline.findings.kaplan2020 import along

COMPARED: dict[str, Any] = {"color": marks.INK, "lw": 0.8, "ls": ":", "zorder": 3}
FRONT: dict[str, Any] = {"color": marks.INK, "lw": 1.0, "ls": (0, (4, 2)), "zorder": 3}


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Two panels, coloured by N: the longest run of each size from its first step to its last."""
    figure.set_size_inches(frame.WIDE, 3.0)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("tokens")
    right.set_label("flops")
    sizes = data["sizes"]
    shown = longest(sizes)
    colours = marks.SizeColours(run["params"] for run, _ in shown)
    everything = []
    for run, rows in shown:
        tokens = [row["tokens"] for row in rows]
        flops = [row["tokens"] * run["flops_6nd"] / run["tokens"] for row in rows]
        losses = [row["val_loss"] for row in rows]
        everything += [{"flops": c, "val_loss": y} for c, y in zip(flops, losses, strict=True)]
        for axes, x in ((left, tokens), (right, flops)):
            axes.plot(x, losses, color=colours(run["params"]), gid=marks.gid(axes, run["cell"]))
    front = list(frontier(everything))
    right.plot([flops for flops, _ in front], [loss for _, loss in front], **FRONT)
    if not front:
        left.set(xlim=scales.padded(()), ylim=scales.padded(()))
        right.set_xlim(*scales.padded(()))
    scales.count_axis(left, "x", "tokens processed $D$")
    scales.flops_axis(right, "x", scales.FLOPS["flops_6nd"])
    scales.loss_axis(left, label="validation " + scales.LOSS)
    left.set_title(_compared(left, sizes))
    right.legend(handles=[Line2D([], [], label="compute frontier", **FRONT)], loc="lower left")
    colours.key(figure, (left, right))


def longest(data: Data) -> list[tuple[Row, list[Row]]]:
    """The run of most tokens of each size with its curve, smallest first."""
    best: dict[int, Row] = {}
    for run in data.runs:
        if run["included"] and data.curves.get(run["cell"]):
            known = best.get(run["params"])
            if known is None or run["tokens"] > known["tokens"]:
                best[run["params"]] = run
    return [(run, data.curves[run["cell"]]) for _, run in sorted(best.items())]


def _compared(axes: Axes, data: Data) -> str:
    """Mark in the axes where the smallest and a larger model meet one loss; say it in words."""
    found = along.fewer_tokens(along.of_sizes(data))
    if found is None:
        return ""
    axes.plot([found.large_tokens, found.small_tokens], [found.loss] * 2, **COMPARED)
    large, small = (f"$N$ = {scales.count(c.params)}" for c in (found.large, found.small))
    times = found.small_tokens / found.large_tokens
    return f"to {found.loss:.2f} nats/token at the peak rate\n" \
           f"{large} needs {times:.2g} times fewer tokens than {small} (dotted)"  # fmt: skip


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig02_sample_efficiency", draw)
