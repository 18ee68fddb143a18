r"""M4 of Alabdulmohsin et al. 2022 (arXiv:2209.06640): (L - E) / (L0 - L)^alpha = beta D^-c.

It falls from L0, the loss before training, to the floor E; alpha -> 0 is the power law above a
floor (M2). With L = E + R s(w), s the logistic function and R = L0 - E, the equation reads
G(w) = log s(w) - alpha log s(-w) = h,  h = k - c u,  k = log beta - (1 - alpha) log R, and G rises
from minus to plus infinity, so w is found by Newton's method and its derivatives from G.
theta = (log E, log R, k, c, log alpha).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.axis import TOKENS, CurveLaw
from pipeline.laws.base import Floats, Kind, Parameter, Values, floor, scale
from pipeline.laws.parts import Part, PartLaw

FLAT = 40.0  # |log alpha| beyond which another alpha makes no difference in float64
ITERATIONS = 60  # of Newton's method, which needs about six
CLOSE = 1e-14  # relative change of w that ends it


class M4(CurveLaw, AboveFloor, PartLaw):
    """A sigmoid in log tokens between the untrained loss and a floor."""

    name = "m4_tokens"
    title = "Power law between two levels in tokens (M4)"
    formula = r"\frac{L(D) - E}{\left(L_0 - L(D)\right)^{\alpha}} = \beta D^{-c}"
    citation = "Alabdulmohsin et al. 2022, arXiv:2209.06640, M4"
    use = "Learning curves that still show the first bend down from the untrained loss."
    failure = "Without runs near both levels L0, alpha and E trade off against one another."
    axis = TOKENS
    inputs = ("tokens",)
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited tokens", "nats/token", Kind.FLOOR),
        Parameter("L0", "L_0", "loss before training", "nats/token", Kind.SCALE),
        Parameter("beta", r"\beta", "height of the power law", "1", Kind.SCALE),
        Parameter("c", "c", "exponent of tokens seen", "1", Kind.EXPONENT),
        Parameter("alpha", r"\alpha", "how slowly it leaves L0", "1", Kind.EXPONENT),
    )

    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        lowest, reach, height, exponent, slowness = np.moveaxis(theta[..., None], -2, 0)
        w = _place(height - exponent * x[0], np.exp(np.clip(slowness, -FLAT, FLAT)))
        return lowest, reach - np.logaddexp(0, -w)

    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        lowest, reach, height, exponent, slowness = np.moveaxis(theta[..., None], -2, 0)
        u, alpha = x[0], np.exp(np.clip(slowness, -FLAT, FLAT))
        w = _place(height - exponent * u, alpha)
        up, down = expit(w), expit(-w)
        grown = alpha * np.logaddexp(0, w)  # dG/d log alpha, and its own derivative
        by_w = down + alpha * up
        by_ww, by_wa = (alpha - 1) * up * down, alpha * up
        w_h, w_a = 1 / by_w, -grown / by_w
        w_hh = -by_ww * w_h**2 / by_w
        w_ha = -(by_ww * w_a + by_wa) * w_h / by_w
        w_aa = -(by_ww * w_a**2 + 2 * by_wa * w_a + grown) / by_w
        bend = up * down  # log s(w) has the derivatives down and -bend
        g_hh = down * w_hh - bend * w_h**2
        g_ha = down * w_ha - bend * w_h * w_a
        g_aa = down * w_aa - bend * w_a**2
        slopes = 1.0, down * w_h, -u * down * w_h, down * w_a
        bends = {
            (1, 1): g_hh, (1, 2): -u * g_hh, (2, 2): u**2 * g_hh,
            (1, 3): g_ha, (2, 3): -u * g_ha, (3, 3): g_aa,
        }  # fmt: skip
        excess = Part((1, 2, 3, 4), reach - np.logaddexp(0, -w), slopes, bends)
        return Part((0,), lowest, (1.0,), {}), excess

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 2] += theta[..., 3] * centre[0]
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        lowest, alpha = floor(theta[..., 0]), scale(theta[..., 4])
        return {
            "E": lowest, "L0": lowest + scale(theta[..., 1]),
            "beta": scale(theta[..., 2] + (1 - alpha) * theta[..., 1]),
            "c": theta[..., 3], "alpha": alpha,
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        lowest, top, beta, c, alpha = (np.asarray(values[p.name], float) for p in self.parameters)
        reach = np.log(top - lowest)
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            parts = np.log(lowest), reach, np.log(beta) - (1 - alpha) * reach, c, np.log(alpha)
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.max() - 1.0, -4.0, 0.03, -2.0]
        high = [y.min() - 0.02, y.max() + 1.0, 2.0, 1.5, 1.5]
        return np.array(low), np.array(high)


def _place(h: Floats, alpha: Floats) -> Floats:
    """w with log s(w) - alpha log s(-w) = h; h and alpha broadcast.

    G is between two straight lines, of slopes 1 and alpha, and bends one way only: Newton's method
    is on one side of w after its first step, and stays there.
    """
    h, alpha = np.broadcast_arrays(h, alpha)
    w = np.where(h < 0, h, h / alpha)
    for _ in range(ITERATIONS):
        miss = alpha * np.logaddexp(0, w) - np.logaddexp(0, -w) - h
        step = miss / (expit(-w) + alpha * expit(w))
        w = w - step
        if (np.abs(step) <= CLOSE * (1 + np.abs(w))).all():
            break
    return w


LAW = M4()
