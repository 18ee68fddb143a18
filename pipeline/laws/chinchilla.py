r"""L(N, D) = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, arXiv:2203.15556, eq. 2 and 10).

theta = (e, a, alpha, b, beta) with e = log E, a = log A and b = log B, so that the three terms are
never negative:  log L = log(exp e + exp(a - alpha u) + exp(b - beta v)).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.balance import Balance, BalancedLaw
from pipeline.laws.base import Floats, Kind, Parameter, Values, floor, scale
from pipeline.laws.terms import SumLaw, Term

PAPER = "Hoffmann et al. 2022"  # of the published exponents


class Chinchilla(SumLaw, BalancedLaw):
    """A floor and two power-law terms that add."""

    name = "chinchilla"
    title = "Chinchilla's parametric law"
    formula = r"L(N, D) = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}"
    citation = "Hoffmann et al. 2022, arXiv:2203.15556, eq. 2"
    use = "Grids or isoFLOP sets whose best runs come within about a factor two of the floor."
    failure = (
        "Without runs near the floor E, A and B trade off against one another and E means nothing."
    )
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited size and data", "nats/token", Kind.FLOOR),
        Parameter("A", "A", "loss added by size at N = 1", "nats/token", Kind.SCALE),
        Parameter("alpha", r"\alpha", "exponent of model size", "1", Kind.EXPONENT, (0.34, PAPER)),
        Parameter("B", "B", "loss added by tokens at D = 1", "nats/token", Kind.SCALE),
        Parameter("beta", r"\beta", "exponent of tokens", "1", Kind.EXPONENT, (0.28, PAPER)),
    )

    def terms(self, x: Floats) -> tuple[Term, ...]:
        one = np.ones_like(x[0])
        return (
            Term((0,), one[None]),
            Term((1, 2), np.stack([one, -x[0]])),
            Term((3, 4), np.stack([one, -x[1]])),
        )

    def values(self, theta: Floats) -> dict[str, Floats]:
        return {
            "E": floor(theta[..., 0]),
            "A": scale(theta[..., 1]), "alpha": theta[..., 2],
            "B": scale(theta[..., 3]), "beta": theta[..., 4],
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            return np.stack(
                [np.log(values["E"]), np.log(values["A"]), np.asarray(values["alpha"], float),
                 np.log(values["B"]), np.asarray(values["beta"], float)], axis=-1,
            )  # fmt: skip

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, 0.03, y.mean() - 2.5, 0.03]
        high = [y.min() - 0.02, y.mean(), 0.8, y.mean(), 0.8]
        return np.array(low), np.array(high)

    def revived(self, theta: Floats, y: Floats) -> Floats:
        """A floor below a tenth of the lowest loss is raised to it."""
        raised = theta.copy()
        raised[..., 0] = np.maximum(theta[..., 0], y.min() - np.log(10))
        return raised

    def balance(self, values: Values) -> Balance:
        return Balance(
            np.log(values["A"]), np.asarray(values["alpha"]),
            np.log(values["B"]), np.asarray(values["beta"]),
        )  # fmt: skip


LAW = Chinchilla()
