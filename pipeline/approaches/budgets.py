"""Runs grouped by the compute they spent: the isoFLOP curves that a table of runs holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.laws.base import Floats, Runs

TOLERANCE = 0.1  # runs whose compute differs by less than this share spent one budget
SAME_SIZE = 0.01  # runs whose N differs by less are of one size: published tables are rounded
SAME_TOKENS = 0.001  # runs of one size whose D differs by less are repeats of one run
LEAST_SIZES = 3  # a curve through fewer has no minimum to find
CHANCE = 1 / 3  # of the fullest budget's sizes: fewer met at a budget by chance


@dataclass(frozen=True)
class Budget:
    """The sizes trained on one budget, ascending: k of them.

    ``flops`` is the geometric mean over runs. ``log_params``, ``loss`` (mean over the ``repeats``
    runs of the size) and ``log_rate`` are (k,); the rate is C / (N D), 6 where compute counts
    6 N D. ``squares`` is the sum of squared deviations of repeated runs from their mean, and
    ``freedom`` their number less that of the means.
    """

    flops: float
    flops_range: tuple[float, float]
    log_params: Floats
    loss: Floats
    log_rate: Floats
    repeats: Floats
    squares: float
    freedom: int

    @property
    def sizes(self) -> int:
        return len(self.loss)

    @property
    def runs(self) -> int:
        return int(self.repeats.sum())

    def log_tokens(self, log_params: Floats | float) -> Floats:
        """Log of the tokens that the budget buys at a size: C / (rate N).

        The rate is interpolated without kinks, on which minima along the budget would settle, and
        without overshoot; beyond the sizes it stays what it is at the last.
        """
        known = scipy.interpolate.PchipInterpolator(self.log_params, self.log_rate)
        rate = known(np.clip(log_params, self.log_params[0], self.log_params[-1]))
        return np.log(self.flops) - rate - log_params


def grouped(log_values: Floats, share: float) -> NDArray[np.intp]:
    """The group of each value (n,), ascending: neighbours nearer than ``share`` are in one."""
    order = np.argsort(log_values, kind="stable")
    group = np.empty(len(log_values), dtype=np.intp)
    steps = np.diff(log_values[order], prepend=log_values[order][:1]) > np.log1p(share)
    group[order] = np.cumsum(steps)
    return group


def budgets(runs: Runs, tolerance: float = TOLERANCE) -> list[Budget]:
    """The budgets on which several sizes were trained, ascending by compute.

    The range of compute that holds the most sizes is taken first, then the next among the runs
    that are left, until ranges hold fewer than three sizes, or so few that they met by chance.
    """
    order = np.argsort(runs.flops, kind="stable")
    log_c = np.log(runs.flops)[order]
    size = grouped(np.log(runs.params), SAME_SIZE)[order]
    found, left, least = [], np.arange(len(order)), LEAST_SIZES
    width = np.log1p(tolerance) * (1 + 1e-9)
    while left.size:
        stop = np.searchsorted(log_c[left], log_c[left] + width, side="right")
        counts = [len(np.unique(size[left[i:j]])) for i, j in enumerate(stop)]
        first = int(np.argmax(counts))
        least = max(least, round(CHANCE * counts[first]))
        if counts[first] < least:
            break
        found.append(order[left[first : stop[first]]])
        left = np.delete(left, np.arange(first, stop[first]))
    return sorted((_budget(runs.take(rows)) for rows in found), key=lambda b: b.flops)


def _budget(runs: Runs) -> Budget:
    which = grouped(np.log(runs.params), SAME_SIZE)
    count = np.bincount(which).astype(float)

    def mean(column: Floats) -> Floats:
        return np.bincount(which, column) / count

    squares, freedom = _repeated(runs, which)
    return Budget(
        flops=float(np.clip(np.exp(np.log(runs.flops).mean()), runs.flops.min(), runs.flops.max())),
        flops_range=(float(runs.flops.min()), float(runs.flops.max())),
        log_params=mean(np.log(runs.params)), loss=mean(runs.loss),
        log_rate=mean(np.log(runs.flops / (runs.params * runs.tokens))), repeats=count,
        squares=squares, freedom=freedom,
    )  # fmt: skip


def _repeated(runs: Runs, size: NDArray[np.intp]) -> tuple[float, int]:
    """Sum of squares and degrees of freedom of the loss among runs of one size and token count."""
    squares, freedom = 0.0, 0
    for one in np.unique(size):
        loss = runs.loss[size == one]
        same = grouped(np.log(runs.tokens[size == one]), SAME_TOKENS)
        means = np.bincount(same, loss) / np.bincount(same)
        squares += float(((loss - means[same]) ** 2).sum())
        freedom += len(loss) - len(means)
    return squares, freedom


def seed_noise(found: list[Budget]) -> float | None:
    """Standard deviation of the loss between repeats of one run; None where none was repeated."""
    freedom = sum(budget.freedom for budget in found)
    return float(np.sqrt(sum(b.squares for b in found) / freedom)) if freedom else None
