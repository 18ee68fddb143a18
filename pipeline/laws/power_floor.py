r"""A power law above a floor in one input, L = E + (X_c / X)^alpha.

theta = (e, k, alpha) with e = log E and X_c = exp(k / alpha):
log L = log(exp e + exp(k - alpha log X)). It is the law of Henighan et al. 2020 (arXiv:2010.14701)
and M2 of Alabdulmohsin et al. 2022 (arXiv:2209.06640), whose M1 is the power law without a floor.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.axis import COMPUTE, PARAMS, TOKENS, Axis, CurveLaw
from pipeline.laws.base import Floats, Kind, Parameter, Values, floor
from pipeline.laws.power import power_parameters, reference
from pipeline.laws.terms import SumLaw, Term


class PowerFloor(CurveLaw, AboveFloor, SumLaw):
    """A floor and one power-law term; a final class names its axis."""

    citation = (
        "Henighan et al. 2020, arXiv:2010.14701; M2 of Alabdulmohsin et al. 2022, arXiv:2209.06640"
    )
    failure = (
        "Far above the floor the exponent and E trade off: compare it with the law without a floor."
    )

    def terms(self, x: Floats) -> tuple[Term, ...]:
        one = np.ones_like(x[0])
        return Term((0,), one[None]), Term((1, 2), np.stack([one, -x[0]]))

    def values(self, theta: Floats) -> dict[str, Floats]:
        _, location, exponent = (p.name for p in self.parameters)
        return {
            "E": floor(theta[..., 0]), location: reference(theta[..., 1], theta[..., 2]),
            exponent: theta[..., 2],
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        lowest, location, exponent = (np.asarray(values[p.name], float) for p in self.parameters)
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            parts = np.log(lowest), exponent * np.log(location), exponent
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, 0.03]
        high = [y.min() - 0.02, y.mean(), 0.8]
        return np.array(low), np.array(high)


def _formula(letter: str) -> str:
    return rf"L({letter}) = E + \left(\frac{{{letter}_c}}{{{letter}}}\right)^{{\alpha_{letter}}}"


def _parameters(axis: Axis) -> tuple[Parameter, ...]:
    above = "the loss above the floor"
    return (
        Parameter("E", "E", f"floor, the loss of unlimited {axis.of}", "nats/token", Kind.FLOOR),
        *power_parameters(axis.letter, axis.unit, axis.of, at=above),
    )


class PowerFloorParams(PowerFloor):
    """L(N) = E + (N_c / N)^alpha_N."""

    name = "power_floor_params"
    title = "Power law in model size above a floor"
    formula = _formula("N")
    use = "Sizes on one large token count, the best of them within a factor two of the floor."
    axis = PARAMS
    inputs = ("params",)
    parameters = _parameters(PARAMS)


class PowerFloorTokens(PowerFloor):
    """L(D) = E + (D_c / D)^alpha_D."""

    name = "power_floor_tokens"
    title = "Power law in tokens above a floor"
    formula = _formula("D")
    use = "One model on several token counts, the last of which no longer help much."
    axis = TOKENS
    inputs = ("tokens",)
    parameters = _parameters(TOKENS)


class PowerFloorCompute(PowerFloor):
    """L(C) = E + (C_c / C)^alpha_C on the efficient frontier."""

    name = "power_floor_compute"
    title = "Power law in compute above a floor"
    formula = _formula("C")
    use = "The best loss of each budget, when the frontier bends towards a floor."
    axis = COMPUTE
    inputs = ("flops",)
    parameters = _parameters(COMPUTE)


OVER_PARAMS, OVER_TOKENS, OVER_COMPUTE = (
    PowerFloorParams(), PowerFloorTokens(), PowerFloorCompute(),
)  # fmt: skip
