r"""L(N, D) of Kaplan et al. 2020 (arXiv:2001.08361), eq. 1.5 = 4.1.

L = [(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D is the 1/alpha_D-norm of the two one-variable
laws. theta = (k_N, alpha_N, k_D, log alpha_D) with k_N = alpha_N log N_c and k_D = alpha_D log D_c,
the log losses of the two limits at the centre of the inputs. With s = alpha_D and the terms
t_N = (k_N - alpha_N u)/s, t_D = k_D/s - v:  log L = s log(exp t_N + exp t_D).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.balance import Balance, BalancedLaw
from pipeline.laws.base import Expansion, Floats, Kind, Parameter, Values, scale

PAPER = "Kaplan et al. 2020"  # of the published exponents


class Kaplan(BalancedLaw):
    """The two power laws joined so that each holds where the other is far away; no floor."""

    name = "kaplan"
    title = "Kaplan's law of size and tokens"
    formula = (
        r"L(N, D) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N/\alpha_D}"
        r" + \frac{D_c}{D}\right]^{\alpha_D}"
    )
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.5"
    use = "Grids over N and D far above the entropy of the text, where no floor is in sight."
    failure = "Goes to zero loss: too low an answer far out, once runs come near the floor."
    parameters = (
        Parameter("Nc", "N_c", "size with loss 1 on unlimited data", "parameters", Kind.SCALE),
        Parameter(
            "alpha_N", r"\alpha_N", "exponent of model size", "1", Kind.EXPONENT, (0.076, PAPER)
        ),
        Parameter("Dc", "D_c", "tokens with loss 1 at unlimited size", "tokens", Kind.SCALE),
        Parameter("alpha_D", r"\alpha_D", "exponent of tokens", "1", Kind.EXPONENT, (0.103, PAPER)),
    )  # fmt: skip

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        s = np.exp(theta[..., 3, None])
        size, data = self._terms(theta, s, x)
        # As logaddexp, of whose speed numpy's exp and log are a multiple.
        return s * (np.maximum(size, data) + np.log(1.0 + np.exp(-np.abs(size - data))))

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        s = np.exp(theta[..., 3, None])
        size, data = self._terms(theta, s, x)
        gap = size - data
        smaller = np.exp(-np.abs(gap))
        total = np.maximum(size, data) + np.log(1.0 + smaller)
        larger = 1.0 / (1.0 + smaller)
        smaller *= larger
        share = np.where(gap > 0, larger, smaller)  # of the N term; d log L / d k_N
        rest = np.where(gap > 0, smaller, larger)
        gap = s * size - theta[..., 2, None]
        by_log_s = s * total - share * s * size - rest * theta[..., 2, None]
        gradient = np.stack([share, -share * x[0], rest, by_log_s], axis=-2)

        def curvature(weights: Floats) -> Floats:
            # Every observation's Hessian is share rest / s times w w', and by_log_s at (3, 3).
            w = np.stack([np.ones_like(gap), np.broadcast_to(-x[0], gap.shape), -np.ones_like(gap),
                          -gap], axis=-2)  # fmt: skip
            matrix = (w * (weights * share * rest / s)[..., None, :]) @ np.swapaxes(w, -1, -2)
            matrix[..., 3, 3] += (weights * by_log_s).sum(-1)
            return matrix

        return Expansion(s * total, gradient, curvature)

    def _terms(self, theta: Floats, s: Floats, x: Floats) -> tuple[Floats, Floats]:
        return (
            (theta[..., 0, None] - theta[..., 1, None] * x[0]) / s,
            theta[..., 2, None] / s - x[1],
        )

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 0] += theta[..., 1] * centre[0]
        moved[..., 2] += np.exp(theta[..., 3]) * centre[1]
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        alpha_d = np.exp(theta[..., 3])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return {
                "Nc": scale(theta[..., 0] / theta[..., 1]), "alpha_N": theta[..., 1],
                "Dc": scale(theta[..., 2] / alpha_d), "alpha_D": alpha_d,
            }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        alpha_n, alpha_d = (np.asarray(values[name], float) for name in ("alpha_N", "alpha_D"))
        return np.stack(
            [alpha_n * np.log(values["Nc"]), alpha_n, alpha_d * np.log(values["Dc"]),
             np.log(alpha_d)], axis=-1,
        )  # fmt: skip

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 0.5, 0.02, y.min() - 0.5, np.log(0.03)]
        high = [y.max(), 0.5, y.max(), np.log(0.6)]
        return np.array(low), np.array(high)

    def balance(self, values: Values) -> Balance:
        """L^(1/alpha_D) is the sum of two powers, the second with exponent 1."""
        ratio = np.asarray(values["alpha_N"]) / np.asarray(values["alpha_D"])
        return Balance(
            ratio * np.log(values["Nc"]), ratio, np.log(values["Dc"]), np.ones_like(ratio)
        )


LAW = Kaplan()
