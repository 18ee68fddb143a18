"""Loss against tokens and against compute while every cell trains, with the compute frontier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row


def draw(figure: Figure, data: Data) -> None:
    """Two panels, coloured by N: trunks, the branches that leave them, and each cell's end.

    Imported runs have no curve and are left out.
    """
    figure.set_size_inches(frame.WIDE, 3.0)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_label("tokens")
    right.set_label("flops")
    trained = [run for run in data.runs if run["source"] == "native"]
    colours = marks.SizeColours(run["params"] for run in trained)
    for axes, column in ((left, "tokens"), (right, "flops")):
        for line, rows, params in _lines(data, trained):
            style = {"lw": 1.1, "alpha": 0.9} if line == "trunk" else {"lw": 0.8}
            axes.plot(
                [row[column] for row in rows], [row["val_loss"] for row in rows],
                color=colours(params), **style,
            )  # fmt: skip
        for run in trained:
            x = run["tokens"] if column == "tokens" else run["flops_exact"]
            marks.point(axes, x, run["loss"], run, colours(run["params"]), ms=3.6)
    front = list(frontier(row for rows in data.curves.values() for row in rows))
    right.plot(*zip(*front), color=marks.INK, lw=1.0, ls=(0, (4, 2)), zorder=3)
    scales.count_axis(left, "x", scales.TOKENS)
    scales.flops_axis(right, "x", scales.FLOPS["flops_exact"])
    scales.loss_axis(left, label="validation " + scales.LOSS)
    _legend(left, right, trained)
    colours.key(figure, (left, right))


def _lines(data: Data, runs: Iterable[Row]) -> Iterator[tuple[str, list[Row], int]]:
    """(trunk or branch, rows, N): each trunk once, each branch from where it leaves its trunk."""
    longest: dict[str, Row] = {}
    for run in runs:
        rows = data.curves.get(run["cell"], [])
        if not run["trunk"]:
            yield "branch", rows, run["params"]
            continue
        split = run["steps"] - run["cooldown_steps"]
        stable = [row for row in rows if row["step"] <= split]
        yield "branch", stable[-1:] + [row for row in rows if row["step"] > split], run["params"]
        known = longest.get(run["trunk"])
        if known is None or split > known["split"]:
            longest[run["trunk"]] = {"rows": stable, "params": run["params"], "split": split}
    for trunk in longest.values():
        yield "trunk", trunk["rows"], trunk["params"]


def frontier(rows: Iterable[Row]) -> Iterator[tuple[float, float]]:
    """(FLOP, loss) wherever no cheaper evaluation of any cell had a lower loss."""
    best = float("inf")
    for flops, loss in sorted((row["flops"], row["val_loss"]) for row in rows):
        if loss < best:
            best = loss
            yield flops, loss


def _legend(left: Axes, right: Axes, runs: Iterable[Row]) -> None:
    shown: list[Any] = [
        Line2D([], [], marker="o", ls="none", color=marks.GREY, ms=3.6, label="end of a cell"),
        *marks.state_handles(runs),
    ]
    left.legend(handles=shown, loc="lower left")
    line = Line2D([], [], color=marks.INK, lw=1.0, ls=(0, (4, 2)), label="compute frontier")
    right.legend(handles=[line], loc="lower left")


if __name__ == "__main__":
    frame.main("learning_curves", draw)
