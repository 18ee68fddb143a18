"""Laws of a floor and something curved above it: log y = log(exp e + exp g(theta', x)).

theta = (e, theta') with e the logarithm of the floor. A final class gives g with its derivatives;
laws whose g is linear in theta are ``terms.SumLaw``.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pipeline.laws.base import Expansion, Floats, Law, scale

NO_FLOOR = 1e-9  # of any target; a smaller floor is none, and only rounding gives it digits


def floor(logarithm: Floats) -> Floats:
    """The floor of a given logarithm; one that vanishes is exactly zero."""
    return np.where(logarithm < np.log(NO_FLOOR), 0.0, scale(logarithm))


class FlooredLaw(Law):
    """A floor plus an excess whose logarithm is any smooth function."""

    @abstractmethod
    def log_excess(self, theta: Floats, x: Floats) -> Floats:
        """g: theta without the floor's coordinate (..., P - 1) -> (..., n)."""

    @abstractmethod
    def excess(self, theta: Floats, x: Floats) -> Expansion:
        """g to second order around theta (..., P - 1)."""

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return np.logaddexp(theta[..., 0, None], self.log_excess(theta[..., 1:], x))

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        above = self.excess(theta[..., 1:], x)
        value = np.logaddexp(theta[..., 0, None], above.value)
        share = np.exp(above.value - value)
        rest = np.exp(theta[..., 0, None] - value)
        gradient = np.concatenate(
            [rest[..., None, :], share[..., None, :] * above.gradient], axis=-2
        )

        def curvature(weights: Floats) -> Floats:
            # Between the two terms: share rest v v' with v the difference of their gradients.
            apart = np.concatenate([-np.ones_like(rest)[..., None, :], above.gradient], axis=-2)
            mixed = weights * share * rest
            matrix = (apart * mixed[..., None, :]) @ np.swapaxes(apart, -1, -2)
            matrix[..., 1:, 1:] += above.curvature(weights * share)
            return matrix

        return Expansion(value, gradient, curvature)

    def revived(self, theta: Floats, y: Floats) -> Floats:
        """A floor below a tenth of the lowest target is raised to it."""
        raised = theta.copy()
        raised[..., 0] = np.maximum(theta[..., 0], y.min() - np.log(10))
        return raised
