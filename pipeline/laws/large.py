"""What a fit of a large table can afford: a million runs within a minute and four gigabytes.

A resample is a weight for each run, and its fit a few sums over all of them. Beyond
``RESAMPLED`` weights in all, fewer resamples are drawn: the ends of an interval from R of them
scatter by about its width over the root of R, while the interval itself is as narrow as many runs
make it. A profile is some hundred fits, and agrees with the resamples once runs are many.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.laws.interval import LEAST_REPLICATES

RESAMPLED = 50_000_000  # runs times resamples
PROFILED = 100_000  # runs


class Plan(NamedTuple):
    """Resamples to draw, whether to profile, and a sentence where either is less than usual."""

    resamples: int
    profile: bool
    reason: str


def affordable(runs: int, bootstraps: int) -> Plan:
    """What a fit of so many runs does of the resamples asked for."""
    resamples = min(bootstraps, max(LEAST_REPLICATES, RESAMPLED // max(runs, 1)))
    told = []
    if resamples < bootstraps:
        told.append(f"Of so many runs ({runs}) only {resamples} resamples are drawn.")
    if runs > PROFILED:
        told.append(f"Beyond {PROFILED} runs there is no profile likelihood.")
    return Plan(resamples, runs <= PROFILED, " ".join(told))
