"""The algebra of Kaplan et al. 2020 (arXiv:2001.08361), on its constants or on anybody's fits.

Every function takes numbers or arrays that broadcast together, so that bootstrap replicates of
fitted constants give intervals. N counts parameters without embeddings, D tokens, S optimizer
steps, B tokens per step; C is FLOP (the paper's PF-day is ``PF_DAY`` FLOP); loss is nats/token.

The paper's own numbers disagree here and there: its exponents give 0.052 in eq. 1.8 and B.7 where
eq. 6.4 prints 0.054, and N grows as C^0.68 by this algebra where table 6 measures C^0.73.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Number = float | NDArray[np.float64]

PF_DAY = 8.64e19  # FLOP: 1e15 a second for a day
ENOUGH = 1e-14  # relative: a Newton step below this ends the search
STEPS = 200  # of Newton; it gains a constant factor far out and digits double near the end


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


class Growth(NamedTuple):
    """Exponents of compute, or the factors that a larger budget multiplies by."""

    params: Number
    batch: Number
    steps: Number

    @property
    def tokens(self) -> Number:
        """Of D = B S, where these are exponents."""
        return self.batch + self.steps

    def times(self, factor: Number) -> Growth:
        """What a budget ``factor`` times as large multiplies each by, where these are exponents."""
        return Growth(*(factor**exponent for exponent in self))


def compute_exponent(steps: StepsLaw, batch: BatchLaw) -> Number:
    """alpha_C^min of L(C_min), eq. 1.8 = 6.4 = B.7."""
    return 1 / (1 / steps.alpha_S + 1 / batch.alpha_B + 1 / steps.alpha_N)


def growth(steps: StepsLaw, batch: BatchLaw) -> Growth:
    """Exponents of N, B and S in compute, eq. 1.7; they add to one."""
    exponent = compute_exponent(steps, batch)
    return Growth(exponent / steps.alpha_N, exponent / batch.alpha_B, exponent / steps.alpha_S)


def relative_overfit(law: DataLaw, params: Number, tokens: Number) -> Number:
    """L(N, D) / L(N, infinite D) - 1, eq. 4.2 and 4.3; it depends on N^(alpha_N/alpha_D) / D."""
    ratio = (params / law.Nc) ** (law.alpha_N / law.alpha_D) * law.Dc / tokens
    return np.expm1(law.alpha_D * np.log1p(ratio))


def tokens_against_overfit(law: DataLaw, params: Number, penalty: Number) -> Number:
    """The tokens at which ``relative_overfit`` is ``penalty``, eq. 4.4.

    The paper's 5e3 N^0.74 is that of a relative penalty of 0.02, the spread between its seeds.
    """
    ratio = (params / law.Nc) ** (law.alpha_N / law.alpha_D)
    return ratio * law.Dc / np.expm1(np.log1p(penalty) / law.alpha_D)


def fewest_steps(law: BatchLaw, steps: Number, batch: Number, loss: Number) -> Number:
    """S_min that a batch far above the critical one would have needed to this loss, eq. 5.4."""
    return steps / (1 + law.at(loss) / batch)


def least_flops(law: BatchLaw, flops: Number, batch: Number, loss: Number) -> Number:
    """C_min that a batch far below the critical one would have needed to this loss, eq. 5.5."""
    return flops / (1 + batch / law.at(loss))


def tokens_at_steps(steps: Number, fewest: Number, fewest_tokens: Number) -> Number:
    """Tokens to a loss when trained in ``steps`` > ``fewest``, eq. 5.1.

    (S/S_min - 1)(E/E_min - 1) = 1, where E_min / S_min is the critical batch (eq. 5.2).
    """
    return fewest_tokens * (1 + fewest / (steps - fewest))


def earliest_stop(steps: StepsLaw, data: DataLaw, params: Number, tokens: Number) -> Number:
    """A lower bound of the step at which overfitting asks to stop, eq. 5.7.

    Infinite where the data are so many that the loss does not suffer.
    """
    excess = data.unlimited(params) * relative_overfit(data, params, tokens)
    with np.errstate(divide="ignore"):
        return steps.Sc / np.asarray(excess) ** (1 / steps.alpha_S)


class Crossing(NamedTuple):
    """Where the frontier in compute falls below what its own data can support."""

    flops: Number
    params: Number
    tokens: Number
    loss: Number


def crossing(compute: Power, tokens: Power, tokens_of: Trend, params_of: Trend) -> Crossing:
    """The contradiction of section 6.3: L(C_min) = L(D(C_min)), eq. 6.6 to 6.8.

    A far extrapolation: alpha_C from 0.048 to 0.054, the loss at a PF-day being what it is, moves
    it by a factor of ten, so give it an interval. Eq. 6.7 takes D = 4e10 (C/PF-day)^0.26, table 6
    D = 2e10 (C/PF-day)^0.27; only the latter gives the orders of magnitude that eq. 6.8 prints.
    """
    level = tokens.exponent * np.log(tokens.scale / tokens_of.factor)
    slope = compute.exponent - tokens.exponent * tokens_of.exponent
    log_c = (compute.exponent * np.log(compute.scale / PF_DAY) - level) / slope
    flops = np.exp(log_c) * PF_DAY
    return Crossing(flops, params_of.at(flops), tokens_of.at(flops), compute.at(flops))


class Frontier(NamedTuple):
    """The best run of a budget C_min = 6 N B_crit S_min."""

    params: Number
    steps: Number
    batch: Number
    loss: Number


def frontier_scale(steps: StepsLaw, batch: BatchLaw) -> Number:
    """C_c of the best loss L(C) = (C_c / C)^alpha_C, in FLOP, eq. B.8."""
    ratio = steps.alpha_N / steps.alpha_S
    return (
        6 * steps.Nc * batch.B * steps.Sc
        * (1 + ratio) ** (1 / steps.alpha_S + 1 / steps.alpha_N)
        * ratio ** (-1 / steps.alpha_S)
    )  # fmt: skip


def frontier(steps: StepsLaw, batch: BatchLaw, flops: Number) -> Frontier:
    """N, S_min, B and the loss of the best run of a budget, eq. B.6 to B.10.

    Its loss is (1 + alpha_N/alpha_S) L(N, infinite S), about a tenth above convergence (eq. B.5).
    """
    ratio = steps.alpha_N / steps.alpha_S
    loss = (frontier_scale(steps, batch) / flops) ** compute_exponent(steps, batch)
    params = steps.Nc * ((1 + ratio) / loss) ** (1 / steps.alpha_N)
    fewest = steps.Sc * ((1 + ratio) / (ratio * loss)) ** (1 / steps.alpha_S)
    return Frontier(params, fewest, batch.at(loss), loss)


def loss_of_budget(steps: StepsLaw, batch: BatchLaw, params: Number, flops: Number) -> Number:
    """L(N, C) of a size and a budget at the critical batch, eq. B.3, which L stands in itself.

    L = (Nc/N)^alpha_N + K L^-m, m = alpha_S/alpha_B, is concave in L, so that Newton steps from
    below rise to the root.
    """
    floor = np.asarray(steps.unlimited(params))
    slack = (6 * batch.B * steps.Sc * np.asarray(params) / flops) ** steps.alpha_S
    power = steps.alpha_S / batch.alpha_B
    loss = np.broadcast_to(floor, np.broadcast_shapes(floor.shape, np.shape(slack))).astype(float)
    for _ in range(STEPS):
        pull = slack * loss**-power
        step = (floor + pull - loss) / (1 + power * pull / loss)
        loss = loss + step
        if (np.abs(step) <= ENOUGH * loss).all():
            break
    return loss


def flops_to_loss(steps: StepsLaw, batch: BatchLaw, params: Number, loss: Number) -> Number:
    """C_min that a size needs to reach a loss, eq. B.15; infinite where it cannot."""
    reach = np.maximum(loss - np.asarray(steps.unlimited(params)), 0.0)
    with np.errstate(divide="ignore"):
        return 6 * batch.at(loss) * steps.Sc * params * reach ** (-1 / steps.alpha_S)


class Ratios(NamedTuple):
    """N, S and C of a run over those of another one that reaches the same loss."""

    params: Number
    steps: Number
    flops: Number


def excess_of_size(law: StepsLaw, factor: Number) -> Ratios:
    """What a size ``factor`` times the best one costs to the same loss, eq. B.16 and B.17.

    Infinite where the smaller model never gets there.
    """
    left = 1 + (law.alpha_S / law.alpha_N) * (1 - np.asarray(factor, float) ** -law.alpha_N)
    with np.errstate(divide="ignore"):
        steps = np.maximum(left, 0.0) ** (-1 / law.alpha_S)
    return Ratios(factor, steps, factor * steps)


def convergence(law: StepsLaw, short: Number, long: Number) -> Ratios:
    """Training to L = (1 + short) L(N, infinite S) rather than to (1 + long), eq. B.11 to B.14."""
    params = ((1 + short) / (1 + long)) ** (1 / law.alpha_N)
    steps = ((1 + 1 / short) / (1 + 1 / long)) ** (1 / law.alpha_S)
    return Ratios(params, steps, params * steps)
