"""Figure 19: the fewest steps and the fewest tokens to fixed losses, against model size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data
from pipeline.findings.kaplan2020 import along
from pipeline.findings.kaplan2020.along import Course
from pipeline.laws.base import Floats

LOSSES = 6
LEAST_SIZES = 3  # that reach a loss, for it to be shown


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """A line for each loss: S_min and E_min of every size that reached it."""
    courses = along.courses(data["sizes"])
    fits = {"critical_batch": data["batches"].fits["critical_batch"]}
    if algebra.refused(figure, fits, bool(courses)):
        return
    figure.set_size_inches(frame.WIDE, 3.3 + algebra.room(fits, 130))
    panels = figure.subplots(1, 2)
    batch = algebra.drawn(fits["critical_batch"])[0].best
    chosen = losses(courses)
    colours = marks.SizeColours(chosen, matplotlib.colormaps["plasma"])
    for axes, name, amount, label in (
        (panels[0], "steps", lambda c: c.fewest_steps(batch), r"fewest steps $S_{\min}$ (steps)"),
        (panels[1], "tokens", lambda c: c.fewest_tokens(batch),
         r"fewest tokens $E_{\min}$ (tokens)"),
    ):  # fmt: skip
        axes.set_label(name)
        for loss in chosen:
            found = to_loss(courses, amount, loss)
            axes.plot([c.params for c, _ in found], [y for _, y in found], color=colours(loss),
                      lw=0.9, zorder=3)  # fmt: skip
            for course, y in found:
                marks.point(axes, course.params, y, course.run, colours(loss), f"{loss:.3f}")
        scales.count_axis(axes, "x", scales.PARAMS)
        scales.count_axis(axes, "y", label)
    bar = figure.colorbar(ScalarMappable(colours.norm, colours.map), ax=list(panels), pad=0.02)
    bar.outline.set_visible(False)
    scales.loss_axis(bar.ax, "y", "to the loss (nats/token)")
    for loss in chosen:
        bar.ax.axhline(loss, color="white", lw=0.8)
    marks.head(figure, "\n".join(_told(data["sizes"], courses, chosen)))
    handle = Line2D([], [], marker="o", color=marks.GREY, mec="white", mew=0.5, lw=0.9,
                    label="sizes that reached one loss, at the peak learning rate")  # fmt: skip
    marks.legend_below(panels[0], [handle], 1)
    marks.doubts(figure, fits, 130)


def losses(courses: Sequence[Course]) -> list[float]:
    """Losses, evenly in their logarithm, that at least three sizes reach; the lowest first.

    From where all sizes have come, or the worst one ends, to where the third best one ends; where
    the smallest size ends is always one of them.
    """
    lowest: dict[float, float] = {}
    for course in courses:
        lowest[course.params] = min(lowest.get(course.params, np.inf), float(course.loss.min()))
    ends = sorted(lowest.values())
    if len(ends) < LEAST_SIZES:
        return []
    low = ends[LEAST_SIZES - 1] * 1.0001
    high = max(min(float(course.loss[0]) for course in courses), ends[-1], low)
    found = np.geomspace(low, high, LOSSES)
    smallest = lowest[min(lowest)]
    if smallest > low:
        found[np.abs(np.log(found / smallest)).argmin()] = smallest
    return sorted(set(found.tolist()))


def _told(data: Data, courses: Sequence[Course], chosen: Sequence[float]) -> list[str]:
    """The corrections; what figure 2 compares; and the sizes without a dot."""
    lines = [r"$S_{\min} = S/(1 + B_{\mathrm{crit}}/B)$, $E_{\min} = E/(1 + B/B_{\mathrm{crit}})$"]
    what = "tokens"
    if len({course.run["batch_tokens"] for course in courses}) == 1:
        what = "steps and tokens"
        lines[0] += r"; at one batch size $E_{\min} = B_{\mathrm{crit}}(L)\,S_{\min}$"
    if found := along.fewer_tokens(along.of_sizes(data)):
        large, small = (f"$N$ = {scales.count(c.params)}" for c in (found.large, found.small))
        lines.append(
            f"to {found.loss:.2f} nats/token {small} takes "
            f"{found.small_tokens / found.large_tokens:.2g} times the {what} of {large}"
        )
    shown = {c.params for loss in chosen for c, _ in to_loss(courses, lambda c: c.steps, loss)}
    if lacking := sorted({course.params for course in courses} - shown):
        sizes = ", ".join(map(scales.count, lacking))
        lines.append(f"no dot: $N$ = {sizes}, which met none of these losses at the peak rate")
    return lines


def to_loss(
    courses: Sequence[Course], amount: Callable[[Course], Floats], loss: float
) -> list[tuple[Course, float]]:
    """What each size took to a loss, its fastest run; sizes that never met it are left out."""
    fastest: dict[float, tuple[Course, float]] = {}
    for course in courses:
        taken = along.reached(amount(course), course.loss, loss)
        if taken < fastest.get(course.params, (course, np.inf))[1]:
            fastest[course.params] = (course, taken)
    return [fastest[params] for params in sorted(fastest)]


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig19_sample_efficiency", draw)
