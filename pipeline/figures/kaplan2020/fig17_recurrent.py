"""Figure 17: recurrent transformers beside plain ones, by parameters and by compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row

SAME_TOKENS = 1.05  # token counts are rounded to whole steps
LOOKS: list[tuple[str, str]] = [
    (marks.VERMILLION, "s"), (marks.PURPLE, "^"), (marks.GREEN, "D"), (marks.ORANGE, "v"),
]  # fmt: skip


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Loss against N, and against N times the uses of the layers, to which compute goes."""
    figure.set_size_inches(frame.WIDE, 3.3)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("params")
    right.set_label("compute")
    recurrent = [run for run in data["recurrent"].runs if run["loss"] is not None]
    plain = beside(recurrent, [run for name in ("sizes", "depths") if name in data
                               for run in data[name].runs])  # fmt: skip
    handles = []
    by_layers = sorted({run["n_layer"] for run in plain})
    shades = matplotlib.colormaps["Blues"](np.linspace(0.45, 1.0, len(by_layers)))
    for index, layers in enumerate(by_layers):
        own = [run for run in plain if run["n_layer"] == layers]
        look: dict[str, Any] = {"color": shades[index]}
        handles.append(
            _series(left, right, own, look, "o", f"plain, {layers} layer{'s' * (layers > 1)}")
        )
    reuses = sorted({run["reuse"] for run in recurrent})
    for reuse, (colour, marker) in zip(reuses, LOOKS):
        own = [run for run in recurrent if run["reuse"] == reuse]
        label = f"recurrent, layers used {reuse} times"
        handles.append(_series(left, right, own, {"color": colour}, marker, label))
    scales.count_axis(left, "x", scales.PARAMS)
    scales.count_axis(
        right, "x", r"$N \times$ uses of each layer $\propto$ FLOP/token (parameters)"
    )
    scales.loss_axis(left, label=data["recurrent"].measured_label)
    counts = {scales.count(run["tokens"]) for run in recurrent}
    left.set_title(f"after $D$ = {', '.join(sorted(counts))} tokens")
    right.set_title("the same by compute: $C = 6ND$ for each use of the layers")
    figure.legend(handles=handles, loc="outside lower left", ncols=3)


def beside(recurrent: Iterable[Row], plain: Iterable[Row]) -> list[Row]:
    """The plain runs that saw as many tokens as the recurrent ones, each cell once."""
    counts = [run["tokens"] for run in recurrent]
    low, high = min(counts) / SAME_TOKENS, max(counts) * SAME_TOKENS
    kept = {
        run["cell"]: run
        for run in plain
        if run["loss"] is not None and low <= run["tokens"] <= high
    }
    return sorted(kept.values(), key=lambda run: (run["n_layer"], run["params"]))


def _series(
    left: Axes, right: Axes, runs: list[Row], look: Mapping[str, Any], marker: str, label: str
) -> Line2D:
    runs = sorted(runs, key=lambda run: run["params"])
    for axes, uses in ((left, False), (right, True)):
        x = [run["params"] * (run["reuse"] if uses else 1) for run in runs]
        axes.plot(x, [run["loss"] for run in runs], lw=0.9, zorder=3, **look)
        for at, run in zip(x, runs, strict=True):
            marks.point(axes, at, run["loss"], run, look["color"], marker=marker)
    return Line2D([], [], marker=marker, mec="white", mew=0.5, label=label, lw=0.9, **look)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig17_recurrent", draw)
