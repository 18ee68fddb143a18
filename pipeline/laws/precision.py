r"""Training in few bits: Chinchilla's law on the parameters that P bits leave.

Kumar et al. 2024 (arXiv:2411.04330): N_eff = N (1 - exp(-P/gamma)). The paper has one such factor
for weights, activations and the cache of keys and values each; this is the one for weights.

theta = (log E, log A, alpha, log B, beta, log gamma) at the centre of the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.base import Floats, Kind, Parameter, SurfaceLaw
from pipeline.laws.in_order import InOrder
from pipeline.laws.parts import Part, PartLaw

MANY = 700.0  # P/gamma beyond which exp(-P/gamma) is 0 in float64


class Precision(InOrder, AboveFloor, PartLaw, SurfaceLaw):
    """A floor, a term of effective parameters, a term of tokens."""

    name = "precision"
    title = "Precision law"
    formula = (
        r"L = E + \frac{A}{N_{\mathrm{eff}}^{\alpha}} + \frac{B}{D^{\beta}}, \quad"
        r" N_{\mathrm{eff}} = N \left(1 - e^{-P/\gamma}\right)"
    )
    citation = "Kumar et al. 2024, arXiv:2411.04330"
    use = "Runs whose weights were trained in different numbers of bits."
    failure = "Says nothing of rounding after training, which hurts more the longer one trains."
    inputs = ("params", "tokens", "bits")
    unlimited: ClassVar[Mapping[str, float]] = {"bits": np.inf}
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited size and data", "nats/token", Kind.FLOOR),
        Parameter("A", "A", "loss added by size at N = 1", "nats/token", Kind.SCALE),
        Parameter("alpha", r"\alpha", "exponent of model size", "1", Kind.EXPONENT),
        Parameter("B", "B", "loss added by tokens at D = 1", "nats/token", Kind.SCALE),
        Parameter("beta", r"\beta", "exponent of tokens", "1", Kind.EXPONENT),
        Parameter("gamma", r"\gamma", "bits that keep 63 % of the parameters", "bits", Kind.SCALE),
    )

    def centre(self, x: Floats) -> Floats:
        """Bits stay: gamma is a number of them."""
        size, tokens, _ = x.mean(-1)
        return np.array([size, tokens, 0.0])

    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        e, a, alpha, b, beta, t = np.moveaxis(theta[..., None], -2, 0)
        kept = np.log(-np.expm1(-_ratio(t, x[2])))
        return e, a - alpha * (x[0] + kept), b - beta * x[1]

    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        e, a, alpha, b, beta, t = np.moveaxis(theta[..., None], -2, 0)
        z = _ratio(t, x[2])
        lost = z / np.expm1(z)  # -d log(1 - exp(-z)) / d log gamma
        size = x[0] + np.log(-np.expm1(-z))
        return (
            Part((0,), e, (1.0,), {}),
            Part(
                (1, 2, 5), a - alpha * size, (1.0, -size, alpha * lost),
                {(1, 2): lost, (2, 2): -alpha * lost * (1 - z - lost)},
            ),
            Part((3, 4), b - beta * x[1], (1.0, -x[1]), {}),
        )  # fmt: skip

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 1] += theta[..., 2] * centre[0]
        moved[..., 3] += theta[..., 4] * centre[1]
        moved[..., 5] += centre[2]
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, 0.03, y.mean() - 2.5, 0.03, np.log(0.5)]
        high = [y.min() - 0.02, y.mean(), 0.8, y.mean(), 0.8, np.log(8.0)]
        return np.array(low), np.array(high)


def _ratio(log_gamma: Floats, log_bits: Floats) -> Floats:
    return np.exp(np.minimum(log_bits - log_gamma, np.log(MANY)))


LAW = Precision()
