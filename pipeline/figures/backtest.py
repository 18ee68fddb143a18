"""How far off each law is at larger runs than it was fitted to, against how much larger."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row
from pipeline.laws import CURVES, SURFACES

LETTERS = {"flops": "C", "params": "N", "tokens": "D"}
LEAST = 0.02  # %: the lower edge, where smaller errors stand
PANELS = 2  # axes of extrapolation that a page has room for
SPREAD = 0.05  # natural log: laws stand beside one another in a bin
ERRORS, RANKS = 6.0, 2.3  # widths of all errors and of the ranks, as shares
LINE = 120  # characters of the headline
FEW = 5  # laws whose ranks stand beside the errors alone, above the legend


class Group(NamedTuple):
    """Laws compared along one axis: rows of the ranking by law, best first, and of the backtest."""

    axis: str
    ranked: Mapping[str, list[Row]]
    tested: Sequence[Row]

    @property
    def level(self) -> float:
        """Coverage that the intervals aim at."""
        level: float = next(iter(self.ranked.values()))[0]["level"]
        return level

    @property
    def bins(self) -> list[Row]:
        """A row of the ranking for each bin: the laws compared predict the same runs in each."""
        return next(iter(self.ranked.values()))

    @property
    def predictions(self) -> int:
        """Predictions of each law."""
        return sum(row["predictions"] for row in self.bins)

    @property
    def runs(self) -> int:
        """Runs that are predicted."""
        return len({row["cell"] for row in self.tested})

    def factor(self, of: Row) -> float:
        """The mean factor of extrapolation in a bin, of logarithms; its lower end where empty."""
        inside = [row["extrapolation"] for row in self.tested if _inside(row, of)]
        return float(np.exp(np.log(inside).mean())) if inside else of["above"]


def groups(data: Data) -> list[Group]:
    """The groups compared: laws of several inputs where there are any, else the others."""
    compared = [row for row in data.ranking if row["predictions"]]
    chosen = [row for row in compared if row["joint"]] or compared
    found = []
    for axis in dict.fromkeys(row["axis"] for row in chosen):
        ranked: dict[str, list[Row]] = {}
        for row in chosen:
            if row["axis"] == axis:
                ranked.setdefault(row["law"], []).append(row)
        rows = [
            r for r in data.backtest
            if r["axis"] == axis and r["compared"] and r["law"] in ranked
        ]  # fmt: skip
        found.append(Group(axis, ranked, rows))
    return found[:PANELS]


def draw(figure: Figure, data: Data) -> None:
    """Errors above, coverage below, for each axis; beside them how the two ranks compare."""
    compared = groups(data)
    if not compared:
        _empty(figure, data)
        return
    figure.set_size_inches(frame.WIDE, 4.4)
    widths = (*[ERRORS / len(compared)] * len(compared), RANKS)
    panels = figure.subplots(
        2, len(widths), width_ratios=widths, height_ratios=(2.2, 1), sharex="col", sharey="row",
        squeeze=False,
    )  # fmt: skip
    for group, top, bottom in zip(compared, panels[0], panels[1]):
        top.set_label(f"{group.axis}.error")
        bottom.set_label(f"{group.axis}.coverage")
        _errors(top, group)
        _coverage(bottom, group)
        letter = LETTERS.get(group.axis, rf"\mathrm{{{group.axis}}}")
        bottom.set_xlabel(f"${letter}$ / largest fitted ${letter}$ (dimensionless)")
        top.set_title(f"each law: {group.predictions} predictions of {group.runs} runs")
    panels[0, 0].set_ylabel("absolute error (%)")
    panels[1, 0].set_ylabel(f"in {100 * compared[0].level:.3g} % interval (%)")
    grid = panels[0, -1].get_gridspec()
    for unused in panels[:, -1]:
        unused.remove()
    few = len(compared[0].ranked) <= FEW
    _ranks(figure.add_subplot(grid[0, -1] if few else grid[:, -1]), compared[0])
    if few:
        beside = figure.add_subplot(grid[1, -1])
        beside.axis("off")
        beside.legend(handles=_handles(compared[0]), loc="center left")
    else:
        figure.legend(handles=_handles(compared[0]), loc="outside lower left", ncols=4)
    marks.head(figure, textwrap.fill(headline(compared[0]), LINE))


def headline(group: Group) -> str:
    """Which law predicts larger runs best, in the words of the ranking."""
    for law, rows in group.ranked.items():
        if rows[0]["chosen"]:
            return f"{law}: {rows[0]['reason']}"
    return "No law gave a number for every run it had to predict: none is named best."


def _empty(figure: Figure, data: Data) -> None:
    figure.set_size_inches(frame.COLUMN, 1.2 + 0.3 * len(data.ranking))
    axes = figure.subplots()
    axes.axis("off")
    axes.text(0, 0.5, "No law could be tested on larger runs.", va="center")
    reasons = {row["law"]: row["reason"] for row in data.ranking}
    lines = [f"{law}: {reason}" for law, reason in reasons.items()]
    axes.text(0, 0.4, "\n".join(textwrap.fill(line, 60) for line in lines), va="top")


def _look(law: str) -> dict[str, Any]:
    """A law's colour, and a marker that tells it from the next law of that colour."""
    index = (*SURFACES, *CURVES).index(law)
    return {
        "color": marks.law_colour(law),
        "marker": marks.MARKERS[(index + index // len(marks.CATEGORIES)) % len(marks.MARKERS)],
    }


def _errors(axes: Axes, group: Group) -> None:
    scales.loss_axis(axes, label="")
    for index, (law, bins) in enumerate(group.ranked.items()):
        look = _look(law)
        runs: dict[str, list[Row]] = {}
        own = [row for row in group.tested if row["law"] == law and np.isfinite(row["error"])]
        for row in own:
            runs.setdefault(row["cell"], []).append(row)
        for cell, rows in runs.items():
            error = np.maximum(np.abs([row["error"] for row in rows]), LEAST)
            axes.plot(
                [row["extrapolation"] for row in rows], error, ls="none", ms=1.6, mew=0,
                alpha=0.45, zorder=2, gid=marks.gid(axes, cell, law), **look,
            )  # fmt: skip
        x = _places(group, bins, index)
        axes.plot(x, [row["mape"] for row in bins], ms=5, mec="white", mew=0.6, zorder=4, **look)
        for at, row in zip(x, bins):
            sizes = [abs(r["error"]) for r in own if _inside(r, row)]
            low, high = np.maximum(np.quantile(sizes, [0.25, 0.75]), LEAST)
            axes.plot([at, at], [low, high], color=look["color"], lw=1.4, alpha=0.7, zorder=3)
    axes.set_ylim(bottom=LEAST)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _factors(axes)


def _coverage(axes: Axes, group: Group) -> None:
    axes.axhline(100 * group.level, color=marks.INK, lw=0.8, ls="--")
    for index, (law, bins) in enumerate(group.ranked.items()):
        look = _look(law)
        x = _places(group, bins, index)
        share = [100 * row["coverage"] for row in bins]
        axes.plot(x, share, ms=4, mec="white", mew=0.5, gid=f"{axes.get_label()}.{law}", **look)
    for row in group.bins:
        axes.annotate(
            f"{row['predictions']}", (group.factor(row), 0.04), xycoords=axes.get_xaxis_transform(),
            ha="center", va="bottom", fontsize=marks.LABEL_SIZE, color=marks.GREY,
        )  # fmt: skip
    axes.set_ylim(-25, 105)
    axes.set_yticks([0, 50, 100])
    _factors(axes)


def _places(group: Group, bins: Sequence[Row], index: int) -> np.ndarray:
    """Where a law's bins stand: at the mean factor of its predictions, laws side by side."""
    middle = np.array([group.factor(row) for row in bins])
    return middle * np.exp(SPREAD * (index - (len(group.ranked) - 1) / 2))


def _inside(row: Row, of: Row) -> bool:
    beyond = of["up_to"] is None or row["extrapolation"] <= of["up_to"]
    return row["extrapolation"] > of["above"] and beyond


def _factors(axes: Axes) -> None:
    scales.count_axis(axes, "x", "")
    axes.set_xlim(left=1.0)


def _ranks(axes: Axes, group: Group) -> None:
    """Each law's rank on its own runs joined to its rank on larger ones, with both errors."""
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(max(len(group.ranked), FEW) + 0.5, 0))
    for x, side, text in (
        (0.58, "right", "own runs\nRMSE (%)"),
        (0.84, "left", "larger\nmean (%)"),
    ):
        axes.text(x, 0.15, text, ha=side, va="center", color=marks.GREY)
    lefts, rights = (_lines(group, name) for name in ("in_sample_rank", "out_of_sample_rank"))
    for law, (row, *_) in group.ranked.items():
        left, right = lefts[law], rights[law]
        weight = "bold" if row["chosen"] else "normal"
        axes.plot([0.63, 0.79], [left, right], lw=1.2, ms=4.5, gid=f"ranks.{law}", **_look(law))
        axes.text(
            0.58, left, f"{law}  {_short(row['rmse'])}", ha="right", va="center", weight=weight
        )
        axes.text(0.84, right, _short(row["score"]), va="center", weight=weight)


def _handles(group: Group) -> list[Any]:
    """What dots, markers, bars, the dashed line and the numbers on the lower edge are."""
    grey: dict[str, Any] = {"color": marks.GREY}
    return [
        Line2D([], [], marker="o", ls="none", ms=1.8, label="one prediction", **grey),
        Line2D([], [], marker="o", ms=5, mec="white", label="mean of a bin", **grey),
        Line2D([], [], marker="|", ms=8, mew=1.4, ls="none", label="middle half", **grey),
        Line2D([], [], color=marks.INK, lw=0.8, ls="--", label=f"{100 * group.level:.3g} %"),
        Line2D(
            [], [], marker="$12$", ms=7, mew=0, ls="none", label="predictions in the bin", **grey
        ),
    ]


def _lines(group: Group, rank: str) -> dict[str, int]:
    """Each law's line of the table: its rank, where laws of one rank stand below one another."""
    ordered = sorted(group.ranked, key=lambda law: group.ranked[law][0][rank])
    return {law: line for line, law in enumerate(ordered, 1)}


def _short(error: float | None) -> str:
    return "none" if error is None else f"{error:.2f}"


if __name__ == "__main__":
    frame.main("backtest", draw)
