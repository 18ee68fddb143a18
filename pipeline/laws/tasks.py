r"""From loss to the error on a task: Gadre's exponential and the sigmoid of Bhagia et al.

Both take the loss itself, not its logarithm x, so theta holds them at the centre of the runs, where
the loss is L_c and t = L/L_c - 1 = exp(x - x_c) - 1.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from pipeline.laws.base import (
    Expansion,
    Floats,
    Kind,
    Law,
    Parameter,
    Runs,
    Selection,
    Values,
    scale,
)
from pipeline.laws.curvature import contracted
from pipeline.laws.floored import FlooredLaw, floor
from pipeline.laws.selection import every_run

REASON = "All included runs: their losses and errors make the curve, whatever their N and D."


class TaskLaw(Law):
    """The error on a task as a function of the loss alone."""

    target = "task_error"
    inputs = ("loss",)

    def select(self, runs: Runs) -> Selection:
        """All runs."""
        return every_run(runs, REASON)

    def backtest_order(self, runs: Runs) -> Floats:
        """The lowest losses are the furthest out."""
        return 1 / runs.loss


class GadreError(TaskLaw):
    r"""Err = eps - k exp(-gamma L): the error falls from eps as the loss falls.

    theta = (log eps, r, log(gamma L_c)) with r the logarithm of k exp(-gamma L_c) / eps:
    log Err = log eps + log(1 - exp(r - gamma L_c t)), NaN where that is no positive number.
    """

    name = "gadre_error"
    title = "Exponential of the loss for a task's error"
    formula = r"\mathrm{Err}(L) = \epsilon - k\, e^{-\gamma L}"
    citation = "Gadre et al. 2024, arXiv:2403.08540"
    use = "Errors averaged over many tasks, against the loss on a broad text."
    failure = "Single tasks near chance level or near perfection; it turns negative at low loss."
    parameters = (
        Parameter("eps", r"\epsilon", "error at high loss", "1", Kind.SCALE),
        Parameter("k", "k", "error saved at loss 0", "1", Kind.SCALE),
        Parameter("gamma", r"\gamma", "rate at which the error falls", "token/nat", Kind.EXPONENT),
    )

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        saved, _ = self._saved(theta, x)
        return theta[..., 0, None] + np.log1p(-saved)

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        saved, fall = self._saved(theta, x)
        odds = saved / (1 - saved)
        gradient = np.stack([np.ones_like(odds), -odds, odds * fall], axis=-2)

        def curvature(weights: Floats) -> Floats:
            bend = odds * (1 + odds)
            entries = {
                (1, 1): -bend, (1, 2): bend * fall, (2, 2): odds * fall - bend * fall**2,
            }  # fmt: skip
            return contracted(weights, entries, 3)

        return Expansion(theta[..., 0, None] + np.log1p(-saved), gradient, curvature)

    def _saved(self, theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        """The share of eps that is saved, and gamma (L - L_c)."""
        fall = np.exp(theta[..., 2, None]) * np.expm1(x[0])
        log_saved = theta[..., 1, None] - fall
        return np.exp(np.where(log_saved < 0, log_saved, np.nan)), fall

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 2] -= centre[0]
        moved[..., 1] += np.exp(theta[..., 2]) - np.exp(moved[..., 2])
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        gamma = scale(theta[..., 2])
        return {
            "eps": scale(theta[..., 0]), "k": scale(theta[..., 0] + theta[..., 1] + gamma),
            "gamma": gamma,
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        eps, k, gamma = (np.asarray(values[p.name], dtype=float) for p in self.parameters)
        parts = np.log(eps), np.log(k) - np.log(eps) - gamma, np.log(gamma)
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return np.array([y.max(), -3.0, -1.5]), np.array([y.max() + 1.0, -0.3, 1.5])


class TaskSigmoid(TaskLaw, FlooredLaw):
    r"""Accuracy = a / (1 + exp(-k (L - L0))) + b, as the error 1 - b - a s(z), z = k (L - L0).

    Here a is negative: the accuracy is b at zero loss and a + b, chance level, at high loss. theta
    = (log(1 - b), log(-a), z_c, log(k L_c)) with z_c the value of z at the centre.
    """

    name = "task_sigmoid"
    title = "Sigmoid of the loss for a task's error"
    formula = r"1 - \mathrm{Err}(L) = \frac{a}{1 + e^{-k (L - L_0)}} + b"
    citation = "Bhagia et al. 2024, arXiv:2412.04403"
    use = "One task whose runs reach from chance level to well above it."
    failure = "Runs on one side of the bend leave the other level open, and with it every forecast."
    parameters = (
        Parameter("a", "a", "accuracy lost from zero to high loss", "1", Kind.SLOPE),
        Parameter("b", "b", "accuracy at zero loss", "1", Kind.OFFSET),
        Parameter("k", "k", "steepness of the bend", "token/nat", Kind.SLOPE),
        Parameter("L0", "L_0", "loss at the bend", "nats/token", Kind.OFFSET),
    )

    def log_excess(self, theta: Floats, x: Floats) -> Floats:
        height, place, steepness = np.moveaxis(theta[..., None], -2, 0)
        return height - np.logaddexp(0, -place - np.exp(steepness) * np.expm1(x[0]))

    def excess(self, theta: Floats, x: Floats) -> Expansion:
        height, place, steepness = np.moveaxis(theta[..., None], -2, 0)
        rise = np.exp(steepness) * np.expm1(x[0])
        z = place + rise
        down = expit(-z)
        gradient = np.stack([np.ones_like(z), down, down * rise], axis=-2)

        def curvature(weights: Floats) -> Floats:
            bend = down * expit(z)
            entries = {
                (1, 1): -bend, (1, 2): -bend * rise, (2, 2): (down - bend * rise) * rise,
            }  # fmt: skip
            return contracted(weights, entries, 3)

        return Expansion(height - np.logaddexp(0, -z), gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 3] -= centre[0]
        moved[..., 2] += np.exp(moved[..., 3]) - np.exp(theta[..., 3])
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


GADRE, SIGMOID = GadreError(), TaskSigmoid()
