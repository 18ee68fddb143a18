r"""A power law with one smooth break above a floor (Caballero et al. 2022, arXiv:2210.14891).

y = a + b x^-c0 (1 + (x/d)^(1/f))^(-c1 f): exponent c0 well below d, c0 + c1 well above it, and f
the width of the change in natural logarithms. theta = (log a, log b, c0, c1, log d, log f). The
excess over a has the logarithm  g = log b - c0 u - c1 h  with  h = f log(1 + exp z),
z = (u - log d)/f.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.axis import COMPUTE, PARAMS, TOKENS, Axis, CurveLaw
from pipeline.laws.base import Floats, Kind, Parameter, scale
from pipeline.laws.in_order import InOrder
from pipeline.laws.parts import Part, PartLaw

FAR = 1e3  # |z| at which exp(-|z|) is zero in float64


class Broken(CurveLaw, AboveFloor, InOrder, PartLaw):
    """Two power laws joined smoothly, and a floor; a final class names its axis."""

    citation = "Caballero et al. 2022, arXiv:2210.14891, with one break"
    failure = (
        "Six parameters bend to anything inside the runs: without several runs on each side of a "
        "visible break it predicts worse than a power law."
    )

    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        lowest, height, before, change, at, width = np.moveaxis(theta[..., None], -2, 0)
        bend, _, _ = _bend(x[0] - at, scale(width))
        return lowest, height - before * x[0] - change * bend

    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        lowest, height, before, change, at, width = np.moveaxis(theta[..., None], -2, 0)
        spread = scale(width)
        bend, turn, z = _bend(x[0] - at, spread)
        past = expit(z)
        steep = change * past * expit(-z)
        slopes = 1.0, -x[0], -bend, change * past, -change * turn
        bends = {
            (2, 3): past, (2, 4): -turn, (3, 3): -steep / spread, (3, 4): -steep * z,
            (4, 4): -change * turn - spread * z**2 * steep,
        }  # fmt: skip
        excess = Part((1, 2, 3, 4, 5), height - before * x[0] - change * bend, slopes, bends)
        return Part((0,), lowest, (1.0,), {}), excess

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 1] += theta[..., 2] * centre[0]
        moved[..., 4] += centre[0]
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, 0.0, -0.3, -5.0, -1.5]
        high = [y.min() - 0.02, y.mean() + 0.5, 0.6, 0.6, 5.0, 1.0]
        return np.array(low), np.array(high)


def _bend(past: Floats, spread: Floats) -> tuple[Floats, Floats, Floats]:
    """h = f log(1 + exp z) for u - log d and f; its derivative by log f; and z, held finite."""
    with np.errstate(over="ignore"):  # a break of hardly any width is far away everywhere
        z = np.clip(past / spread, -FAR, FAR)
    away = np.abs(z)
    rest = np.log1p(np.exp(-away))
    return np.maximum(past, 0) + spread * rest, spread * (rest + away * expit(-away)), z


def _formula(letter: str) -> str:
    return (
        rf"L({letter}) = a + b {letter}^{{-c_0}}"
        rf" \left(1 + \left(\frac{{{letter}}}{{d}}\right)^{{1/f}}\right)^{{-c_1 f}}"
    )


def _parameters(axis: Axis) -> tuple[Parameter, ...]:
    return (
        Parameter("a", "a", f"floor, the loss of unlimited {axis.of}", "nats/token", Kind.FLOOR),
        Parameter("b", "b", f"loss above the floor at {axis.of} 1", "nats/token", Kind.SCALE),
        Parameter("c0", "c_0", "exponent before the break", "1", Kind.SLOPE),
        Parameter("c1", "c_1", "what the break adds to the exponent", "1", Kind.SLOPE),
        Parameter("d", "d", f"{axis.of} at the break", axis.unit, Kind.SCALE),
        Parameter("f", "f", "width of the break", "e-folds", Kind.SCALE),
    )


class BrokenParams(Broken):
    """The broken power law of model size."""

    name = "broken_params"
    title = "Broken power law in model size"
    formula = _formula("N")
    use = "A dozen sizes or more on one token count, whose slope changes somewhere between them."
    axis = PARAMS
    inputs = ("params",)
    parameters = _parameters(PARAMS)


class BrokenTokens(Broken):
    """The broken power law of tokens seen."""

    name = "broken_tokens"
    title = "Broken power law in tokens"
    formula = _formula("D")
    use = "A dozen token counts or more of one model, whose slope changes between them."
    axis = TOKENS
    inputs = ("tokens",)
    parameters = _parameters(TOKENS)


class BrokenCompute(Broken):
    """The broken power law of compute, on the efficient frontier."""

    name = "broken_compute"
    title = "Broken power law in compute"
    formula = _formula("C")
    use = "A frontier of a dozen budgets or more, whose slope changes between them."
    axis = COMPUTE
    inputs = ("flops",)
    parameters = _parameters(COMPUTE)


OVER_PARAMS, OVER_TOKENS, OVER_COMPUTE = BrokenParams(), BrokenTokens(), BrokenCompute()
