"""The front of steps and tokens at one loss: the fastest run of each batch size, and its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.batches import LEAST_BATCHES
from pipeline.batches.traces import WARMED, Model, Trace, crossed
from pipeline.laws.base import Floats, Runs, Status
from pipeline.laws.batch_steps import LAW
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Fit, Interval, Options, fit
from pipeline.laws.interval import interval

REACHED = 0.75  # share of the batch sizes that must have met an automatic level
# Times the first step that counts. A linear warmup costs half of its steps, which S_min holds: so
# far beyond them they are a sixth of it or less, by which B_crit is too low.
CLEAR = 1.5
TRIED = 64  # losses at which automatic levels may begin
QUANTITIES = ("steps_min", "tokens_min", "critical_batch")


class Point(NamedTuple):
    """The fastest way of one batch size to a loss.

    ``at_edge`` tells that its learning rate was the least or the greatest of several tried under
    its schedule. Steps from ``first`` on count; 0 where no warmup comes before them.
    """

    batch: int
    steps: float
    rate: float
    cell: str
    at_edge: bool
    first: int = 0

    @property
    def tokens(self) -> float:
        return self.batch * self.steps

    @property
    def early(self) -> bool:
        """The loss was met so soon that the warmup, and not the batch, may limit the steps."""
        return self.steps < CLEAR * self.first


@dataclass(frozen=True)
class Front:
    """One loss of one model: the points, smallest batch first, and S_min, E_min and B_crit.

    ``values`` and ``intervals`` are by ``QUANTITIES``, NaN and None where there is no fit.
    """

    model: Model
    loss: float
    points: tuple[Point, ...]
    values: dict[str, float]
    intervals: dict[str, Interval]
    status: Status
    reason: str


def automatic(traces: Sequence[Trace], count: int) -> Floats:
    """``count`` losses of one model, evenly spaced in the logarithm, highest first.

    Three quarters of its batch sizes, and no fewer than a fit needs, meet each of them; none are
    returned where so many never do. They begin below the losses that the warmup limits, unless
    there are no others.
    """
    batches = sorted({trace.batch for trace in traces})
    needed = max(LEAST_BATCHES, int(np.ceil(REACHED * len(batches))))
    if len(batches) < needed:
        return np.empty(0)
    own = [[trace.loss for trace in traces if trace.batch == batch] for batch in batches]
    first = sorted((max(loss[0] for loss in losses) for losses in own), reverse=True)
    last = sorted(min(loss.min() for loss in losses) for losses in own)
    high, low = first[needed - 1], last[needed - 1]
    if low >= high:
        return np.empty(0)
    tried = np.geomspace(high, low, TRIED)[:-1]
    points = fastest(traces, np.log(tried))
    clear = (loss for loss, met in zip(tried, points, strict=True) if not _hurried(met))
    return np.geomspace(next(clear, high), low, count)


def fastest(traces: Sequence[Trace], log_levels: Floats) -> list[list[Point]]:
    """For each log loss the points of the batch sizes that met it, smallest first.

    The best of the learning rates and schedules at that loss counts. Seeds of one rate and schedule
    are averaged in log steps; these have met a loss where all their seeds have.
    """
    found: list[list[Point]] = [[] for _ in log_levels]
    for batch in sorted({trace.batch for trace in traces}):
        own = [trace for trace in traces if trace.batch == batch]
        tried = sorted({(trace.schedule, trace.rate) for trace in own})
        seeds = [[t for t in own if (t.schedule, t.rate) == setting] for setting in tried]
        steps = np.stack([
            np.stack([crossed(trace, log_levels) for trace in repeats]).mean(0)
            for repeats in seeds
        ])  # fmt: skip
        for level, column in enumerate(steps.T):
            if np.isnan(column).all():
                continue
            best = int(np.nanargmin(column))
            schedule, rate = tried[best]
            rates = [other for of, other in tried if of == schedule]
            edge = len(rates) > 1 and rate in (rates[0], rates[-1])
            run = seeds[best][0].run
            met, first = float(np.exp(column[best])), WARMED * run["warmup_steps"]
            found[level].append(Point(batch, met, rate[0], run["cell"], edge, first))
    return found


def fronts(traces: Sequence[Trace], levels: Floats, options: Options) -> list[Front]:
    """The fronts of one model at losses (L,) in nats/token, that no batch size met left out."""
    model = traces[0].model
    points = fastest(traces, np.log(levels))
    return [fitted(model, float(loss), tuple(own), options)
            for loss, own in zip(levels, points, strict=True) if own]  # fmt: skip


def fitted(model: Model, loss: float, points: tuple[Point, ...], options: Options) -> Front:
    """The front through some points."""
    if len(points) < LEAST_BATCHES:
        reason = (
            f"{len(points)} batch size{'s' * (len(points) != 1)} met this loss; a front needs "
            f"{LEAST_BATCHES} or more. Add batch sizes, or train the others for longer."
        )
        unknown = dict.fromkeys(QUANTITIES, np.nan)
        none = dict.fromkeys(QUANTITIES)
        return Front(model, loss, points, unknown, none, Status.TOO_FEW_POINTS, reason)
    found = fit(LAW, _runs(points), options)
    values, intervals = _quantities(found)
    status, reason = _judged(found, points)
    return Front(model, loss, points, values, intervals, status, reason)


def drawn(bootstraps: int, level: float, seed: int) -> Options:
    """How a front is fitted: its batch sizes are resampled one by one."""
    return Options(bootstraps=bootstraps, level=level, seed=seed, bootstrap=Bootstrap.CASES)


def _runs(points: Sequence[Point]) -> Runs:
    columns = {
        "batch_tokens": np.array([point.batch for point in points], dtype=float),
        "steps": np.array([point.steps for point in points]),
    }
    return Runs(tuple(f"{point.cell}-{i}" for i, point in enumerate(points)), columns)


def _quantities(found: Fit) -> tuple[dict[str, float], dict[str, Interval]]:
    """S_min, E_min = B_crit S_min (eq. 5.2) and B_crit, and their intervals."""

    def of(values: Mapping[str, Floats]) -> dict[str, Floats]:
        steps, batch = values["S_min"], values["B_crit"]
        return dict(zip(QUANTITIES, (steps, steps * batch, batch), strict=True))

    single = of({name: np.asarray(value) for name, value in found.values.items()})
    known = all(found.intervals.values())
    ends: dict[str, Interval] = dict.fromkeys(QUANTITIES)
    for name, sample in of(found.replicates).items() if known else ():
        low, high = interval(sample[:, None], found.percentiles)
        ends[name] = (float(low[0]), float(high[0])) if np.isfinite(low[0]) else None
    return {name: float(value) for name, value in single.items()}, ends


def _limit(points: Sequence[Point], least: float) -> int:
    """The first step that counts, where it limits a front whose S_min is ``least``; 0 otherwise."""
    quickest = min(points, key=lambda point: point.steps)
    early = [point.first for point in (quickest._replace(steps=least), *points) if point.early]
    return max(early, default=0)


def _hurried(points: Sequence[Point]) -> bool:
    """Whether the warmup limits the front through some points, S_min where they have a fit."""
    if not any(point.first for point in points):
        return False
    if any(point.early for point in points):
        return True
    found = fit(LAW, _runs(points), Options(bootstraps=0, profile=False))
    return bool(_limit(points, found.values["S_min"]))


def _judged(found: Fit, points: Sequence[Point]) -> tuple[Status, str]:
    """The status of the fit, and a doubt: of the warmup, or where all batches are on one side."""
    if first := _limit(points, found.values["S_min"]):
        return Status.UNIDENTIFIABLE, (
            f"Rows begin at step {first}, {WARMED} times the warmup, and this loss is met within "
            f"{CLEAR:g} times as many steps: the warmup, not the batch, limits the steps. Shorten "
            "the warmup or take lower losses."
        )
    critical, batches = found.values["B_crit"], [point.batch for point in points]
    low, high = min(batches), max(batches)
    for beyond, side, more in (
        (critical < low, "above", "smaller"), (critical > high, "below", "larger"),
    ):  # fmt: skip
        if beyond:
            bound = "at most" if side == "above" else "at least"
            end = low if side == "above" else high
            return Status.UNIDENTIFIABLE, (
                f"All {len(batches)} batch sizes, {low} to {high} tokens, lie {side} the critical "
                f"one, which is {bound} about {end}. Add {more} batches."
            )
    return found.status, found.sentence
