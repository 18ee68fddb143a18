r"""M3 of Alabdulmohsin et al. 2022 (arXiv:2209.06640): L = beta (1/D + gamma)^c.

A power law that levels off at 1/gamma tokens without a floor of its own. Along D at one size it is
also Kaplan et al. 2020, eq. 1.5, with beta = D_c^c and gamma set by the size. theta = (k, g, c)
with k = log beta and g = log gamma:  log L = k + c m,  m = log(exp(-u) + exp g).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.axis import TOKENS, CurveLaw
from pipeline.laws.base import Expansion, Floats, Kind, Parameter
from pipeline.laws.curvature import contracted
from pipeline.laws.in_order import InOrder


class M3(CurveLaw, InOrder):
    """A power law of tokens that saturates."""

    name = "m3_tokens"
    title = "Saturating power law in tokens (M3)"
    formula = r"L(D) = \beta \left(\frac{1}{D} + \gamma\right)^{c}"
    citation = "Alabdulmohsin et al. 2022, arXiv:2209.06640, M3"
    use = "One model on several token counts, the last of which size begins to limit."
    failure = "Where no run levels off gamma goes to zero and the law is `power_tokens`."
    axis = TOKENS
    inputs = ("tokens",)
    parameters = (
        Parameter("beta", r"\beta", "loss where 1/D + gamma is 1", "nats/token", Kind.SCALE),
        Parameter("gamma", r"\gamma", "inverse of where it levels off", "1/tokens", Kind.SCALE),
        Parameter("c", "c", "exponent of tokens seen", "1", Kind.EXPONENT),
    )

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return theta[..., 0, None] + theta[..., 2, None] * np.logaddexp(-x[0], theta[..., 1, None])

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        level, exponent = theta[..., 1, None], theta[..., 2, None]
        both = np.logaddexp(-x[0], level)
        share = np.exp(level - both)
        gradient = np.stack([np.ones_like(both), exponent * share, both], axis=-2)

        def curvature(weights: Floats) -> Floats:
            return contracted(weights, {(1, 2): share, (1, 1): exponent * share * (1 - share)}, 3)

        return Expansion(theta[..., 0, None] + exponent * both, gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 0] += theta[..., 2] * centre[0]
        moved[..., 1] -= centre[0]
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return np.array([y.min(), -5.0, 0.02]), np.array([y.max(), 2.0, 0.8])


LAW = M3()
