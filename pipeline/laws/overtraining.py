r"""L = E + (a M^eta + b M^-eta) C^-eta (Gadre et al. 2024, arXiv:2403.08540), M = D/N, C = 6 N D.

Written out, M^eta C^-eta = 6^-eta N^-2eta and M^-eta C^-eta = 6^-eta D^-2eta: it is Chinchilla's
law with alpha = beta = 2 eta, A = a 6^-eta and B = b 6^-eta. So N* and D* both grow as C^(1/2),
and at any fixed ratio M the loss above E falls as C^-eta.

theta = (log E, log A, log B, eta) at the centre of the inputs.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.balance import Balance, BalancedLaw
from pipeline.laws.base import Floats, Kind, Parameter, Values, floor, scale
from pipeline.laws.terms import SumLaw, Term

LOG_SIX = np.log(6.0)
PAPER = "Gadre et al. 2024, C4"  # of the published values


class Overtraining(AboveFloor, SumLaw, BalancedLaw):
    """A floor and two powers with one exponent."""

    name = "overtraining"
    title = "Over-training law"
    formula = (
        r"L = E + \left(a M^{\eta} + b M^{-\eta}\right) C^{-\eta},"
        r" \quad M = D/N, \; C = 6 N D"
    )
    citation = "Gadre et al. 2024, arXiv:2403.08540"
    use = "Few runs, most of them trained on far more tokens per parameter than is optimal."
    failure = "One exponent for size and data: wrong where they differ, as in most larger grids."
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited compute", "nats/token", Kind.FLOOR,
                  (1.51, PAPER)),
        Parameter("a", "a", "loss added by size at M = C = 1", "nats/token", Kind.SCALE,
                  (141.0, PAPER)),
        Parameter("b", "b", "loss added by tokens at M = C = 1", "nats/token", Kind.SCALE,
                  (190.0, PAPER)),
        Parameter("eta", r"\eta", "exponent of compute", "1", Kind.EXPONENT, (0.121, PAPER)),
    )  # fmt: skip

    def terms(self, x: Floats) -> tuple[Term, ...]:
        one = np.ones_like(x[0])
        return (
            Term((0,), one[None]),
            Term((1, 3), np.stack([one, -2 * x[0]])),
            Term((2, 3), np.stack([one, -2 * x[1]])),
        )

    def values(self, theta: Floats) -> dict[str, Floats]:
        eta = theta[..., 3]
        return {
            "E": floor(theta[..., 0]), "a": scale(theta[..., 1] + eta * LOG_SIX),
            "b": scale(theta[..., 2] + eta * LOG_SIX), "eta": eta,
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        eta = np.asarray(values["eta"], float)
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            columns = (
                np.log(values["E"]), np.log(values["a"]) - eta * LOG_SIX,
                np.log(values["b"]) - eta * LOG_SIX, eta,
            )  # fmt: skip
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, y.mean() - 2.5, 0.015]
        high = [y.min() - 0.02, y.mean(), y.mean(), 0.4]
        return np.array(low), np.array(high)

    def balance(self, values: Values) -> Balance:
        eta = np.asarray(values["eta"])
        return Balance(np.log(values["a"]), 2 * eta, np.log(values["b"]), 2 * eta)


LAW = Overtraining()
