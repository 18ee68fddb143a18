"""What the solver asks of a law: its value around theta, and the sums of a quadratic model.

A law that only defines ``expansion`` gets both from there; a law whose structure allows it
(``terms.SumLaw``) gives them with less work. Values are those of ``expansion`` either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Normal(NamedTuple):
    """A quadratic model of B objectives: gradient (B, P), Hessian and majoriser (B, P, P)."""

    gradient: Floats
    hessian: Floats
    majoriser: Floats

    def plus(self, other: Normal) -> Normal:
        """The model of the sum of two objectives."""
        return Normal(*(a + b for a, b in zip(self, other)))

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Normal:
        """The models of some of the problems."""
        return Normal(*(part[rows] for part in self))

    def put(self, rows: NDArray[np.intp], other: Normal) -> None:
        """Replace the models of some of the problems, in place."""
        for part, new in zip(self, other):
            part[rows] = new


class Local(NamedTuple):
    """A law around theta (B, P): log targets (B, n), and the model of a sum of losses of them.

    ``normal(slope, bend, above)`` takes, for each run (B, n), the weighted first and second
    derivative of its loss and the weight of the quadratic loss that lies above it. With g the
    gradient of a value and G its Hessian it returns -sum slope g, sum (bend g g' - slope G) and
    sum above g g'. It is only called where the values are finite.
    """

    value: Floats
    normal: Callable[[Floats, Floats, Floats], Normal]


class Prepared(NamedTuple):
    """A law at one set of inputs: log targets of theta (B, P), alone and with what is around."""

    value: Callable[[Floats], Floats]
    local: Callable[[Floats], Local]


def expanded(value: Floats, gradient: Floats, curvature: Callable[[Floats], Floats]) -> Local:
    """Local from the parts of an ``Expansion``."""

    def normal(slope: Floats, bend: Floats, above: Floats) -> Normal:
        columns = np.swapaxes(gradient, -1, -2)
        return Normal(
            -(gradient @ slope[..., None])[..., 0],
            (gradient * bend[..., None, :]) @ columns - curvature(slope),
            (gradient * above[..., None, :]) @ columns,
        )

    return Local(value, normal)
