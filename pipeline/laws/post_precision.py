r"""What rounding the weights after training adds to the loss (Kumar et al. 2024, arXiv:2411.04330).

delta = C_T D^gamma_D / N^gamma_N exp(-P/gamma): it grows with the tokens a model was trained on.

theta = (log C_T, gamma_D, gamma_N, log gamma) at the centre of N and D.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Expansion, Floats, Kind, Law, Parameter, Runs, Selection
from pipeline.laws.curvature import contracted
from pipeline.laws.in_order import InOrder


class PostPrecision(InOrder, Law):
    """A power of tokens over a power of size, which every further bit divides."""

    name = "post_precision"
    title = "Loss that rounding after training adds"
    formula = r"\delta = C_T \frac{D^{\gamma_D}}{N^{\gamma_N}} e^{-P/\gamma}"
    citation = "Kumar et al. 2024, arXiv:2411.04330"
    use = "Trained models, each evaluated with its weights rounded to several numbers of bits."
    failure = "One way of rounding, one law: a better one has other constants and fewer bits."
    inputs = ("params", "tokens", "rounded_bits")
    target = "rounding_loss"
    parameters = (
        Parameter("C_T", "C_T", "loss added at N = D = 1 and no bits", "nats/token", Kind.SCALE),
        Parameter("gamma_D", r"\gamma_D", "exponent of tokens", "1", Kind.EXPONENT),
        Parameter("gamma_N", r"\gamma_N", "exponent of model size", "1", Kind.EXPONENT),
        Parameter("gamma", r"\gamma", "bits that divide the loss added by e", "bits", Kind.SCALE),
    )

    def centre(self, x: Floats) -> Floats:
        """Bits stay: gamma is a number of them."""
        size, tokens, _ = x.mean(-1)
        return np.array([size, tokens, 0.0])

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        height, data, size, t = np.moveaxis(theta[..., None], -2, 0)
        return height + data * x[1] - size * x[0] - np.exp(x[2] - t)

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        z = np.exp(x[2] - theta[..., 3, None])
        gradient = np.stack(np.broadcast_arrays(np.ones_like(z), x[1], -x[0], z), axis=-2)

        def curvature(weights: Floats) -> Floats:
            return contracted(weights, {(3, 3): -z}, 4)

        return Expansion(self.log_target(theta, x), gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 0] += theta[..., 2] * centre[0] - theta[..., 1] * centre[1]
        moved[..., 3] += centre[2]
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.mean(), 0.05, 0.05, np.log(0.3)]
        high = [y.max() + 8.0, 1.0, 1.0, np.log(3.0)]
        return np.array(low), np.array(high)

    def select(self, runs: Runs) -> Selection:
        return Selection(np.ones(len(runs), dtype=bool), "All models that were rounded.")

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.flops


LAW = PostPrecision()
