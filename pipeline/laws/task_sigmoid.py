r"""Accuracy = a / (1 + exp(-k (L - L0))) + b from the loss (Bhagia et al. 2024, arXiv:2412.04403).

As an error that is 1 - b - a s(z), with z = k (L - L0) and s the logistic function. Here a is
negative: the accuracy is b at low loss and a + b, chance level, at high loss. With L_c the loss at
the centre and z_c = k (L_c - L0), theta = (log(1 - b), log(-a), z_c, log(k L_c)).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.base import Floats, Kind, Parameter, Values, floor, scale
from pipeline.laws.parts import Part, PartLaw
from pipeline.laws.tasks import TaskLaw


class TaskSigmoid(TaskLaw, AboveFloor, PartLaw):
    """An error between a floor and chance level."""

    name = "task_sigmoid"
    title = "Sigmoid of the loss for a task's error"
    formula = r"1 - \mathrm{Err}(L) = \frac{a}{1 + e^{-k (L - L_0)}} + b"
    citation = "Bhagia et al. 2024, arXiv:2412.04403"
    use = "One task whose runs reach from chance level to well above it."
    failure = "Runs on one side of the bend leave the other level open, and with it every forecast."
    parameters = (
        Parameter("a", "a", "accuracy lost from low to high loss", "1", Kind.SLOPE),
        Parameter("b", "b", "accuracy at low loss", "1", Kind.OFFSET),
        Parameter("k", "k", "steepness of the bend", "token/nat", Kind.RATE),
        Parameter("L0", "L_0", "loss at the bend", "nats/token", Kind.OFFSET),
    )

    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        lowest, height, place, steepness = np.moveaxis(theta[..., None], -2, 0)
        return lowest, height - np.logaddexp(0, -place - scale(steepness) * np.expm1(x[0]))

    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        lowest, height, place, steepness = np.moveaxis(theta[..., None], -2, 0)
        rise = scale(steepness) * np.expm1(x[0])
        z = place + rise
        down = expit(-z)
        bend = down * expit(z)
        bends = {(1, 1): -bend, (1, 2): -bend * rise, (2, 2): (down - bend * rise) * rise}
        excess = Part((1, 2, 3), height - np.logaddexp(0, -z), (1.0, down, down * rise), bends)
        return Part((0,), lowest, (1.0,), {}), excess

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 3] -= centre[0]
        moved[..., 2] += scale(moved[..., 3]) - scale(theta[..., 3])
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        k = scale(theta[..., 3])
        return {
            "a": -scale(theta[..., 1]), "b": 1 - floor(theta[..., 0]),
            "k": k, "L0": 1 - theta[..., 2] / k,
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        a, b, k, middle = (np.asarray(values[p.name], dtype=float) for p in self.parameters)
        with np.errstate(divide="ignore"):  # b = 1 is a law without a floor of the error
            parts = np.log1p(-b), np.log(-a), k * (1 - middle), np.log(k)
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.max() - 1.5, -4.0, 0.0]
        high = [y.min() - 0.02, y.max() + 0.5, 4.0, 3.5]
        return np.array(low), np.array(high)


LAW = TaskSigmoid()
