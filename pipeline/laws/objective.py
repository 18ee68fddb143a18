"""What a fit minimises: a sum over runs of a robust loss of log observed - log predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_ABSOLUTE = 1e-7  # natural log: a delta below every residual that is not rounding
LEAST_SQUARES = 1e3  # and one above every residual


class Form(StrEnum):
    """The forms by name; each is Huber's with its own delta."""

    HUBER = "huber"
    LEAST_ABSOLUTE = "least_absolute"
    LEAST_SQUARES = "least_squares"


@dataclass(frozen=True)
class Objective:
    """Huber's loss (Huber 1964) of residuals r: r^2/2 within delta, delta (|r| - delta/2) beyond.

    ``asymmetry`` q in (0, 1) counts runs above the law 2q times and those below it 2(1 - q) times:
    with a large delta that is an expectile, with a small one a quantile; 0.5 counts both alike.
    """

    delta: float = 0.01
    asymmetry: float = 0.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise ValueError(f"delta {self.delta}: take a positive number")
        if not 0 < self.asymmetry < 1:
            raise ValueError(f"asymmetry {self.asymmetry}: take a number between 0 and 1")

    @classmethod
    def of(cls, form: Form, delta: float, asymmetry: float = 0.5) -> Objective:
        """The objective of a named form; ``delta`` is that of Huber's."""
        fixed = {Form.LEAST_ABSOLUTE: LEAST_ABSOLUTE, Form.LEAST_SQUARES: LEAST_SQUARES}
        return cls(fixed.get(form, delta), asymmetry)

    def cost(self, residual: Floats) -> Floats:
        """The loss of each residual."""
        size = np.abs(residual)
        inside = np.minimum(size, self.delta)
        return self._tilted(residual, inside * (size - 0.5 * inside))

    def slope(self, residual: Floats) -> Floats:
        """Its derivative."""
        return self._tilted(residual, np.clip(residual, -self.delta, self.delta))

    def bend(self, residual: Floats) -> Floats:
        """Its second derivative: 1 within delta and 0 beyond, where symmetric."""
        return self._tilted(residual, (np.abs(residual) <= self.delta).astype(float))

    def reweighting(self, residual: Floats) -> Floats:
        """The weight of the least-squares loss that touches it here and lies above it elsewhere."""
        return self._tilted(residual, self.delta / np.maximum(np.abs(residual), self.delta))

    def parts(self, residual: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """The weighted sum of cost (B,), and weighted slope, bend and reweighting (B, n)."""
        size = np.abs(residual)
        inside = np.minimum(size, self.delta)
        tilted = self._tilted(residual, weights)
        above = tilted * (self.delta / np.maximum(size, self.delta))
        cost = np.vecdot(tilted, inside * (size - 0.5 * inside))
        return cost, above * residual, tilted * (size <= self.delta), above

    def _tilted(self, residual: Floats, value: Floats) -> Floats:
        if self.asymmetry == 0.5:
            return value
        return value * np.where(residual > 0, 2 * self.asymmetry, 2 * (1 - self.asymmetry))
