"""Figure 24: loss on other texts against depth, at one model size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import MINUS, Data, Row
from pipeline.findings.kaplan2020 import other_texts
from pipeline.findings.kaplan2020.other_texts import by_depth
from pipeline.laws.base import Floats

OWN = "the validation text itself"
FORETOLD: dict[str, Any] = {"lw": 1.0, "ls": (0, (1, 1.2)), "zorder": 2.5}


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """A line for each text through the means of seeds; dashed the validation text.

    Dotted is what the losses of the ladder on a text foretell from the validation loss.
    """
    figure.set_size_inches(frame.COLUMN, 4.0)
    axes = figure.subplots()
    shapes = data["shapes"]
    runs = by_depth(shapes.runs)
    through = other_texts.ladder(data["sizes"]) if "sizes" in data else {}
    look: dict[str, Any] = {"color": marks.INK, "ls": (0, (4, 2)), "marker": "o"}
    own = {run["cell"]: run["loss"] for run in runs}
    handles = [_text(axes, OWN, runs, own, look, None)]
    told = False
    for index, (text, losses) in enumerate(other_texts.scored(shapes).items(), 1):
        look = {"color": marks.CATEGORIES[(index - 1) % len(marks.CATEGORIES)], "ls": "-",
                "marker": marks.MARKERS[index % len(marks.MARKERS)]}  # fmt: skip
        known = [run for run in runs if run["cell"] in losses]
        handles.append(_text(axes, text, known, losses, look, through.get(text)))
        told |= text in through
    if told:
        label = "foretold by the validation loss"
        handles.append(Line2D([], [], color=marks.GREY, label=label, **FORETOLD))
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


def _text(
    axes: Axes, text: str, runs: Sequence[Row], losses: Mapping[str, float],
    look: Mapping[str, Any], through: tuple[Floats, Floats] | None,
) -> Line2D:  # fmt: skip
    """Points and means of a text; what is foretold, and how far depth moves the loss from it."""
    runs = sorted(runs, key=lambda run: run["n_layer"])
    layers = np.array([run["n_layer"] for run in runs], float)
    for run in runs:
        loss = losses[run["cell"]]
        marks.point(axes, run["n_layer"], loss, run, look["color"], text, marker=look["marker"])
    means = _means(runs, [losses[run["cell"]] for run in runs])
    axes.plot(list(means), [*means.values()], color=look["color"], ls=look["ls"], lw=1.0, zorder=3)
    label = text
    if means:
        label += f": means within {100 * (max(means.values()) / min(means.values()) - 1):.1f} %"
    if through is not None and len(means) > 1:
        foretold = _means(runs, other_texts.on_line(*through, _validation(runs)).tolist())
        axes.plot(list(foretold), [*foretold.values()], color=look["color"], **FORETOLD)
        away = other_texts.residuals(runs, losses, through)
        change = other_texts.changed(layers, away, (layers[0], layers[-1]))
        label += f", {round(change, 1) + 0.0:+.1f} % against foretold"
    label = label.replace("-", MINUS)
    return Line2D([], [], mec="white", mew=0.5, lw=1.0, label=label, **look)


def _means(runs: Sequence[Row], losses: Sequence[float]) -> dict[int, float]:
    """Layers -> mean over the runs of that depth."""
    by: dict[int, list[float]] = {}
    for run, loss in zip(runs, losses, strict=True):
        by.setdefault(run["n_layer"], []).append(loss)
    return {layers: mean(own) for layers, own in by.items()}


def _validation(runs: Sequence[Row]) -> Floats:
    return np.array([run["loss"] for run in runs], float)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig24_transfer_by_depth", draw)
