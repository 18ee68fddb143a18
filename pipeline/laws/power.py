"""A power law in one input, L = (X_c / X)^alpha: a straight line in logarithms.

theta = (k, alpha) with log L = k - alpha log X, so X_c = exp(k / alpha).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.axis import CurveLaw
from pipeline.laws.base import Floats, Kind, Parameter, Values
from pipeline.laws.base import scale as bounded_exp
from pipeline.laws.loglinear import LogLinearLaw

PAPER = "Kaplan et al. 2020"  # of the published exponents, table 5


class PowerLaw(CurveLaw, LogLinearLaw):
    """The one-variable laws of Kaplan et al. 2020; a final class names its axis.

    Its parameters are X_c and alpha, in this order.
    """

    signs = (-1.0,)

    def values(self, theta: Floats) -> dict[str, Floats]:
        location, exponent = (p.name for p in self.parameters)
        return {location: reference(theta[..., 0], theta[..., 1]), exponent: theta[..., 1]}

    def theta(self, values: Values) -> Floats:
        location, exponent = (np.asarray(values[p.name], float) for p in self.parameters)
        return np.stack(np.broadcast_arrays(exponent * np.log(location), exponent), axis=-1)


def reference(height: Floats, exponent: Floats) -> Floats:
    """X_c = exp(height / exponent), at which a term of that log height at X = 1 is 1."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return bounded_exp(height / exponent)


def power_parameters(
    letter: str, unit: str, of: str, published: float | None = None, at: str = "the loss"
) -> tuple[Parameter, Parameter]:
    """The parameters of a power law in ``letter``, a count of ``unit``; ``at`` X_c it is 1.

    ``published`` is the exponent in Kaplan et al. 2020, table 5.
    """
    paper = None if published is None else (published, PAPER)
    return (
        Parameter(f"{letter}c", rf"{letter}_c", f"{of} at which {at} is 1", unit, Kind.SCALE),
        Parameter(
            f"alpha_{letter}", rf"\alpha_{letter}", f"exponent of {of}", "1", Kind.EXPONENT, paper
        ),
    )
