"""A power law in one input, L = (X_c / X)^alpha: a straight line in logarithms.

theta = (k, alpha) with log L = k - alpha log X, so X_c = exp(k / alpha).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from pipeline.laws.base import Expansion, Floats, Kind, Law, Parameter, Runs, Selection, Values
from pipeline.laws.base import scale as bounded_exp

SAME = 0.05  # natural log: counts this close are one count, rounded to whole steps


class PowerLaw(Law):
    """The one-variable laws of Kaplan et al. 2020; a final class names its input and runs."""

    letter: ClassVar[str]

    @abstractmethod
    def select(self, runs: Runs) -> Selection: ...

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.column(self.inputs[0])

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return theta[..., 0, None] - theta[..., 1, None] * x[0]

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        shape = (*theta.shape[:-1], 2, x.shape[1])
        gradient = np.broadcast_to(np.stack([np.ones_like(x[0]), -x[0]]), shape)
        flat = np.zeros((*theta.shape[:-1], 2, 2))
        return Expansion(self.log_target(theta, x), gradient, lambda _: flat)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        return np.stack([theta[..., 0] + theta[..., 1] * centre[0], theta[..., 1]], axis=-1)

    def values(self, theta: Floats) -> dict[str, Floats]:
        k, alpha = theta[..., 0], theta[..., 1]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            location = bounded_exp(k / alpha)
        return {f"{self.letter}c": location, f"alpha_{self.letter}": alpha}

    def theta(self, values: Values) -> Floats:
        alpha = np.asarray(values[f"alpha_{self.letter}"], dtype=float)
        return np.stack([alpha * np.log(values[f"{self.letter}c"]), alpha], axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return np.array([y.min(), 0.01]), np.array([y.max(), 1.0])


def power_parameters(
    letter: str, unit: str, of: str, published: float
) -> tuple[Parameter, Parameter]:
    """The parameters of a power law in ``letter``, a count of ``unit``.

    ``published`` is the exponent in Kaplan et al. 2020, table 5.
    """
    paper = (published, "Kaplan et al. 2020")
    return (
        Parameter(f"{letter}c", rf"{letter}_c", f"{of} at which the loss is 1", unit, Kind.SCALE),
        Parameter(
            f"alpha_{letter}", rf"\alpha_{letter}", f"exponent of {of}", "1", Kind.EXPONENT, paper
        ),
    )


def at_largest(column: Floats) -> np.ndarray:
    """Mask of the rows whose count is the largest one, up to rounding to whole steps."""
    if not column.size:
        return np.zeros(0, dtype=bool)
    logs = np.log(column)
    return logs >= logs.max() - SAME
