"""Figure 15: where the frontier in compute falls below what its own data can support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pipeline import kaplan2020
from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.data import Data, FittedLaw, estimate, number
from pipeline.figures.kaplan2020 import algebra, along
from pipeline.kaplan2020 import Crossing, Power, Trend
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
FARTHEST = 1e12  # times the largest run: how far lines are drawn


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
    """Both lines with bands; the crossing with its interval; where runs end, grey."""
    courses = along.courses(data["sizes"])
    fits = used(data)
    if algebra.refused(figure, fits, bool(courses)):
        return
    figure.set_size_inches(frame.COLUMN, 4.5 + algebra.room(fits, 62))
    axes = figure.subplots()
    fit = data["sizes"].fits["power_compute_min"]
    found = contradiction(data)
    batch = algebra.drawn(data["batches"].fits["critical_batch"])[0].best
    least = np.concatenate([course.least_flops(batch) for course in courses])
    for course in courses:
        axes.plot(course.least_flops(batch), course.loss, color=marks.PALE, lw=0.6, zorder=2,
                  gid=course.run["cell"])  # fmt: skip
    low, high = _ends(found, fit.level) if found.outruns else (None, None)
    there = found.crossing.flops if found.outruns else least.max()
    shown = float(np.clip(there, least.min(), FARTHEST * least.max()))
    reach = max(least.max(), 30 * shown, min(high or 0.0, 1e3 * shown))
    axes.set_xlim(least.min() / 2, min(2 * reach, FARTHEST * least.max()))
    grid = np.geomspace(*axes.get_xlim(), 160)
    bottom = _lines(axes, found, grid, fit.saved.percentiles)
    axes.set_ylim(bottom, scales.padded(np.concatenate([c.loss for c in courses]))[1])
    axes.axvspan(axes.get_xlim()[0], least.max(), color="#f3f3f3", zorder=0)
    _cross(axes, found, low, high)
    scales.flops_axis(axes, "x", r"compute $C_{\min}$ (FLOP)")
    axes.xaxis.set_minor_locator(NullLocator())  # over so many decades they only blacken the axis
    scales.loss_axis(axes, label=data["sizes"].measured_label)
    axes.set_title("\n".join(told(found, float(least.max()), fit.level)), linespacing=1.4)
    handles = [
        Line2D([], [], color=COMPUTE, label=r"$L(C_{\min})$"),
        Line2D([], [], color=DATA, ls="--",
               label=r"$L(D(C_{\min}))$, $D = 2C_{\min}/6N(C_{\min})$"),
        Line2D([], [], color=marks.PALE, lw=0.8, label="runs; grey: their range"),
        marks.band_handle(fit, marks.GREY),
    ]  # fmt: skip
    marks.legend_below(axes, handles, 1)
    marks.doubts(figure, fits, 62)


def told(found: Contradiction, largest: float, level: float) -> list[str]:
    """The crossing in words: C, N, D and loss with intervals, how far out, and the paper's."""
    at, samples = found.crossing, found.samples
    if not found.outruns or not np.isfinite(at.flops):
        lines = ["By these fits the loss falls no faster with compute than",
                 "with its data: the lines part, and cross nowhere beyond."]  # fmt: skip
        return [*lines, *_share(found, largest)]
    lines = []
    for letter, name, unit in SAID:
        ends = around(getattr(samples, name), level) if samples else (None, None)
        lines.append(f"${letter}$ = {estimate(float(getattr(at, name)), *ends)} {unit}")
    beyond = float(at.flops / largest)
    place = f"${number(beyond)}$ times beyond the runs" if beyond > 1 else "within the runs"
    lines.append(f"{100 * level:.3g} % intervals; {place}")
    return [*lines, *_share(found, largest)]


def _share(found: Contradiction, largest: float) -> list[str]:
    """How many replicates of the fits have a crossing to come; nothing without replicates."""
    if found.samples is None:
        return []
    ahead = falls_faster(found.compute.samples, found.tokens.samples, found.tokens_of.samples)
    share = float(np.mean(np.asarray(ahead) & ~(found.samples.flops <= largest)))
    return [f"{100 * share:.0f} % of replicates cross beyond the runs"]


def _ends(found: Contradiction, level: float) -> tuple[float | None, float | None]:
    return around(found.samples.flops, level) if found.samples else (None, None)


def _lines(axes: Axes, found: Contradiction, grid: np.ndarray, level: float) -> float:
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
    for line, ends, colour, dashes in zip(lines, bands, (COMPUTE, DATA), ("-", "--"), strict=True):
        marks.band(axes, grid, ends, colour)
        axes.plot(grid, line, color=colour, ls=dashes, lw=1.4, zorder=3)
    return float(0.85 * min(line.min() for line in lines))


def _cross(axes: Axes, found: Contradiction, low: float | None, high: float | None) -> None:
    at = found.crossing
    if not (found.outruns and axes.get_xlim()[0] < at.flops < axes.get_xlim()[1]):
        return
    if low is not None and high is not None:
        axes.plot([low, high], [float(at.loss)] * 2, color=marks.INK, lw=0.9, zorder=4)
    axes.plot(at.flops, at.loss, marker="*", ms=10, mfc=marks.ORANGE, mec=marks.INK, mew=0.6,
              ls="none", zorder=5, gid="crossing")  # fmt: skip


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig15_contradiction", draw)
