"""Figure 15: where the frontier in compute falls below what its own data can support."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline import kaplan2020
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks, notes
from pipeline.figures.kaplan2020 import algebra
from pipeline.findings.data import Data, FittedLaw, estimate, number
from pipeline.findings.kaplan2020 import along
from pipeline.kaplan2020 import PF_DAY, Crossing, Power, Trend
from pipeline.laws.interval import around

COMPUTE, DATA = marks.BLUE, marks.VERMILLION
SAID = (
    ("C^*", "flops", "FLOP"), ("N^*", "params", "parameters"), ("D^*", "tokens", "tokens"),
    ("L^*", "loss", "nats/token"),
)  # fmt: skip
USED = {
    "power_compute_min": "sizes", "power_tokens": "data", "kaplan_steps": "sizes",
    "critical_batch": "batches",
}  # fmt: skip
FARTHEST = 1e12  # times the largest run: how far lines are drawn for a crossing
PAPERS_FLOPS, PAPERS_LOSS = 1e4 * PF_DAY, 1.7  # eq. 6.8
OPEN = 0.5  # opacity of lines whose crossing the runs leave open
BEYOND = (0, (4, 2))
THEIRS: dict[str, Any] = {"marker": "D", "ms": 4.2, "mfc": "white", "mec": marks.INK, "mew": 0.8,
                          "ls": "none"}  # fmt: skip


class Contradiction(NamedTuple):
    """The laws at their best estimate and as replicates (R,), and where they cross."""

    compute: algebra.Drawn
    tokens: algebra.Drawn
    tokens_of: algebra.Drawn
    crossing: Crossing
    samples: Crossing | None

    @property
    def outruns(self) -> bool:
        """Whether the loss falls faster with compute than its data allow, so that lines cross."""
        return bool(falls_faster(self.compute.best, self.tokens.best, self.tokens_of.best))

    def limited(self, law: Power, trend: Trend, flops: np.ndarray) -> np.ndarray:
        """L(D(C_min))."""
        return np.asarray(law.at(trend.at(flops)))


def falls_faster(compute: Power, tokens: Power, tokens_of: Trend) -> bool | np.ndarray:
    """alpha_C > alpha_D times the exponent of D in compute."""
    return compute.exponent > tokens.exponent * tokens_of.exponent


def contradiction(data: Mapping[str, Data]) -> Contradiction:
    """From L(C_min), L(D), L(N, S_min) and B_crit(L), eq. 6.6 to 6.8."""
    compute, tokens, steps, batch = algebra.drawn(*used(data).values())
    with np.errstate(all="ignore"):  # replicates whose lines hardly part cross nowhere near
        params = kaplan2020.params_of(steps.best, batch.best)
        trend = kaplan2020.tokens_of(params)
        crossing = kaplan2020.crossing(compute.best, tokens.best, trend, params)
        if compute.samples is None:
            return Contradiction(compute, tokens, algebra.Drawn(trend, None), crossing, None)
        drawn = kaplan2020.params_of(steps.samples, batch.samples)
        trends = kaplan2020.tokens_of(drawn)
        samples = kaplan2020.crossing(compute.samples, tokens.samples, trends, drawn)
    return Contradiction(compute, tokens, algebra.Drawn(trend, trends), crossing, samples)


def used(data: Mapping[str, Data]) -> dict[str, FittedLaw]:
    """The fits that the lines are made of, each of its experiment."""
    return {law: data[experiment].fits[law] for law, experiment in USED.items()}


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Both lines with bands, dashed beyond the runs; the crossing with its interval; the paper's.

    What the runs leave open is pale, and its star hollow.
    """
    courses = along.courses(data["sizes"])
    fits = used(data)
    if algebra.refused(figure, fits, bool(courses)):
        return
    figure.set_size_inches(frame.COLUMN, 4.6 + algebra.room(fits, 62))
    axes = figure.subplots()
    fit = data["sizes"].fits["power_compute_min"]
    found = contradiction(data)
    batch = algebra.drawn(data["batches"].fits["critical_batch"])[0].best
    least = np.concatenate([course.least_flops(batch) for course in courses])
    largest = float(least.max())
    for course in courses:
        axes.plot(course.least_flops(batch), course.loss, color=marks.PALE, lw=0.6, zorder=2,
                  gid=course.run["cell"])  # fmt: skip
    settled = not notes.lines(fits, 62) and crossing_share(found, largest) >= fit.level
    axes.set_xlim(float(least.min()) / 2, _reach(found, largest))
    grid = np.unique(np.r_[np.geomspace(*axes.get_xlim(), 160), largest])
    bottom = _lines(axes, found, grid, largest, fit.saved.percentiles, 1.0 if settled else OPEN)
    top = scales.padded(np.concatenate([c.loss for c in courses]))[1]
    axes.set_ylim(min(bottom, 0.93 * PAPERS_LOSS), top)
    axes.axvspan(axes.get_xlim()[0], largest, color="#f3f3f3", zorder=0)
    _cross(axes, found, _ends(found, fit.level), settled)
    axes.axvline(PAPERS_FLOPS, color=marks.INK, lw=0.7, ls=(0, (1, 1.5)), zorder=1.6)
    axes.plot(PAPERS_FLOPS, PAPERS_LOSS, zorder=4, gid="paper", **THEIRS)
    _scales(axes, data["sizes"].measured_label)
    axes.set_title("\n".join(told(found, largest, fit.level, settled)), linespacing=1.4)
    marks.legend_below(axes, _handles(fit), 1)
    marks.doubts(figure, fits, 62)


