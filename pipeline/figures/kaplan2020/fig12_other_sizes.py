"""Figure 12: what a model larger or smaller than the best costs in compute and in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks, notes
from pipeline.figures.kaplan2020 import algebra, headings
from pipeline.findings.data import Data, FittedLaw
from pipeline.findings.kaplan2020 import along
from pipeline.kaplan2020 import PAPER, BatchLaw, Ratios, StepsLaw, excess_of_size, fewest_steps

LOSSES = 4  # at which sizes are compared
CHEAP = 1.2  # times the least compute
SHOWN = (0.1, 30.0)  # N over the best, or wider for curves outside of it
TOP = 12.0  # times the least that the panels show, or more for curves above it
LAW: dict[str, Any] = {"color": marks.INK, "lw": 1.2, "zorder": 3}
PAPERS: dict[str, Any] = {"color": marks.VERMILLION, "lw": 1.0, "ls": (0, (4, 2)), "zorder": 2.5}
COLOURS = (marks.BLUE, marks.GREEN, marks.PURPLE, marks.ORANGE)
LOOKS = tuple(zip(COLOURS, marks.MARKERS[:4], strict=True))


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Eq. B.16 and B.17 of the fit with their band, of the paper's constants, and the curves."""
    fit, of_batch = data["sizes"].fits["kaplan_steps"], data["batches"].fits["critical_batch"]
    fits = {"kaplan_steps": fit, "critical_batch": of_batch}
    figure.set_size_inches(frame.WIDE, 3.9 + notes.room(fits, 130))
    left, right = figure.subplots(1, 2)
    left.set_label("compute")
    right.set_label("steps")
    drawable = fit.drawable and of_batch.drawable
    found: dict[float, list[tuple[along.Course, Ratios]]] = {}
    if drawable:
        steps, batch = algebra.drawn(fit, of_batch)
        found = measured(along.courses(data["sizes"]), steps.best, batch.best)
    shown = _reach(found, "params", *SHOWN)
    grid = np.geomspace(*shown, 400)
    for axes, quantity in ((left, "flops"), (right, "steps")):
        _points(axes, found, quantity)
        axes.plot(grid, getattr(excess_of_size(PAPER.steps, grid), quantity), **PAPERS)
        if drawable:
            _law(axes, fit, grid, quantity)
        _scales(axes, shown)
    left.set_ylim(*_reach(found, "flops", 0.8, TOP))
    right.set_ylim(*_reach(found, "steps", 1 / TOP, TOP))
    left.set_ylabel(r"$C_{\min}$ over the best (dimensionless)")
    right.set_ylabel(r"$S_{\min}$ over the best (dimensionless)")
    left.set_title(_told(fit) if drawable else "")
    right.set_title(headings.counted(fit, "point"))
    figure.legend(handles=_handles(fit, found, drawable), loc="outside upper left", ncols=3)
    marks.doubts(figure, fits, 130)


def measured(
    courses: Sequence[along.Course], steps: StepsLaw, batch: BatchLaw
) -> dict[float, list[tuple[along.Course, Ratios]]]:
    """Loss -> (course, N, S_min and C_min over those of the best size by the law) of those at it.

    At one loss the critical batch is the same for all sizes, and C_min = 6 N B_crit S_min.
    """
    found: dict[float, list[tuple[along.Course, Ratios]]] = {}
    for loss in compared(courses):
        pairs = []
        params, fewest = best(steps, loss)
        for course in courses:
            taken = along.reached(course.steps, course.loss, loss)
            if np.isfinite(taken):
                own = fewest_steps(batch, taken, course.run["batch_tokens"], loss)
                size, share = course.params / params, own / fewest
                pairs.append((course, Ratios(size, share, size * share)))
        if pairs:
            found[loss] = pairs
    return found


