"""Runs at every evaluation while the learning rate was at its peak.

A loss in the warmup or the cooldown tells neither what a step nor what a FLOP is worth, so that
these rows are left out, as the laws of S_min and C_min leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.batches.traces import at_peak
from pipeline.findings.data import Data, Row
from pipeline.kaplan2020 import BatchLaw, fewest_steps, least_flops
from pipeline.laws.base import Floats


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
    """The courses of included runs, the longest of each trunk, by size; none without a curve."""
    found: dict[str, Course] = {}
    for run in data.runs:
        rows = at_peak(run, data.curves.get(run["cell"], [])) if run["included"] else []
        known = found.get(run["trunk"] or run["cell"])
        if len(rows) > 1 and (known is None or rows[-1]["step"] > known.steps[-1]):
            steps, tokens, loss = (
                np.array([row[name] for row in rows], float)
                for name in ("step", "tokens", "val_loss")
            )
            found[run["trunk"] or run["cell"]] = Course(run, steps, tokens, loss)
    return sorted(found.values(), key=lambda course: (course.params, course.run["cell"]))


def of_sizes(data: Data) -> list[Course]:
    """The longest course of each size, by size."""
    best: dict[float, Course] = {}
    for course in courses(data):
        known = best.get(course.params)
        if known is None or course.steps[-1] > known.steps[-1]:
            best[course.params] = course
    return [best[size] for size in sorted(best)]


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


class Fewer(NamedTuple):
    """The lowest loss of the smallest model, and what it and a larger one need to it, in tokens."""

    loss: float
    small: Course
    small_tokens: float
    large: Course
    large_tokens: float


def fewer_tokens(courses: Sequence[Course]) -> Fewer | None:
    """The larger model that meets the loss soonest, of courses by size; None where none does."""
    if len(courses) < 2:
        return None
    small, *larger = courses
    loss = float(small.loss.min())
    taken = [reached(course.tokens, course.loss, loss) for course in courses]
    if not np.isfinite(taken[1:]).any():
        return None
    soonest = int(np.nanargmin(taken[1:]))
    return Fewer(loss, small, taken[0], larger[soonest], taken[1:][soonest])