def _reach(found: Contradiction, largest: float) -> float:
    """The end of the axis: beyond the paper's crossing and, unless very far, this one."""
    there = float(found.crossing.flops) if found.outruns else largest
    return max(30 * PAPERS_FLOPS, min(30 * there, FARTHEST * largest))


def _scales(axes: Axes, label: str) -> None:
    """FLOP below, the paper's PF-days above."""
    scales.flops_axis(axes, "x", r"compute $C_{\min}$ (FLOP)")
    axes.xaxis.set_minor_locator(NullLocator())  # over so many decades they only blacken the axis
    above = axes.secondary_xaxis("top", functions=(_pf_days, _flops))
    above.set_xlabel("(PF-days)", fontsize=marks.LABEL_SIZE)
    above.xaxis.set_major_locator(scales.RoundLog(most=4))
    above.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scales.power_of_ten(value)))
    above.xaxis.set_minor_locator(NullLocator())
    scales.loss_axis(axes, label=label)


def _pf_days(flops: Any) -> Any:
    return flops / PF_DAY


def _flops(pf_days: Any) -> Any:
    return pf_days * PF_DAY


def _handles(fit: FittedLaw) -> list[Any]:
    theirs = (
        f"Kaplan et al. 2020: {scales.power_of_ten(PAPERS_FLOPS / PF_DAY)} PF-days, {PAPERS_LOSS}"
    )
    return [
        Line2D([], [], color=COMPUTE, label=r"$L(C_{\min})$"),
        Line2D([], [], color=DATA, label=r"$L(D(C_{\min}))$, $D = 2C_{\min}/6N(C_{\min})$"),
        Line2D([], [], color=marks.GREY, lw=0.9, ls=BEYOND, label="beyond the runs"),
        Line2D([], [], color=marks.PALE, lw=0.8, label="runs; grey: their range"),
        marks.band_handle(fit, marks.GREY),
        Line2D([], [], label=f"{theirs} nats/token", **THEIRS),
    ]


def told(found: Contradiction, largest: float, level: float, settled: bool = True) -> list[str]:
    """The crossing in words: C, N, D and loss with intervals, how far out.

    Where the runs leave it open, only that, and how wide the interval of C is.
    """
    at, samples = found.crossing, found.samples
    if not found.outruns or not np.isfinite(at.flops):
        lines = ["By these fits the loss falls no faster with compute than",
                 "with its data: the lines part, and cross nowhere beyond."]  # fmt: skip
        return [*lines, *_share(found, largest)]
    if not settled:
        return [*_left_open(found, level), *_share(found, largest)]
    lines = []
    for letter, name, unit in SAID:
        ends = around(getattr(samples, name), level) if samples else (None, None)
        lines.append(f"${letter}$ = {estimate(float(getattr(at, name)), *ends)} {unit}")
    beyond = float(at.flops / largest)
    place = f"${number(beyond)}$ times beyond the runs" if beyond > 1 else "within the runs"
    lines.append(f"{100 * level:.3g} % intervals; {place}")
    return [*lines, *_share(found, largest)]


