"""Figure 20: loss by position in the context: of every size, and along the training of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.loss_by_position import largest_runs
from pipeline.findings.data import Data, Row
from pipeline.findings.kaplan2020 import positions

FIT: dict[str, Any] = {"lw": 0.9, "ls": (0, (4, 2)), "color": marks.INK, "zorder": 2.5}


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Left the ends of the runs, with a power law for the smallest and largest; right one run."""
    figure.set_size_inches(frame.WIDE, 3.7)
    left, right = figure.subplots(1, 2)
    left.set_label("sizes")
    right.set_label("training")
    sizes = data["sizes"]
    runs = [run for run in largest_runs(sizes.runs) if positions.final(sizes, run)]
    colours = marks.SizeColours(run["params"] for run in runs)
    _ends(left, sizes, runs, colours)
    if runs:
        _training(right, sizes, runs[-1])
    scales.loss_axis(left, label=sizes.measured_label)
    colours.key(figure, (left,))


def _ends(axes: Axes, data: Data, runs: list[Row], colours: marks.SizeColours) -> None:
    lines, drawn = [], False
    for index, run in enumerate(runs):
        losses = positions.final(data, run)
        at = positions.middle(len(losses))
        axes.plot(at, losses, color=colours(run["params"]), lw=0.7, alpha=0.6, zorder=3)
        axes.plot(at, losses, color=colours(run["params"]), marker="o", ms=3.4, mec="white",
                  mew=0.4, ls="none", zorder=4, gid=marks.gid(axes, run["cell"]))  # fmt: skip
        if index in (0, len(runs) - 1):
            law = positions.power(losses)
            lines.append(f"$N$ = {scales.count(run['params'])}: {told(losses, law)}")
            if law and shown(losses, law):
                grid = np.geomspace(1, at[-1] * 1.3, 100)
                axes.plot(grid, law.at(grid), **FIT)
                drawn = True
    bins = max((len(positions.final(data, run)) for run in runs), default=1)
    scales.count_axis(axes, "x", "position in the context $T$ (tokens)")
    axes.xaxis.set_major_locator(FixedLocator((2.0 ** np.arange(bins)).tolist()))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.set_title("\n".join(["$L(T) = L_0 + h\\,T^{\\,-p}$", *lines]), linespacing=1.4)
    handles = [Line2D([], [], marker="o", mec="white", color=marks.GREY, lw=0.7,
                      label="bins 1, 2, 3\u20134, 5\u20138, …")]  # fmt: skip
    if drawn:
        handles.append(Line2D([], [], label="power law, where it is determined", **FIT))
    marks.legend_below(axes, handles, 1)


def shown(losses: list[float], law: positions.Positions) -> bool:
    """Whether the power law through some bins tells anything: of enough bins, and determined."""
    return len(losses) >= positions.ENOUGH_BINS and law.determined


def told(losses: list[float], law: positions.Positions | None) -> str:
    """The three numbers and how far they miss; or why they are none."""
    if law is None or len(losses) < positions.ENOUGH_BINS:
        return f"{len(losses)} bins are too few for three numbers"
    if not law.determined:
        return "no such power is determined"
    formula = rf"${law.floor:.2f} + {law.height:.2f}\,T^{{\,-{law.exponent:.2f}}}$"
    return f"{formula}, {100 * np.sqrt(positions.misfit(losses)):.2g} % off (rms)"


def _training(axes: Axes, data: Data, run: Row) -> None:
    """The loss in each bin against the step."""
    rows = [r for r in data.curves[run["cell"]] if r["loss_by_position"] and r["step"] > 0]
    table = np.array([r["loss_by_position"] for r in rows])
    steps = [r["step"] for r in rows]
    colours = matplotlib.colormaps["plasma"](np.linspace(0, 0.88, table.shape[1]))
    ends = {}
    for index, losses in enumerate(table.T):
        axes.plot(steps, losses, color=colours[index], lw=1.1,
                  gid=marks.gid(axes, run["cell"], positions.named(index)))  # fmt: skip
        ends[positions.named(index)] = (float(losses[-1]), colours[index])
    axes.set_xlim(steps[0], steps[-1])
    axes.set_ylim(*scales.padded(table.ravel()))
    scales.count_axis(axes, "x", "step (steps)")
    scales.loss_axis(axes, label=data.measured_label)
    axes.set_title(f"$N$ = {scales.count(run['params'])}, along its training")
    marks.end_labels(axes.get_figure(root=True), axes, ends, "$T$")  # type: ignore[arg-type]


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig20_loss_by_position", draw)
