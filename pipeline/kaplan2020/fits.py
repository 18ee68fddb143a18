"""Stored fits as the laws of the algebra: at their best estimates, and as replicates."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.kaplan2020.laws import BatchLaw, DataLaw, Power, StepsLaw
from pipeline.laws.band import SavedFit

# Law of a fit -> law of the algebra, which takes the same parameters in the same order.
BUILT: dict[str, Any] = {
    "kaplan": DataLaw,
    "kaplan_steps": StepsLaw,
    "critical_batch": BatchLaw,
    "power_tokens": Power,
    "power_compute_min": Power,
}


def best(fit: SavedFit) -> Any:
    """A fit as a law of the algebra, at its best estimate."""
    return BUILT[fit.law.name](*(np.float64(fit.values[p.name]) for p in fit.law.parameters))


def resampled(*fits: SavedFit) -> list[Any] | None:
    """Some fits as such laws with replicates (R,) as constants; None where one has no replicate.

    Replicate i of one goes with replicate i of the others: they come from different runs, so that
    any pairing will do. R is the fewest that a fit has.
    """
    count = min(len(next(iter(fit.replicates.values()), [])) for fit in fits)
    if not count:
        return None
    return [
        BUILT[fit.law.name](*(fit.replicates[p.name][:count] for p in fit.law.parameters))
        for fit in fits
    ]
