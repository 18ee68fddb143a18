"""Figure 22: learning-rate schedules, and the loss of each against its summed learning rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row
from pipeline.laws.base import Floats
from pipeline.training.schedules import lr_factor

ACROSS = 3  # small pictures in a row
NEAR, GAP = 0.06, 0.042  # shares of the axes: numbers nearer than this touch, across and upwards
DRAWN = 200  # steps at which a schedule is drawn
SAME = 0.002  # natural log: sums of rates this close would hide one another's points
APART = 0.025  # shares of the axis between schedules of one sum


class Schedule(NamedTuple):
    """What runs of one schedule share."""

    name: str
    peak: float
    warmup_steps: int
    power: float | None
    final: float | None


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Left each schedule, small and numbered; right its runs, one for each seed, and their mean."""
    runs = [run for run in data["schedules"].runs if run["loss"] is not None]
    groups = by_schedule(runs)
    down = -(-len(groups) // ACROSS)
    figure.set_size_inches(frame.WIDE, max(3.4, 0.75 + 0.85 * down))
    both: Any = figure.subfigures(1, 2, width_ratios=(1.1, 1))
    small, large = both
    panels = small.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
    names = labels(list(groups))
    for index, (axes, members) in enumerate(zip(panels, groups.values())):
        _picture(axes, members[0], index, names[index], runs)
    for axes in panels[len(groups) :]:
        axes.set_axis_off()
    highest = max(schedule.peak for schedule in groups)
    panels[0].set_ylim(0, 1.06 * highest)
    panels[0].set_yticks(range(int(highest) + 1))
    small.supxlabel("share of training (dimensionless)", fontsize=8)
    small.supylabel("learning rate over the reference peak (dimensionless)", fontsize=8)
    _losses(large.subplots(), data["schedules"], groups)


def by_schedule(runs: Sequence[Row]) -> dict[Schedule, list[Row]]:
    """Runs by schedule, by name and peak; the peak over the one of most runs."""
    usual = Counter(run["lr"] for run in runs).most_common(1)[0][0]
    groups: dict[Schedule, list[Row]] = {}
    for run in runs:
        key = Schedule(run["schedule"], round(run["lr"] / usual, 4), run["warmup_steps"],
                       run["schedule_power"], run["final_lr"])  # fmt: skip
        groups.setdefault(key, []).append(run)
    order = sorted(groups, key=lambda s: (s.name, s.warmup_steps, s.peak, s.power or 0.0))
    return {schedule: groups[schedule] for schedule in order}


def labels(schedules: Sequence[Schedule]) -> list[str]:
    """Each with what tells it from the usual one: its peak, warmup or power."""
    warmup = Counter(schedule.warmup_steps for schedule in schedules).most_common(1)[0][0]
    found = []
    for schedule in schedules:
        text = schedule.name.replace("inverse_sqrt", "inverse root")
        if schedule.name == "polynomial" and schedule.power:
            text = f"power {schedule.power:g}"
        if schedule.peak != 1:
            text += f", ×{schedule.peak:g}"
        if schedule.warmup_steps != warmup:
            text += ", warmup"
        found.append(text)
    return found


def spread(groups: Mapping[Schedule, Sequence[Row]]) -> float | None:
    """Standard deviation of the loss between seeds, pooled over schedules; None without seeds."""
    losses = [np.array([run["loss"] for run in members]) for members in groups.values()]
    free = sum(len(of) - 1 for of in losses)
    return (
        float(np.sqrt(sum(((of - of.mean()) ** 2).sum() for of in losses) / free)) if free else None
    )


def colour(index: int) -> str:
    return marks.CATEGORIES[index % len(marks.CATEGORIES)]


def marker(index: int) -> str:
    """A marker that changes where the colours come round again."""
    return marks.MARKERS[(index + index // len(marks.CATEGORIES)) % len(marks.MARKERS)]


def _picture(axes: Axes, run: Row, index: int, name: str, runs: Sequence[Row]) -> None:
    usual = Counter(other["lr"] for other in runs).most_common(1)[0][0]
    x, y = rates(run)
    axes.plot(x, y / usual, color=colour(index), lw=1.2)
    axes.set_title(f"{index + 1}  {name}", fontsize=7, pad=2)
    axes.set_xticks([0, 1])


def rates(run: Row) -> tuple[Floats, Floats]:
    """Share of the updates made, and the learning rate of the next, by the schedule of a run."""
    cell: Any = SimpleNamespace(**run, stable_steps=run["steps"] - run["cooldown_steps"])
    steps = np.unique(np.linspace(0, run["steps"] - 1, DRAWN).round().astype(int))
    factors = [lr_factor(cell, step) for step in steps.tolist()]
    return steps / run["steps"], run["lr"] * np.array(factors)


def side_by_side(sums: Sequence[float]) -> Floats:
    """Where schedules stand on a log axis: those of about one sum a little left and right of it."""
    logs = np.log(sums)
    order = np.argsort(logs, kind="stable")
    gap = APART * np.ptp(logs)
    for equal in np.split(order, np.flatnonzero(np.diff(logs[order]) > SAME) + 1):
        logs[equal] += gap * (np.arange(len(equal)) - (len(equal) - 1) / 2)
    return np.exp(logs)


def _losses(axes: Axes, data: Data, groups: Mapping[Schedule, Sequence[Row]]) -> None:
    middles = []
    sums = [mean(run["lr_sum"] for run in members) for members in groups.values()]
    places = side_by_side(sums).tolist()
    for index, (members, place) in enumerate(zip(groups.values(), places, strict=True)):
        losses = [run["loss"] for run in members]
        for run in members:
            marks.point(axes, run["lr_sum"] * place / sums[index], run["loss"], run, colour(index),
                        marker=marker(index), ms=4.2)  # fmt: skip
        axes.plot([place] * 2, [min(losses), max(losses)], color=colour(index), lw=0.8)
        middles.append((place, mean(losses)))
    scales.count_axis(axes, "x", "summed learning rate (dimensionless)")
    scales.loss_axis(axes, label=data.measured_label)
    between = spread(groups)
    seeds = max(len(members) for members in groups.values())
    if between is not None:
        axes.set_title(
            f"up to {seeds} seeds, {between:.3f} nats/token apart (deviation)\n"
            "grey: twice that above the best run", linespacing=1.35,
        )  # fmt: skip
        low = min(run["loss"] for members in groups.values() for run in members)
        axes.axhspan(low, low + 2 * between, color=marks.GREY, alpha=marks.BAND, lw=0, zorder=0)
    _numbers(axes, middles)


def _numbers(axes: Axes, at: Sequence[tuple[float, float]]) -> None:
    """Number the schedules right of their points, those near one another above one another."""
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    inside = (axes.transData + axes.transAxes.inverted()).transform(at)
    order = np.argsort(inside[:, 0])
    breaks = np.flatnonzero(np.diff(inside[order, 0]) > NEAR) + 1
    for column in np.split(order, breaks):
        column = column[np.argsort(inside[column, 1])]
        heights = marks.spaced(inside[column, 1].tolist(), GAP, (0.0, 1.0))
        for index, y in zip(column, heights, strict=True):
            axes.annotate(
                f"{index + 1}", at[index], (inside[index, 0] + 0.035, y),
                textcoords="axes fraction", va="center", fontsize=marks.LABEL_SIZE,
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": marks.GREY, "shrinkA": 0,
                            "shrinkB": 3, "relpos": (0, 0.5)},
            )  # fmt: skip


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig22_schedules", draw)
