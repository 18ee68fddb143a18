"""What each run counts in a fit: the same, or by the inverse variance of its seed noise.

The noise is measured where a design was run with several seeds: the variance of the log target
within designs, pooled. With three sizes or more that have repeats it may change with size,
log variance = a + b log N, by the likelihood of the designs' variances (each is a multiple of
chi-square). Where every run carries a standard error of its own (``loss_se``), that error of the
evaluation is part of its variance whatever the seeds say.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
import scipy

from pipeline.laws.base import Floats, Runs
from pipeline.laws.draws import alike, designs

LEAST_FREEDOM = 4  # repeats beyond the first of each design; a variance from fewer is a guess
SIZES = 3  # with repeats, for a noise that changes with size
SAME = 1e-12  # natural log: seeds that differ by less differ by rounding alone
LARGEST = 25.0  # ratio of a weight to the mean: no run may be the whole fit


class Weighting(StrEnum):
    """How runs are weighted."""

    EQUAL = "equal"
    SEED_NOISE = "seed_noise"


class Weights(NamedTuple):
    """Weights (n,) of mean 1, what was done, in a sentence, and the seed noise of the runs.

    ``pooled`` is the standard deviation of the log target between seeds; NaN without repeats.
    """

    value: Floats
    reason: str
    pooled: float


class Repeats(NamedTuple):
    """Designs with several seeds: log N, sum of squares of the log target, degrees of freedom."""

    log_params: Floats
    squares: Floats
    freedom: Floats

    @property
    def noise(self) -> float:
        """Pooled standard deviation between seeds of the log target; NaN without repeats."""
        freedom = self.freedom.sum()
        return float(np.sqrt(self.squares.sum() / freedom)) if freedom else float("nan")


def repeats(runs: Runs, target: str) -> Repeats:
    """What the runs tell of seed noise in a column; runs without ``params`` are of one size."""
    of = designs(runs)
    y = np.log(runs.column(target))
    log_params = np.log(runs.params) if "params" in runs.columns else np.zeros(len(runs))
    count = np.bincount(of)
    mean = np.bincount(of, y) / count
    squares = np.bincount(of, (y - mean[of]) ** 2)
    size = np.bincount(of, log_params) / count
    several = count > 1
    return Repeats(*(part[several].astype(float) for part in (size, squares, count - 1)))


def weights(kind: Weighting, runs: Runs, target: str) -> Weights:
    """The weight of each run; raises ValueError where the repeats give none to weigh by."""
    found = repeats(runs, target)
    n = len(runs)
    if kind is Weighting.EQUAL:
        return Weights(np.ones(n), "All runs count alike.", found.noise)
    freedom = int(found.freedom.sum())
    if freedom < LEAST_FREEDOM:
        raise ValueError(
            f"--weights seed_noise: the runs have {freedom} repeats of a design with another "
            f"seed, and need {LEAST_FREEDOM}; run more seeds, or take --weights equal"
        )
    if not found.noise > SAME:
        raise ValueError(
            f"--weights seed_noise: the {freedom} repeats of a design have the same {target} as "
            "its first run, so that seeds make no noise to weigh by; see whether the seed reached "
            "the training, or take --weights equal"
        )
    noise, how = _noise(found, np.log(runs.params))
    variance = noise**2
    if target == "loss" and "loss_se" in runs.columns:
        error = runs.column("loss_se")
        if (wrong := np.flatnonzero(~((error >= 0) & (error < np.inf)))).size:
            raise ValueError(
                f"--weights seed_noise: cell {runs.cell[wrong[0]]} has loss_se {error[wrong[0]]}; "
                "give zero or a positive number, or take --weights equal"
            )
        own = (error / runs.column(target)) ** 2
        variance, how = np.maximum(variance, own), how + " (no less than each run's loss_se)"
    value = 1 / variance
    value = np.minimum(value / value.mean(), LARGEST)
    reason = f"Runs count by the inverse variance between seeds, {how}."
    return Weights(value / value.mean(), reason, found.noise)


def _noise(found: Repeats, log_params: Floats) -> tuple[Floats, str]:
    """Standard deviation between seeds at each size, and how it was found."""
    pooled = found.noise
    sizes = len(np.unique(alike(np.exp(found.log_params))))
    repeated = f"pooled over {len(found.freedom)} designs: {100 * pooled:.2g} % of the loss"
    if sizes < SIZES or not (found.squares > 0).all():
        return np.full(len(log_params), pooled), repeated
    centre = np.average(found.log_params, weights=found.freedom)
    u = found.log_params - centre

    def unlikely(at: Floats) -> float:
        log_variance = 2 * np.log(pooled) + at[0] + at[1] * u
        return float(
            0.5 * (found.freedom * log_variance + found.squares / np.exp(log_variance)).sum()
        )

    offset, slope = scipy.optimize.minimize(unlikely, np.zeros(2), method="BFGS").x
    # Sizes outside those with repeats take the noise of the nearest one that has them.
    inside = np.clip(log_params, found.log_params.min(), found.log_params.max()) - centre
    noise = pooled * np.exp((offset + slope * inside) / 2)
    return noise, f"from {noise.min():.2%} to {noise.max():.2%} of the loss over {sizes} sizes"
