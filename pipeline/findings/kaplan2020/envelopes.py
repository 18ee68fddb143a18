"""The lower envelope of the sizes' losses against compute, and power laws along it.

As approach 1 of Hoffmann et al. does it (``pipeline.approaches.envelope``), but along every curve
at its peak learning rate, in C or in C_min. A stretch of compute over which the best size is the
smallest or the largest of those compared says nothing of the optimum, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.approaches import exponents
from pipeline.findings.data import Row
from pipeline.findings.kaplan2020.along import Course, falling
from pipeline.laws import jackknife
from pipeline.laws.base import Floats

GRID = 300  # points of compute
LEAST_SIZES = 3  # on an envelope, for a line through it
Of = Callable[[Course], Floats]  # some amount along a course (n,)


@dataclass(frozen=True)
class Line:
    """log y = level + slope (log x - centre): (1 + sizes,), first of all, then without each.

    Intervals are the jackknife's: of few sizes drawn with replacement, most draws leave fewer than
    three on the envelope.
    """

    slopes: Floats
    levels: Floats
    centre: float

    @property
    def slope(self) -> float:
        return float(self.slopes[0])

    def at(self, x: Floats) -> Floats:
        return np.exp(self.levels[0] + self.slopes[0] * (np.log(x) - self.centre))

    def ends(self, x: Floats, level: float) -> tuple[Floats, Floats] | None:
        """Pointwise interval at x (m,); None where some size cannot be left out."""
        logs = self.levels[:, None] + self.slopes[:, None] * (np.log(x) - self.centre)
        reach = jackknife.reach(logs[1:], level)
        return None if reach is None else (self.at(x) * np.exp(-reach), self.at(x) * np.exp(reach))

    def slope_ends(self, level: float) -> tuple[float | None, float | None]:
        """The interval of the slope; None and None where some size cannot be left out."""
        reach = jackknife.reach(self.slopes[1:, None], level)
        if reach is None:
            return None, None
        return self.slope - float(reach[0]), self.slope + float(reach[0])


@dataclass(frozen=True)
class Envelope:
    """The courses' losses (m, S) on a grid of compute (m,), infinite where not trained."""

    courses: Sequence[Course]
    compute: Of
    flops: Floats
    losses: Floats

    @property
    def params(self) -> Floats:
        """The size of each course (S,)."""
        return np.array([course.params for course in self.courses])

    def best(self, left_out: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The place of the best course (m,), and whether smaller and larger ones were compared.

        Courses of the size ``left_out`` do not count.
        """
        sizes = self.params
        losses = np.where(sizes == left_out, np.inf, self.losses)
        known, place = np.isfinite(losses), losses.argmin(1)
        smallest = np.where(known, sizes, np.inf).min(1)
        largest = np.where(known, sizes, 0.0).max(1)
        return place, (sizes[place] > smallest) & (sizes[place] < largest)

    def along(self, amount: Of) -> Floats:
        """An amount of every course on the grid (m, S), in log-log between its points."""
        return np.stack([
            np.exp(np.interp(np.log(self.flops), np.log(self.compute(c)), np.log(amount(c))))
            for c in self.courses
        ], axis=1)  # fmt: skip

    def line(self, values: Floats) -> Line | None:
        """The least-squares line through the best sizes' values (m, S); None for too few sizes."""
        rows = []
        for left_out in (None, *sorted(set(self.params.tolist()))):
            place, inside = self.best(left_out)
            row = np.where(inside, np.log(values[np.arange(len(place)), place]), np.nan)
            enough = len(set(self.params[place[inside]].tolist())) >= LEAST_SIZES
            rows.append(row if enough else np.full_like(row, np.nan))
        if np.isnan(rows[0]).all():
            return None
        log_c = np.log(self.flops)
        centre = float(log_c[self.best()[1]].mean())
        found = exponents.line(log_c, np.array(rows), np.ones(len(log_c)), centre)
        return Line(found.slope, found.level, centre)

    def stretches(self) -> list[int]:
        """The middle row of each stretch of compute inside over which one size is best."""
        place, inside = self.best()
        rows = np.flatnonzero(inside)
        sizes = self.params[place[rows]]
        breaks = np.flatnonzero((np.diff(rows) > 1) | (np.diff(sizes) != 0)) + 1
        return [int(part[(len(part) - 1) // 2]) for part in np.split(rows, breaks) if len(part)]

    def run(self, row: int) -> Row:
        """The run that is best at a row of the grid."""
        return self.courses[int(self.best()[0][row])].run


def envelope(courses: Sequence[Course], compute: Of) -> Envelope:
    """The envelope of the courses against some count of compute."""
    amounts = [compute(course) for course in courses]
    flops = np.geomspace(min(x.min() for x in amounts), max(x.max() for x in amounts), GRID)
    columns = []
    for x, course in zip(amounts, courses, strict=True):
        lower, loss = falling(x, course.loss)
        logs = np.interp(np.log(flops), np.log(lower), np.log(loss), left=np.inf, right=np.inf)
        columns.append(np.exp(logs))
    return Envelope(courses, compute, flops, np.stack(columns, axis=1))
