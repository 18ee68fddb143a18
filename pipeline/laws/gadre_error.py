r"""Err = eps - k exp(-gamma L): a task's error from the loss (Gadre et al. 2024, arXiv:2403.08540).

With L_c the loss at the centre, theta = (log eps, r, log(gamma L_c)), where r is the logarithm of
the share k exp(-gamma L_c) / eps that is saved there: log Err = log eps + log(1 - exp(r - gamma
(L - L_c))), NaN where that is no positive number.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Expansion, Floats, Kind, Parameter, Values, scale
from pipeline.laws.curvature import contracted
from pipeline.laws.tasks import TaskLaw


class GadreError(TaskLaw):
    """An error that falls from eps as the loss falls."""

    name = "gadre_error"
    title = "Exponential of the loss for a task's error"
    formula = r"\mathrm{Err}(L) = \epsilon - k\, e^{-\gamma L}"
    citation = "Gadre et al. 2024, arXiv:2403.08540"
    use = "Errors averaged over many tasks, against the loss on a broad text."
    failure = "Single tasks near chance level or near perfection; it turns negative at low loss."
    parameters = (
        Parameter("eps", r"\epsilon", "error at high loss", "1", Kind.SCALE),
        Parameter("k", "k", "error saved at loss 0", "1", Kind.SCALE),
        Parameter("gamma", r"\gamma", "rate at which the error falls", "token/nat", Kind.RATE),
    )

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        saved, _ = self._saved(theta, x)
        return theta[..., 0, None] + np.log1p(-saved)

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        saved, fall = self._saved(theta, x)
        odds = saved / (1 - saved)
        gradient = np.stack([np.ones_like(odds), -odds, odds * fall], axis=-2)

        def curvature(weights: Floats) -> Floats:
            bend = odds * (1 + odds)
            entries = {
                (1, 1): -bend, (1, 2): bend * fall, (2, 2): odds * fall - bend * fall**2,
            }  # fmt: skip
            return contracted(weights, entries, 3)

        return Expansion(theta[..., 0, None] + np.log1p(-saved), gradient, curvature)

    def _saved(self, theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        """The share of eps that is saved, and gamma (L - L_c)."""
        fall = scale(theta[..., 2, None]) * np.expm1(x[0])
        log_saved = theta[..., 1, None] - fall
        return np.exp(np.where(log_saved < 0, log_saved, np.nan)), fall

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 2] -= centre[0]
        moved[..., 1] += scale(theta[..., 2]) - scale(moved[..., 2])
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        gamma = scale(theta[..., 2])
        return {
            "eps": scale(theta[..., 0]), "k": scale(theta[..., 0] + theta[..., 1] + gamma),
            "gamma": gamma,
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        eps, k, gamma = (np.asarray(values[p.name], dtype=float) for p in self.parameters)
        parts = np.log(eps), np.log(k) - np.log(eps) - gamma, np.log(gamma)
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return np.array([y.max(), -3.0, -1.5]), np.array([y.max() + 1.0, -0.3, 1.5])


LAW = GadreError()
