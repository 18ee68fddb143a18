r"""L = a - b ln X: the logarithm as the rival of the power law (Kaplan et al. 2020, D.7, fig. 23).

theta = (a, b). Over a few decades a power law of small exponent is nearly this line; further out
the line is steeper, and in the end negative, where the law says nothing.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.affine import AffineLaw
from pipeline.laws.axis import COMPUTE, PARAMS, TOKENS, Axis, CurveLaw
from pipeline.laws.base import Floats, Kind, Parameter
from pipeline.laws.in_order import InOrder


class FallingLine(InOrder, AffineLaw):
    """A line a - b ln X; a final class names what falls, and along what.

    Its parameters are a and b, in this order.
    """

    def column(self, x: Floats) -> Floats:
        return -x[0]

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        return np.stack([theta[..., 0] + theta[..., 1] * centre[0], theta[..., 1]], axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        middle = np.exp(y.mean())
        return np.array([np.exp(y.min()), 0.0]), np.array([np.exp(y.max()), 0.1 * middle])


class LogLaw(CurveLaw, FallingLine):
    """Loss that falls by the same amount with every factor; a final class names its axis."""

    citation = "Kaplan et al. 2020, arXiv:2001.08361, appendix D.7"
    failure = "Falls without end, through zero: only its backtest against a power law means much."


def _parameters(axis: Axis) -> tuple[Parameter, Parameter]:
    return (
        Parameter("a", "a", f"loss at {axis.of} 1", "nats/token", Kind.OFFSET),
        Parameter("b", "b", f"loss saved by each e-fold of {axis.of}", "nats/token", Kind.SLOPE),
    )


class LogParams(LogLaw):
    """L(N) = a - b ln N."""

    name = "log_params"
    title = "Logarithm of model size"
    formula = r"L(N) = a - b \ln N"
    use = "Beside `power_params`, to see whether the runs tell a power law from a logarithm."
    axis = PARAMS
    inputs = ("params",)
    parameters = _parameters(PARAMS)


class LogTokens(LogLaw):
    """L(D) = a - b ln D."""

    name = "log_tokens"
    title = "Logarithm of tokens"
    formula = r"L(D) = a - b \ln D"
    use = "Beside `power_tokens`, to see whether the runs tell a power law from a logarithm."
    axis = TOKENS
    inputs = ("tokens",)
    parameters = _parameters(TOKENS)


class LogCompute(LogLaw):
    """L(C) = a - b ln C on the efficient frontier."""

    name = "log_compute"
    title = "Logarithm of compute"
    formula = r"L(C) = a - b \ln C"
    use = "Beside `power_compute`, to see whether the runs tell a power law from a logarithm."
    axis = COMPUTE
    inputs = ("flops",)
    parameters = _parameters(COMPUTE)


OVER_PARAMS, OVER_TOKENS, OVER_COMPUTE = LogParams(), LogTokens(), LogCompute()
