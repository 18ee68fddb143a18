"""The gradient noise scale of one model at a loss, from all of its curves that passed through it.

The columns grad_squared and grad_variance are unbiased for |G|^2 and tr Sigma, but noisy enough
that single ratios mean little: each is added up over rows before dividing (McCandlish et al. 2018,
arXiv:1812.06162, appendix A.1), so that the more rows, the nearer the quotient is to the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline.batches.traces import Trace
from pipeline.laws.base import Floats
from pipeline.laws.draws import FEWEST
from pipeline.laws.estimate import Interval, Options
from pipeline.laws.interval import interval

STRETCH = 0.02  # natural log of the loss to either side: what so near counts as at the loss


class NoiseScale(NamedTuple):
    """tr Sigma / |G|^2 in tokens, and its interval; None where not known."""

    value: float | None
    interval: Interval


def noise_scale(traces: Sequence[Trace], loss: float, options: Options) -> NoiseScale:
    """The noise scale of one model at a loss (nats/token).

    Runs are resampled whole for the interval, for their batch sizes and learning rates may bring
    noise scales of their own; fewer than three give none.
    """
    sums = np.array([summed(trace, loss) for trace in traces]).reshape(-1, 2)
    sums = sums[(sums != 0).any(1)]
    if not len(sums):
        return NoiseScale(None, None)
    value = float(_ratio(sums.sum(0)))
    if np.isnan(value):
        return NoiseScale(None, None)
    if len(sums) < FEWEST or not options.bootstraps:
        return NoiseScale(value, None)
    rng, count = np.random.default_rng(options.seed), len(sums)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=options.bootstraps)
    low, high = interval(_ratio(drawn @ sums)[:, None], options.level)
    return NoiseScale(value, (float(low[0]), float(high[0])) if np.isfinite(low[0]) else None)


def summed(trace: Trace, loss: float) -> tuple[float, float]:
    """Sums of the estimates of |G|^2 and tr Sigma over a run's rows at a loss; zeros without any.

    A row's estimates are of the steps since the row before, so the row is at the loss where these
    steps came within ``STRETCH`` of it.
    """
    squared = variance = 0.0
    for before, row in pairwise(trace.rows):
        ends = np.log([before["val_loss"] / loss, row["val_loss"] / loss])
        if row["grad_variance"] is None or ends.min() > STRETCH or ends.max() < -STRETCH:
            continue
        squared, variance = squared + row["grad_squared"], variance + row["grad_variance"]
    return squared, variance


def _ratio(sums: Floats) -> Floats:
    """tr Sigma / |G|^2 of sums (..., 2); NaN where that of |G|^2 is not positive."""
    squared, variance = sums[..., 0], sums[..., 1]
    return np.where(squared > 0, variance / np.where(squared > 0, squared, 1.0), np.nan)
