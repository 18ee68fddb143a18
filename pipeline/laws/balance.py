"""The compute optimum in closed form, for losses that grow with A N^-alpha + B D^-beta alone.

Along C = 6 N D the sum is lowest where alpha A N^-alpha = beta B D^-beta, which is linear in
log N (Hoffmann et al. 2022, arXiv:2203.15556, eq. 4):
N* = G (C/6)^a, D* = (C/6)^(1-a) / G, a = beta / (alpha + beta),
G = (alpha A / beta B)^(1 / (alpha + beta)).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Fixed, Floats, Optimum, SurfaceLaw, Values


class Balance(NamedTuple):
    """The two terms that a budget is balanced between: log A, alpha, log B, beta, each (...)."""

    log_a: Floats
    alpha: Floats
    log_b: Floats
    beta: Floats


class BalancedLaw(SurfaceLaw):
    """A law of N and D that is increasing in one sum of two powers; a final class says which."""

    @abstractmethod
    def balance(self, values: Values) -> Balance:
        """The two powers at values (...)."""

    def optimum(self, values: Values, flops: Floats, fixed: Fixed = None) -> Optimum:  # noqa: ARG002
        """The closed form; NaN where an exponent is not positive."""
        names = [parameter.name for parameter in self.parameters]
        flops, *columns = np.broadcast_arrays(
            np.asarray(flops, dtype=float), *(np.asarray(values[name], float) for name in names)
        )
        log_a, alpha, log_b, beta = self.balance(dict(zip(names, columns)))
        with np.errstate(divide="ignore", invalid="ignore"):
            log_g = np.log(alpha) + log_a - np.log(beta) - log_b
            log_n = (log_g + beta * np.log(flops / 6)) / (alpha + beta)
        log_d = np.log(flops / 6) - log_n
        theta = self.theta(dict(zip(names, columns)))
        log_loss = self.log_target(theta, np.stack([log_n, log_d])[..., None])[..., 0]
        return Optimum(np.exp(log_n), np.exp(log_d), np.exp(log_loss))

    def allocation(self, values: Values, flops: Floats, fixed: Fixed = None) -> Floats:  # noqa: ARG002
        """beta / (alpha + beta), at every budget."""
        _, alpha, _, beta = self.balance(values)
        return beta / (alpha + beta)
