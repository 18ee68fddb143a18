"""Laws whose target, not its logarithm, is a straight line: y = q + p column(x).

theta = (q, p). Where the line is not positive its logarithm does not exist: the value is NaN and
the objective infinite, so that no fit goes there.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pipeline.laws.base import Expansion, Floats, Law


class AffineLaw(Law):
    """A line in some function of one input."""

    @abstractmethod
    def column(self, x: Floats) -> Floats:
        """What the slope multiplies at log inputs x (1, n): (n,)."""

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return np.log(self._line(theta, x))

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        line = self._line(theta, x)
        gradient = np.stack([1 / line, self.column(x) / line], axis=-2)

        def curvature(weights: Floats) -> Floats:
            return -(gradient * weights[..., None, :]) @ np.swapaxes(gradient, -1, -2)

        return Expansion(np.log(line), gradient, curvature)

    def _line(self, theta: Floats, x: Floats) -> Floats:
        line = theta[..., 0, None] + theta[..., 1, None] * self.column(x)
        return np.where(line > 0, line, np.nan)
