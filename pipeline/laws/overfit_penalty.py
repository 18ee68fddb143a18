r"""Lovelace et al. 2026 (arXiv:2605.01640): Chinchilla's law and a penalty for repeating.

L = E + A/N^alpha + B/D^beta + P R^delta (N/U)^kappa, with U distinct tokens among the D seen and
R = D/U - 1 repetitions; a run that repeats nothing has no penalty.

theta = (log E, log A, alpha, log B, beta, log P, delta, kappa) at the centre of the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.base import Floats, Kind, Parameter, SurfaceLaw
from pipeline.laws.in_order import InOrder
from pipeline.laws.terms import SumLaw, Term

NEW = 1e-9  # epochs beyond one: fewer are rounding of the counts


class OverfitPenalty(InOrder, AboveFloor, SumLaw, SurfaceLaw):
    """Chinchilla's three terms and a fourth that rises with epochs and with size."""

    name = "overfit_penalty"
    title = "Data-constrained law: an overfitting penalty"
    formula = (
        r"L = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}"
        r" + P R^{\delta} \left(\frac{N}{U}\right)^{\kappa}, \quad R = D/U - 1"
    )
    citation = "Lovelace et al. 2026, arXiv:2605.01640"
    use = "Runs that repeat their tokens until it hurts; P compares ways to regularise."
    failure = "Three numbers of the penalty from few repeated runs; it grows without bound."
    inputs = ("params", "tokens", "unique_tokens")
    unlimited: ClassVar[Mapping[str, float]] = {"unique_tokens": np.inf}
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited size and data", "nats/token", Kind.FLOOR),
        Parameter("A", "A", "loss added by size at N = 1", "nats/token", Kind.SCALE),
        Parameter("alpha", r"\alpha", "exponent of model size", "1", Kind.EXPONENT),
        Parameter("B", "B", "loss added by tokens at D = 1", "nats/token", Kind.SCALE),
        Parameter("beta", r"\beta", "exponent of tokens", "1", Kind.EXPONENT),
        Parameter("P", "P", "loss added by one repetition at N = U", "nats/token", Kind.SCALE),
        Parameter("delta", r"\delta", "exponent of repetitions", "1", Kind.EXPONENT),
        Parameter(
            "kappa", r"\kappa", "exponent of parameters per distinct token", "1", Kind.EXPONENT
        ),
    )

    def centre(self, x: Floats) -> Floats:
        """Tokens and distinct tokens move together: their ratio counts epochs."""
        size, tokens, _ = x.mean(-1)
        return np.array([size, tokens, tokens])

    def terms(self, x: Floats) -> tuple[Term, ...]:
        one = np.ones_like(x[0])
        distinct = np.minimum(x[1], x[2])
        repeats = np.expm1(x[1] - distinct)
        repeated = repeats > NEW
        with np.errstate(divide="ignore"):
            log_repeats = np.where(repeated, np.log(repeats), 0.0)
        return (
            Term((0,), one[None]),
            Term((1, 2), np.stack([one, -x[0]])),
            Term((3, 4), np.stack([one, -x[1]])),
            Term(
                (5, 6, 7),
                np.stack([one, log_repeats, np.where(repeated, x[0] - distinct, 0.0)]),
                np.where(repeated, 0.0, -np.inf),
            ),
        )

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 1] += theta[..., 2] * centre[0]
        moved[..., 3] += theta[..., 4] * centre[1]
        moved[..., 5] -= theta[..., 7] * (centre[0] - centre[2])
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, 0.03, y.mean() - 2.5, 0.03, y.mean() - 7.0, 0.3, 0.2]
        high = [y.min() - 0.02, y.mean(), 0.8, y.mean(), 0.8, y.mean() - 1.0, 2.0, 1.5]
        return np.array(low), np.array(high)


LAW = OverfitPenalty()
