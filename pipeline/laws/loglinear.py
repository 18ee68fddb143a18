"""Laws whose logarithm is linear in the logarithms of the inputs: y = c x_1^(+-a_1) x_2^(+-a_2).

theta = (log c, a_1, a_2, ...), and each exponent is counted positive in its usual direction.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.laws.base import Expansion, Floats
from pipeline.laws.in_order import InOrder


class LogLinearLaw(InOrder):
    """A product of powers; a final class gives the sign of each input's exponent.

    Its parameters are c and the exponents, in the order of the inputs.
    """

    signs: ClassVar[tuple[float, ...]]

    def _rows(self, x: Floats) -> Floats:
        """What multiplies each coordinate of theta: (P, n)."""
        return np.concatenate([np.ones((1, x.shape[1])), np.array(self.signs)[:, None] * x])

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return theta @ self._rows(x)

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        size = theta.shape[-1]
        gradient = np.broadcast_to(self._rows(x), (*theta.shape[:-1], size, x.shape[1]))
        flat = np.zeros((*theta.shape[:-1], size, size))
        return Expansion(self.log_target(theta, x), gradient, lambda _: flat)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 0] -= theta[..., 1:] @ (np.array(self.signs) * centre)
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        count = len(self.signs)
        return np.array([y.min(), *[0.01] * count]), np.array([y.max(), *[1.0] * count])