def best(law: StepsLaw, loss: float) -> tuple[float, float]:
    """N and S_min that reach a loss at the least compute, eq. B.5, B.9 and B.10."""
    ratio = law.alpha_N / law.alpha_S
    params = law.Nc * ((1 + ratio) / loss) ** (1 / law.alpha_N)
    steps = law.Sc * ((1 + ratio) / (ratio * loss)) ** (1 / law.alpha_S)
    return float(params), float(steps)


def compared(courses: Sequence[along.Course]) -> list[float]:
    """Losses, evenly spaced in logarithms, from what most sizes reach to what only large ones do.

    Rounded to two decimals, so that they can be told.
    """
    if len(courses) < 3:
        return []
    ends = sorted(float(course.loss.min()) for course in courses)
    chosen = np.geomspace(ends[-1], ends[1], LOSSES)
    return sorted({float(f"{np.ceil(100 * loss) / 100:.2f}") for loss in chosen}, reverse=True)


def cheap(law: StepsLaw) -> tuple[float, float]:
    """The smallest and the largest size, over the best, that cost at most ``CHEAP`` times it."""
    grid = np.geomspace(1e-3, 1e3, 20001)
    good = grid[np.asarray(excess_of_size(law, grid).flops) <= CHEAP]
    return float(good.min()), float(good.max())


def _points(
    axes: Axes, found: Mapping[float, list[tuple[along.Course, Ratios]]], quantity: str
) -> None:
    for (loss, pairs), (colour, marker) in zip(found.items(), LOOKS):
        for course, one in pairs:
            marks.point(axes, float(one.params), float(getattr(one, quantity)), course.run, colour,
                        f"{loss:.2f}", marker=marker, ms=3.6)  # fmt: skip


def _law(axes: Axes, fit: FittedLaw, grid: Any, quantity: str) -> None:
    (law,) = algebra.drawn(fit)
    if law.samples is not None:
        samples = np.asarray(getattr(excess_of_size(algebra.columns(law.samples), grid), quantity))
        # A size that never gets there costs more than any panel shows.
        ends = algebra.ends(np.minimum(samples, 1e9), fit.saved.percentiles)
        marks.band(axes, grid, ends, marks.GREY)
    axes.plot(grid, getattr(excess_of_size(law.best, grid), quantity), **LAW)


def _reach(
    found: Mapping[float, list[tuple[along.Course, Ratios]]], name: str, low: float, high: float
) -> tuple[float, float]:
    """Ends of an axis that hides no point."""
    values = [float(getattr(one, name)) for pairs in found.values() for _, one in pairs]
    return min([low, *(value / 1.15 for value in values)]), max(
        [high, *(value * 1.15 for value in values)]
    )


def _scales(axes: Axes, shown: tuple[float, float]) -> None:
    scales.loss_axis(axes, "x", r"size $N$ over the law's best (dimensionless)")
    scales.loss_axis(axes, "y", "")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(*shown)
    axes.axvline(1.0, color=marks.PALE, lw=0.8, zorder=1)


def _told(fit: FittedLaw) -> str:
    (law,) = algebra.drawn(fit)
    ours, paper = cheap(law.best), cheap(PAPER.steps)
    return (
        f"{ours[0]:.2f} to {ours[1]:.2g} times the best size costs at most"
        f"\n{100 * (CHEAP - 1):.0f} % more compute (paper: {paper[0]:.2f} to {paper[1]:.2g})"
    )


def _handles(fit: FittedLaw, found: Mapping[float, Any], drawable: bool) -> list[Any]:
    handles: list[Any] = []
    if drawable:
        handles.append(Line2D([], [], label=r"fitted $L(N, S_{\min})$, eq. B.16 and B.17", **LAW))
        if fit.has_intervals:
            handles.append(marks.band_handle(fit, marks.GREY))
    handles.append(Line2D([], [], label="the paper's constants", **PAPERS))
    for loss, (colour, marker) in zip(found, LOOKS):
        handles.append(Line2D([], [], marker=marker, ms=3.6, ls="none", color=colour, mec="white",
                              mew=0.5, label=f"curves at {loss:.2f} nats/token"))  # fmt: skip
    return handles


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig12_other_sizes", draw)
