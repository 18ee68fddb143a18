"""The interval of a bootstrapped quantity: one rule for parameters, bands and optima."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.laws.base import Floats

LEAST_REPLICATES = 10  # fewer give no percentile
UNDEFINED = 0.05  # share of replicates; more leave the quantity without an interval


def interval(samples: Floats, level: float) -> tuple[Floats, Floats]:
    """Low and high (m,) of the central ``level`` of samples (R, m), by percentiles.

    NaN where fewer than ten replicates are finite, or more than a twentieth are not.
    """
    outside = (1 - level) / 2
    defined = np.isfinite(samples)
    known = defined.sum(0) >= LEAST_REPLICATES
    known &= (~defined).sum(0) <= UNDEFINED * len(samples)
    low, high = np.full(samples.shape[1], np.nan), np.full(samples.shape[1], np.nan)
    if known.any():
        kept = np.where(defined, samples, np.nan)[:, known]
        low[known], high[known] = np.nanquantile(kept, [outside, 1 - outside], axis=0)
    return low, high


def around(samples: ArrayLike, level: float) -> tuple[float | None, float | None]:
    """The interval of one number from its samples (R,); None and None where there is none."""
    low, high = interval(np.atleast_1d(np.asarray(samples, float))[:, None], level)
    known = bool(np.isfinite(low[0]) and np.isfinite(high[0]))
    return (float(low[0]), float(high[0])) if known else (None, None)
