"""Runs at every evaluation while the learning rate was at its peak, and their lower envelope.

A loss in the warmup or the cooldown tells neither what a step nor what a FLOP is worth, so that
these rows are left out, as the laws of S_min and C_min leave them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from pipeline.batches.traces import at_peak
from pipeline.figures.data import Data, Row
from pipeline.kaplan2020 import BatchLaw, fewest_steps, least_flops
from pipeline.laws.base import Floats

GRID = 300  # points of compute that envelopes are looked at
LEAST_SIZES = 3  # on an envelope, for a line through it


class Course(NamedTuple):
    """One run along its training: steps, tokens and validation loss (n,), by step."""

    run: Row
    steps: Floats
    tokens: Floats
    loss: Floats

    @property
    def params(self) -> float:
        return float(self.run["params"])

    @property
    def flops(self) -> Floats:
        """C = 6 N B S for each use of the layers."""
        return np.asarray(self.run["flops_6nd"] * self.tokens / self.run["tokens"])

    def fewest_steps(self, law: BatchLaw) -> Floats:
        """S_min, eq. 5.4."""
        return np.asarray(fewest_steps(law, self.steps, self.run["batch_tokens"], self.loss))

    def fewest_tokens(self, law: BatchLaw) -> Floats:
        """E_min = E / (1 + B / B_crit): eq. 5.5 without the factor 6 N."""
        return np.asarray(least_flops(law, self.tokens, self.run["batch_tokens"], self.loss))

    def least_flops(self, law: BatchLaw) -> Floats:
        """C_min, eq. 5.5."""
        return np.asarray(least_flops(law, self.flops, self.run["batch_tokens"], self.loss))


def courses(data: Data) -> list[Course]:
    """The courses of included runs, one for each trunk, by size; runs without a curve have none."""
    found: dict[str, Course] = {}
    for run in data.runs:
        rows = at_peak(run, data.curves.get(run["cell"], [])) if run["included"] else []
        known = found.get(run["trunk"] or run["cell"])
        if len(rows) > 1 and (known is None or len(rows) > len(known.steps)):
            steps, tokens, loss = (
                np.array([row[name] for row in rows], float)
                for name in ("step", "tokens", "val_loss")
            )
            found[run["trunk"] or run["cell"]] = Course(run, steps, tokens, loss)
    return sorted(found.values(), key=lambda course: (course.params, course.run["cell"]))


def falling(x: Floats, loss: Floats) -> tuple[Floats, Floats]:
    """The points of a course that are lower than all before them, by x."""
    order = np.argsort(x, kind="stable")
    x, loss = x[order], loss[order]
    lowest = np.minimum.accumulate(loss)
    new = np.r_[True, loss[1:] < lowest[:-1]]
    return x[new], loss[new]


def reached(x: Floats, loss: Floats, target: float) -> float:
    """The x at which a course first meets a loss, in log-log between its points; NaN if never.

    A loss that the first point had passed already is not met.
    """
    x, loss = falling(x, loss)
    if not loss[-1] <= target <= loss[0]:
        return np.nan
    return float(np.exp(np.interp(-np.log(target), -np.log(loss), np.log(x))))


class Envelope(NamedTuple):
    """The lowest losses: compute (m,), the best size's place among ``sizes``, and its loss (m,).

    ``inside`` marks where smaller and larger sizes were compared with the best one.
    """

    flops: Floats
    best: np.ndarray
    loss: Floats
    inside: np.ndarray
    sizes: Floats

    @property
    def params(self) -> Floats:
        return np.asarray(self.sizes[self.best])

    @property
    def carries(self) -> bool:
        """Whether enough sizes lie on it for a line."""
        return len(set(self.best[self.inside].tolist())) >= LEAST_SIZES


def envelope(table: tuple[Floats, Floats], sizes: Floats, present: Iterable[int]) -> Envelope:
    """The envelope of the sizes ``present`` on a ``grid`` of compute and losses (m, S)."""
    flops, loss = table
    chosen = np.unique(list(present))
    own = loss[:, chosen]
    known = np.isfinite(own)
    covered = known.any(1)
    own, known = own[covered], known[covered]
    place = own.argmin(1)
    first, last = known.argmax(1), known.shape[1] - 1 - known[:, ::-1].argmax(1)
    inside = (place > first) & (place < last)
    return Envelope(flops[covered], chosen[place], own.min(1), inside, sizes)


def grid(xs: Sequence[Floats], losses: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Compute (m,) and the loss of each course there (m, S), infinite where it was not trained."""
    flops = np.geomspace(min(x.min() for x in xs), max(x.max() for x in xs), GRID)
    columns = []
    for x, loss in zip(xs, losses, strict=True):
        x, loss = falling(x, loss)
        at = np.interp(np.log(flops), np.log(x), np.log(loss), left=np.inf, right=np.inf)
        columns.append(np.exp(at))
    return flops, np.stack(columns, axis=1)


class Line(NamedTuple):
    """log y = level + slope (log x - centre), and the same with each size left out (S,).

    Intervals are the jackknife's: few sizes are too few to be drawn with replacement, since most
    draws leave fewer than three of them on an envelope.
    """

    slope: float
    level: float
    centre: float
    slopes: Floats
    levels: Floats

    def at(self, x: Floats) -> Floats:
        return np.exp(self.level + self.slope * (np.log(x) - self.centre))

    def ends(self, x: Floats, level: float) -> tuple[Floats, Floats] | None:
        """Pointwise interval at x (m,); None where a size cannot be left out."""
        logs = self.levels[:, None] + self.slopes[:, None] * (np.log(x) - self.centre)
        reach = _jackknife(logs, level)
        return None if reach is None else (self.at(x) * np.exp(-reach), self.at(x) * np.exp(reach))

    def slope_ends(self, level: float) -> tuple[float | None, float | None]:
        """The interval of the slope; None and None where a size cannot be left out."""
        reach = _jackknife(self.slopes[:, None], level)
        if reach is None:
            return None, None
        return self.slope - float(reach[0]), self.slope + float(reach[0])


def _jackknife(samples: Floats, level: float) -> Floats | None:
    """How far the central ``level`` reaches to each side, of estimates with one left out (S, m)."""
    count = len(samples)
    if count < LEAST_SIZES or not np.isfinite(samples).all():
        return None
    squares = ((samples - samples.mean(0)) ** 2).sum(0)
    return np.asarray(
        NormalDist().inv_cdf((1 + level) / 2) * np.sqrt((count - 1) / count * squares)
    )


def through(x: Floats, y: Floats, others: Sequence[tuple[Floats, Floats]] = ()) -> Line | None:
    """The least-squares line of log y in log x; None where there are fewer than three points.

    ``others`` are the same points with each size left out.
    """
    if len(x) < LEAST_SIZES:
        return None
    centre = float(np.log(x).mean())
    slope, level = np.polyfit(np.log(x) - centre, np.log(y), 1)
    drawn = np.array([
        np.polyfit(np.log(a) - centre, np.log(b), 1) if len(a) >= LEAST_SIZES else (np.nan, np.nan)
        for a, b in others
    ]).reshape(-1, 2)  # fmt: skip
    return Line(float(slope), float(level), centre, drawn[:, 0], drawn[:, 1])


def without_each(sizes: int) -> list[list[int]]:
    """The places of all sizes but one, for each one."""
    return [[place for place in range(sizes) if place != left] for left in range(sizes)]
