"""The laws of Kaplan et al. 2020 and the constants that it prints for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.accounting import PF_DAY

Number = float | NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """y = (scale / x)^exponent, such as L(D) and L(C)."""

    scale: Number
    exponent: Number

    def at(self, x: Number) -> Number:
        return (self.scale / x) ** self.exponent


@dataclass(frozen=True)
class Trend:
    """y = factor (C / PF-day)^exponent along the compute frontier (table 6)."""

    factor: Number
    exponent: Number

    def at(self, flops: Number) -> Number:
        return self.factor * (flops / PF_DAY) ** self.exponent


@dataclass(frozen=True)
class DataLaw:
    """Eq. 1.5, the law ``kaplan``: L(N, D) = [(Nc/N)^(alpha_N/alpha_D) + Dc/D]^alpha_D."""

    Nc: Number
    alpha_N: Number
    Dc: Number
    alpha_D: Number

    def unlimited(self, params: Number) -> Number:
        """L(N, infinite D)."""
        return (self.Nc / params) ** self.alpha_N

    def at(self, params: Number, tokens: Number) -> Number:
        """L(N, D)."""
        return self.unlimited(params) * (1 + relative_overfit(self, params, tokens))


def relative_overfit(law: DataLaw, params: Number, tokens: Number) -> Number:
    """L(N, D) / L(N, infinite D) - 1, eq. 4.2 and 4.3; it depends on N^(alpha_N/alpha_D) / D."""
    ratio = (params / law.Nc) ** (law.alpha_N / law.alpha_D) * law.Dc / tokens
    return np.expm1(law.alpha_D * np.log1p(ratio))


@dataclass(frozen=True)
class StepsLaw:
    """Eq. 1.6, the law ``kaplan_steps``: L(N, S_min) = (Nc/N)^alpha_N + (Sc/S_min)^alpha_S."""

    Nc: Number
    alpha_N: Number
    Sc: Number
    alpha_S: Number

    def unlimited(self, params: Number) -> Number:
        """L(N, infinite S)."""
        return (self.Nc / params) ** self.alpha_N

    def at(self, params: Number, fewest_steps: Number) -> Number:
        """L(N, S_min)."""
        return self.unlimited(params) + (self.Sc / fewest_steps) ** self.alpha_S


@dataclass(frozen=True)
class BatchLaw:
    """Eq. 1.4 = 5.3, the law ``critical_batch``: B_crit(L) = B / L^(1/alpha_B)."""

    B: Number
    alpha_B: Number

    def at(self, loss: Number) -> Number:
        """B_crit in tokens."""
        return self.B / loss ** (1 / self.alpha_B)


@dataclass(frozen=True)
class Constants:
    """The laws that the algebra joins; C in FLOP."""

    data: DataLaw  # table 2
    steps: StepsLaw  # table 3
    batch: BatchLaw  # table 5
    tokens: Power  # L(D), table 5
    compute: Power  # L(C_min), table 5
    params_of: Trend  # table 6, and the same for the next three
    batch_of: Trend
    steps_of: Trend
    tokens_of: Trend


PAPER = Constants(
    data=DataLaw(Nc=6.4e13, alpha_N=0.076, Dc=1.8e13, alpha_D=0.103),
    steps=StepsLaw(Nc=6.5e13, alpha_N=0.077, Sc=2.1e3, alpha_S=0.76),
    batch=BatchLaw(B=2.1e8, alpha_B=0.21),
    tokens=Power(5.4e13, 0.095),
    compute=Power(3.1e8 * PF_DAY, 0.050),
    params_of=Trend(1.3e9, 0.73),
    batch_of=Trend(2.0e6, 0.24),
    steps_of=Trend(5.4e3, 0.03),
    tokens_of=Trend(2e10, 0.27),
)
