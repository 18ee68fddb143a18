"""Figure 21: loss at single positions against model size, in a long and in a short context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020.fig17_recurrent import beside
from pipeline.findings.data import Data, Row
from pipeline.findings.kaplan2020 import positions

SHORT = (0, (4, 2))


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """A colour for each bin of positions; solid the long context, dashed the short one."""
    figure.set_size_inches(frame.COLUMN, 4.0)
    axes = figure.subplots()
    short = [run for run in data["short"].runs if run["loss"] is not None]
    long = beside(short, data["sizes"].runs)
    found = {"long": by_position(data["sizes"], long), "short": by_position(data["short"], short)}
    bins = max((len(losses) for _, losses in [*found["long"], *found["short"]]), default=0)
    colours = matplotlib.colormaps["plasma"](np.linspace(0, 0.88, max(bins, 1)))
    looks: dict[str, dict[str, Any]] = {
        "long": {"ls": "-", "marker": "o"}, "short": {"ls": SHORT, "marker": "s"},
    }  # fmt: skip
    ends = {}
    for kind, pairs in found.items():
        for index in range(max((len(losses) for _, losses in pairs), default=0)):
            x = [run["params"] for run, _ in pairs]
            y = [losses[index] for _, losses in pairs]
            axes.plot(x, y, color=colours[index], lw=1.0, ls=looks[kind]["ls"], zorder=3)
            for run, losses in pairs:
                marks.point(axes, run["params"], losses[index], run, colours[index],
                            f"{kind}.{index}", marker=looks[kind]["marker"], ms=3.2)  # fmt: skip
            if kind == "long":
                ends[positions.named(index)] = (y[-1], colours[index])
    scales.count_axis(axes, "x", scales.PARAMS)
    scales.loss_axis(axes, label=data["sizes"].measured_label)
    counts = sorted({scales.count(run["tokens"]) for run in long})
    axes.set_title(f"after $D$ = {', '.join(counts)} tokens")
    last = max((run["params"] for run, _ in found["long"]), default=None)
    marks.end_labels(figure, axes, ends, "$T$", last)
    handles = [
        Line2D([], [], color=marks.GREY, mec="white", ms=3.6, lw=1.0,
               label=f"context of {runs[0]['context']} tokens", **looks[kind])
        for kind, runs in (("long", long), ("short", short)) if runs
    ]  # fmt: skip
    marks.legend_below(axes, handles, 1, 3.2)


def by_position(data: Data, runs: list[Row]) -> list[tuple[Row, list[float]]]:
    """Each run with the losses of its bins at the end, by size; those without are left out."""
    pairs = [(run, positions.final(data, run)) for run in runs]
    return sorted((pair for pair in pairs if pair[1]), key=lambda pair: pair[0]["params"])


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig21_position_by_size", draw)
