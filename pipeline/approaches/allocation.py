"""What every approach gives: an optimum for each budget, and the exponents through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.approaches.exponents import Exponent, exponent
from pipeline.laws.base import Floats, Status
from pipeline.laws.interval import interval

Interval = tuple[float, float] | None
Samples = Mapping[str, Floats]  # kind of resampling -> (R,)

QUANTITIES = ("params", "tokens")


@dataclass(frozen=True)
class Options:
    """How optima are resampled and weighed.

    ``noise`` is the loss's standard deviation between seeds, in its unit; None takes it from runs
    that were repeated, where there are any. ``least_spread`` is the smallest doubt of a minimum, as
    a share of the mean step between sizes in log N: no minimum is known better than that.
    """

    bootstraps: int = 1000
    level: float = 0.9
    seed: int = 0
    noise: float | None = None
    least_spread: float = 1 / 3  # Porian et al. 2024: 0.33 of the step


@dataclass(frozen=True)
class Optimum:
    """The best size of one budget: N*, D* and the loss there; NaN where ``status`` refuses them.

    ``flops_range`` is the compute of the runs behind it, or that over which the size is best.
    ``intervals`` are by name: params, tokens, loss. ``curve`` is loss against N, two arrays.
    """

    flops: float
    flops_range: tuple[float, float]
    params: float
    tokens: float
    loss: float
    intervals: Mapping[str, Interval]
    sizes: int
    runs: int
    status: Status
    reason: str
    curve: tuple[Floats, Floats]

    @property
    def found(self) -> bool:
        return self.status is Status.CONVERGED


@dataclass(frozen=True)
class Allocation:
    """What one approach says of the split: optima by ascending compute, exponents of N* and D*."""

    approach: str
    optima: tuple[Optimum, ...]
    exponents: tuple[Exponent, ...]
    runs: int  # behind the optima that were found

    def exponent(self, quantity: str) -> Exponent:
        """The exponent of params (N*) or tokens (D*)."""
        return self.exponents[QUANTITIES.index(quantity)]


def no_optimum(
    flops: float, flops_range: tuple[float, float], sizes: int, runs: int, status: Status,
    reason: str,
) -> Optimum:  # fmt: skip
    """A budget that is refused, with the reason."""
    return Optimum(
        flops, flops_range, np.nan, np.nan, np.nan, dict.fromkeys(("params", "tokens", "loss")),
        sizes, runs, status, reason, (np.empty(0), np.empty(0)),
    )  # fmt: skip


def widest(samples: Samples, level: float) -> Interval:
    """The interval that holds those of all kinds of resampling.

    None where there is none, or where one kind has too many resamples without a value (NaN) for an
    interval: what they would have been is unknown, and the others alone would be too narrow.
    """
    ends = [interval(sample[:, None], level) for sample in samples.values() if len(sample)]
    if not ends or not all(np.isfinite(low[0]) for low, _ in ends):
        return None
    return float(min(low[0] for low, _ in ends)), float(max(high[0] for _, high in ends))


def allocation(
    approach: str, optima: Sequence[Optimum], weights: Floats, samples: Mapping[str, Samples],
    level: float,
) -> Allocation:  # fmt: skip
    """The exponents through the optima that were found (B of them), ``weights`` (B,).

    ``samples`` holds resampled optima by quantity and kind, natural logs (R, B).
    """
    used = [optimum for optimum in optima if optimum.found]
    log_c = np.log([optimum.flops for optimum in used])
    exponents = tuple(
        exponent(
            quantity, log_c, np.log([getattr(optimum, quantity) for optimum in used]), weights,
            samples.get(quantity, {}), level,
        )
        for quantity in QUANTITIES
    )  # fmt: skip
    return Allocation(approach, tuple(optima), exponents, sum(optimum.runs for optimum in used))