def _left_open(found: Contradiction, level: float) -> list[str]:
    """Where the best fits cross, and over how many powers of ten they might."""
    low, high = _ends(found, level)
    wide = ""
    if low and high:
        wide = f"; {100 * level:.3g} % interval: {math.log10(high / low):.0f} powers of ten"
    at = scales.power_of_ten(float(f"{found.crossing.flops:.1e}"))
    return ["These runs leave open where the lines cross:", f"best fits at {at} FLOP{wide}"]


def crossing_share(found: Contradiction, largest: float) -> float:
    """The share of replicates of the fits that have a crossing to come; NaN without replicates."""
    if found.samples is None:
        return np.nan
    ahead = falls_faster(found.compute.samples, found.tokens.samples, found.tokens_of.samples)
    return float(np.mean(np.asarray(ahead) & ~(found.samples.flops <= largest)))


def _share(found: Contradiction, largest: float) -> list[str]:
    if found.samples is None:
        return []
    return [f"{100 * crossing_share(found, largest):.0f} % of replicates cross beyond the runs"]


def _ends(found: Contradiction, level: float) -> tuple[float | None, float | None]:
    if not (found.outruns and found.samples):
        return None, None
    return around(found.samples.flops, level)


def _lines(
    axes: Axes, found: Contradiction, grid: np.ndarray, largest: float, level: float, opacity: float
) -> float:  # fmt: skip
    """Draw both with their bands; return the bottom of the axis that shows them."""
    lines = (found.compute.best.at(grid),
             found.limited(found.tokens.best, found.tokens_of.best, grid))  # fmt: skip
    bands: list[tuple[np.ndarray, np.ndarray] | None] = [None, None]
    if found.samples:
        with np.errstate(all="ignore"):
            laws = (algebra.columns(found.tokens.samples), algebra.columns(found.tokens_of.samples))
            bands = [
                algebra.ends(algebra.columns(found.compute.samples).at(grid), level),
                algebra.ends(found.limited(*laws, grid), level),
            ]
    inside = grid <= largest
    for line, ends, colour in zip(lines, bands, (COMPUTE, DATA), strict=True):
        marks.band(axes, grid, ends, colour)
        axes.plot(grid[inside], line[inside], color=colour, lw=1.4, alpha=opacity, zorder=3)
        axes.plot(grid[~inside], line[~inside], color=colour, lw=1.1, ls=BEYOND, alpha=opacity,
                  zorder=3)  # fmt: skip
    return float(0.85 * min(line.min() for line in lines))


def _cross(
    axes: Axes, found: Contradiction, ends: tuple[float | None, float | None], settled: bool
) -> None:
    """The star with its bar, which ends in arrows where it goes on beyond the axis."""
    at, (left, right), (low, high) = found.crossing, axes.get_xlim(), ends
    if not (found.outruns and left < at.flops < right):
        return
    loss = float(at.loss)
    if low is not None and high is not None:
        axes.plot([max(low, left), min(high, right)], [loss] * 2, color=marks.INK, lw=0.9, zorder=4)
        for cut, x, marker in ((low < left, left, "<"), (high > right, right, ">")):
            if cut:
                axes.plot(x, loss, marker=marker, ms=4, color=marks.INK, clip_on=False, zorder=4)
    axes.plot(at.flops, loss, marker="*", ms=10, mfc=marks.ORANGE if settled else "white",
              mec=marks.INK, mew=0.6, ls="none", zorder=5, gid="crossing")  # fmt: skip


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig15_contradiction", draw)
