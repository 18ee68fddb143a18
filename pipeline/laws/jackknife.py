"""Intervals of estimates from what they become without each group of the runs (Tukey 1958)."""

from __future__ import annotations

import numpy as np
import scipy

from pipeline.laws.base import Floats

LEAST = 3  # groups, for a spread of what they do


def reach(without: Floats, level: float) -> Floats | None:
    """How far the central ``level`` reaches to each side, of estimates without each group (G, m).

    Student's t with G - 1 degrees of freedom; None of too few groups, or where one cannot be left
    out. Returns (m,).
    """
    count = len(without)
    if count < LEAST or not np.isfinite(without).all():
        return None
    squares = ((without - without.mean(0)) ** 2).sum(0)
    quantile = scipy.special.stdtrit(count - 1, (1 + level) / 2)
    return np.asarray(quantile * np.sqrt((count - 1) / count * squares))
