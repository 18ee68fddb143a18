r"""Bryant and Liu 2026 (arXiv:2605.09189): a loss between a floor and that of knowing nothing.

L = E + (L0 - E) h / (1 + h), h = a/N^alpha + b/D^beta + c N^gamma / U^delta, with D tokens seen
and U distinct ones (the paper's T and D). Where h is small the first two terms are Chinchilla's
law with A = (L0 - E) a and B = (L0 - E) b.

theta = (log E, log A, alpha, log B, beta, log C, gamma, delta, log X) with X = L0 - E, C = X c: the
terms in nats, which runs far from L0 determine although they leave L0 open. With H the sum of
these three terms,  L = (E X + E H + X H) / (X + H): the logarithms of two sums of terms, all of
them linear in theta.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.base import Expansion, Floats, Kind, Parameter, SurfaceLaw, Values, floor, scale
from pipeline.laws.parts import Part, log_sum, summed


class Bounded(AboveFloor, SurfaceLaw):
    """Undercapacity, undertraining and overfitting, which together saturate."""

    name = "bounded"
    title = "Data-constrained law: bounded"
    formula = (
        r"L = E + (L_0 - E) \frac{h}{1 + h}, \quad"
        r" h = \frac{a}{N^{\alpha}} + \frac{b}{D^{\beta}} + \frac{c N^{\gamma}}{U^{\delta}}"
    )
    citation = "Bryant and Liu 2026, arXiv:2605.09189"
    use = "Runs from hardly trained to repeated until it hurts, all on one surface."
    failure = "Nine numbers; without runs near L0 this one and the scales a, b, c are open."
    inputs = ("params", "tokens", "unique_tokens")
    unlimited: ClassVar[Mapping[str, float]] = {"unique_tokens": np.inf}
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited size and data", "nats/token", Kind.FLOOR),
        Parameter("a", "a", "undercapacity at N = 1, of the room from E to L0", "1", Kind.SCALE),
        Parameter("alpha", r"\alpha", "exponent of model size", "1", Kind.EXPONENT),
        Parameter("b", "b", "undertraining at D = 1, of the room from E to L0", "1", Kind.SCALE),
        Parameter("beta", r"\beta", "exponent of tokens", "1", Kind.EXPONENT),
        Parameter("c", "c", "overfitting at N = U = 1, of the room from E to L0", "1", Kind.SCALE),
        Parameter("gamma", r"\gamma", "exponent of size in overfitting", "1", Kind.EXPONENT),
        Parameter("delta", r"\delta", "exponent of distinct tokens", "1", Kind.EXPONENT),
        Parameter("L0", "L_0", "loss of knowing nothing", "nats/token", Kind.SCALE),
    )

    def centre(self, x: Floats) -> Floats:
        """Tokens and distinct tokens move together: no more can be distinct than were seen."""
        size, tokens, _ = x.mean(-1)
        return np.array([size, tokens, tokens])

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        above, below = _sums(theta, x)
        return log_sum([part.value for part in above]) - log_sum([part.value for part in below])

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        shape = (*theta.shape[:-1], theta.shape[-1], x.shape[-1])
        above, below = (summed(parts, shape) for parts in _sums(theta, x))
        return Expansion(
            above.value - below.value,
            above.gradient - below.gradient,
            lambda weights: above.curvature(weights) - below.curvature(weights),
        )

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 1] += theta[..., 2] * centre[0]
        moved[..., 3] += theta[..., 4] * centre[1]
        moved[..., 5] += theta[..., 7] * centre[2] - theta[..., 6] * centre[0]
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        e, a, alpha, b, beta, c, gamma, delta, room = np.moveaxis(theta, -1, 0)
        return {
            "E": floor(e), "a": scale(a - room), "alpha": alpha, "b": scale(b - room),
            "beta": beta, "c": scale(c - room), "gamma": gamma, "delta": delta,
            "L0": floor(e) + scale(room),
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            room = np.log(np.asarray(values["L0"]) - values["E"])
            columns = (
                np.log(values["E"]), np.log(values["a"]) + room, values["alpha"],
                np.log(values["b"]) + room, values["beta"], np.log(values["c"]) + room,
                values["gamma"], values["delta"], room,
            )  # fmt: skip
        return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(float)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        lower, upper = y.mean() - 2.5, y.mean()
        low = [y.min() - 3.0, lower, 0.03, lower, 0.03, lower - 3.0, 0.1, 0.1, y.max()]
        high = [y.min() - 0.02, upper, 0.8, upper, 0.8, upper, 1.5, 1.5, y.max() + 2.0]
        return np.array(low), np.array(high)


def _sums(theta: Floats, x: Floats) -> tuple[list[Part], list[Part]]:
    """The terms of E X + E H + X H and those of X + H."""
    e, a, alpha, b, beta, c, gamma, delta, room = np.moveaxis(theta[..., None], -2, 0)
    distinct = np.minimum(x[1], x[2])
    terms = (
        ((1, 2), a - alpha * x[0], (1.0, -x[0])),
        ((3, 4), b - beta * x[1], (1.0, -x[1])),
        ((5, 6, 7), c + gamma * x[0] - delta * distinct, (1.0, x[0], -distinct)),
    )
    above = [Part((0, 8), e + room, (1.0, 1.0), {})] + [
        Part((other, *at), log + value, (1.0, *slopes), {})
        for other, log in ((0, e), (8, room)) for at, value, slopes in terms
    ]  # fmt: skip
    below = [Part((8,), room, (1.0,), {})] + [
        Part(at, value, slopes, {}) for at, value, slopes in terms
    ]
    return above, below


LAW = Bounded()
