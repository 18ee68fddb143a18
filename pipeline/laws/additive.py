r"""L(N, D) = A/N^alpha + B/D^beta: Chinchilla's law without a floor.

theta = (a, alpha, b, beta) with a = log A and b = log B at the centre of the inputs.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.balance import Balance, BalancedLaw
from pipeline.laws.base import Floats, Kind, Parameter, Values
from pipeline.laws.in_order import InOrder
from pipeline.laws.terms import SumLaw, Term


class TwoPowers(SumLaw):
    """A sum of two powers, of the first and of the second input."""

    def terms(self, x: Floats) -> tuple[Term, ...]:
        one = np.ones_like(x[0])
        return (
            Term((0, 1), np.stack([one, -x[0]])),
            Term((2, 3), np.stack([one, -x[1]])),
        )

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.mean() - 2.5, 0.03, y.mean() - 2.5, 0.03]
        high = [y.mean(), 0.8, y.mean(), 0.8]
        return np.array(low), np.array(high)


class Additive(InOrder, TwoPowers, BalancedLaw):
    """Two power-law terms that add, and nothing below them."""

    name = "additive"
    title = "Sum of two power laws, without a floor"
    formula = r"L(N, D) = \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}"
    citation = "Hoffmann et al. 2022, arXiv:2203.15556, eq. 2 with E = 0"
    use = "Runs far above the floor, where Chinchilla's E is found to mean nothing."
    failure = "Goes to zero loss: too low an answer far out, once runs come near the floor."
    parameters = (
        Parameter("A", "A", "loss added by size at N = 1", "nats/token", Kind.SCALE),
        Parameter("alpha", r"\alpha", "exponent of model size", "1", Kind.EXPONENT),
        Parameter("B", "B", "loss added by tokens at D = 1", "nats/token", Kind.SCALE),
        Parameter("beta", r"\beta", "exponent of tokens", "1", Kind.EXPONENT),
    )

    def balance(self, values: Values) -> Balance:
        return Balance(
            np.log(values["A"]), np.asarray(values["alpha"]),
            np.log(values["B"]), np.asarray(values["beta"]),
        )  # fmt: skip


LAW = Additive()
