r"""L = [(N_c/N)^alpha_N + (D_c/D)^alpha_D]^beta (Kaplan et al. 2020, arXiv:2001.08361).

A footnote of section 4.1 names it as another choice than eq. 1.5, and leaves it because it has no
expansion in 1/D. Eq. 1.5 is its case alpha_D = 1; beta = 1 is the sum of two power laws.

theta = (k_N, a_N, k_D, a_D, log beta), where k - a log X is the log loss in the limit that the
other input is plentiful, so that a = beta alpha is the exponent seen there. With s = beta and
t = (k - a log X)/s:  log L = s log(exp t_N + exp t_D).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.balance import Balance, BalancedLaw
from pipeline.laws.base import Expansion, Floats, Kind, Parameter, Values, scale


class KaplanSymmetric(BalancedLaw):
    """Two power laws joined with a free sharpness; no floor."""

    name = "kaplan_symmetric"
    title = "Kaplan's symmetric alternative"
    formula = (
        r"L(N, D) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N}"
        r" + \left(\frac{D_c}{D}\right)^{\alpha_D}\right]^{\beta}"
    )
    citation = "Kaplan et al. 2020, arXiv:2001.08361, section 4.1, footnote"
    use = "To see whether eq. 1.5 or a sum of powers fits: it holds both, beta tells which."
    failure = "Without runs where size and data limit alike, beta is open and the others with it."
    parameters = (
        Parameter("Nc", "N_c", "size with loss 1 on unlimited data", "parameters", Kind.SCALE),
        Parameter("alpha_N", r"\alpha_N", "exponent of model size within", "1", Kind.EXPONENT),
        Parameter("Dc", "D_c", "tokens with loss 1 at unlimited size", "tokens", Kind.SCALE),
        Parameter("alpha_D", r"\alpha_D", "exponent of tokens within", "1", Kind.EXPONENT),
        Parameter("beta", r"\beta", "exponent of the whole", "1", Kind.EXPONENT),
    )

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        s, size, data = self._limits(theta, x)
        return s * np.logaddexp(size / s, data / s)

    def _limits(self, theta: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
        """beta, and the log losses that size and data alone would leave."""
        size = theta[..., 0, None] - theta[..., 1, None] * x[0]
        data = theta[..., 2, None] - theta[..., 3, None] * x[1]
        return np.exp(theta[..., 4, None]), size, data

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        s, size, data = self._limits(theta, x)
        total = np.logaddexp(size / s, data / s)
        share, rest = np.exp(size / s - total), np.exp(data / s - total)
        by_log_s = s * total - share * size - rest * data
        gradient = np.stack([share, -share * x[0], rest, -rest * x[1], by_log_s], axis=-2)

        def curvature(weights: Floats) -> Floats:
            # Every observation's Hessian is share rest / s times w w', and by_log_s at (4, 4).
            w = np.stack(
                np.broadcast_arrays(1.0, -x[0], -1.0, x[1], data - size), axis=-2
            )  # fmt: skip
            matrix = (w * (weights * share * rest / s)[..., None, :]) @ np.swapaxes(w, -1, -2)
            matrix[..., 4, 4] += (weights * by_log_s).sum(-1)
            return matrix

        return Expansion(s * total, gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 0] += theta[..., 1] * centre[0]
        moved[..., 2] += theta[..., 3] * centre[1]
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        beta = np.exp(theta[..., 4])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return {
                "Nc": scale(theta[..., 0] / theta[..., 1]), "alpha_N": theta[..., 1] / beta,
                "Dc": scale(theta[..., 2] / theta[..., 3]), "alpha_D": theta[..., 3] / beta,
                "beta": beta,
            }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        beta = np.asarray(values["beta"], float)
        size, data = beta * values["alpha_N"], beta * values["alpha_D"]
        columns = (
            size * np.log(values["Nc"]), size, data * np.log(values["Dc"]), data, np.log(beta)
        )  # fmt: skip
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 0.5, 0.02, y.min() - 0.5, 0.02, np.log(0.05)]
        high = [y.max(), 0.5, y.max(), 0.5, np.log(1.5)]
        return np.array(low), np.array(high)

    def balance(self, values: Values) -> Balance:
        """L^(1/beta) is the sum of two powers."""
        size, data = np.asarray(values["alpha_N"]), np.asarray(values["alpha_D"])
        return Balance(size * np.log(values["Nc"]), size, data * np.log(values["Dc"]), data)


LAW = KaplanSymmetric()
