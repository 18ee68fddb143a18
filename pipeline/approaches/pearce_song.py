"""What leaving out embeddings does to an exponent (Pearce and Song 2024, arXiv:2406.12907).

Their fit of the total on the count without embeddings is N_total = N + omega N^(1/3): embeddings
grow with the width alone. Where the loss follows N_total and budgets are counted as 6 N D without
embeddings, the best N no longer grows as a power of C: the local exponent is far above its limit
where embeddings are most of the model. This is most of the difference between Kaplan's 0.73 and
Hoffmann's 0.50.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OMEGA = 47491.0  # of N_total = N + omega N^(1/3), fitted to the models of Hoffmann et al. 2022
RANGE = (768.0, 1.5e9)  # parameters without embeddings, of Kaplan et al. 2020
BUDGETS = 20  # along the range, evenly in log C
FINE = 20_000  # sizes between which log C is straight


class Counts(NamedTuple):
    """The compute-optimal run of each size: tokens, and the budget 6 N D without embeddings."""

    tokens: Floats
    flops: Floats


def total(params: Floats, omega: float = OMEGA) -> Floats:
    """N with embeddings, from N without them."""
    return params + omega * np.cbrt(params)


def optimal_counts(params: Floats, values: Mapping[str, float], omega: float = OMEGA) -> Counts:
    """The tokens at which a size N, without embeddings, is the best one of its budget 6 N D.

    ``values`` are A, alpha, B and beta of Chinchilla's law, which is of N_total and D. The loss of
    a budget is stationary where alpha A N_total^-alpha g = beta B D^-beta, with
    g = d log N_total / d log N.
    """
    whole, edge = total(params, omega), omega * np.cbrt(params)
    size = values["alpha"] * values["A"] * whole ** -values["alpha"] * (params + edge / 3) / whole
    tokens = (values["beta"] * values["B"] / size) ** (1 / values["beta"])
    return Counts(tokens, 6 * params * tokens)


def local_exponent(params: Floats, values: Mapping[str, float], omega: float = OMEGA) -> Floats:
    """d log N / d log C of the best sizes, at each N without embeddings.

    From its limit beta / (alpha/3 + beta) at small N it rises above both limits, and then falls to
    beta / (alpha + beta) at large N.
    """
    whole, edge = total(params, omega), omega * np.cbrt(params)
    growth = (params + edge / 3) / whole
    bend = 4 / 9 * params * edge / (whole * (params + edge / 3))  # d log growth / d log N
    return 1 / (1 + (values["alpha"] * growth - bend) / values["beta"])


def apparent_exponent(
    values: Mapping[str, float], omega: float = OMEGA, between: tuple[float, float] = RANGE
) -> float:
    """The exponent a of N ~ C^a that budgets over a range of sizes would show, both without
    embeddings: the slope of the line through the best sizes of budgets even in log C.

    ``between`` are the smallest and the largest size; omega = 0 gives beta / (alpha + beta).
    """
    fine = np.geomspace(*between, FINE)
    log_flops = np.log(optimal_counts(fine, values, omega).flops)
    budgets = np.linspace(log_flops[0], log_flops[-1], BUDGETS)
    best = np.interp(budgets, log_flops, np.log(fine))
    return float(np.polyfit(budgets, best, 1)[0])
