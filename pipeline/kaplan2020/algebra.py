"""What follows from the laws: best sizes, batches and steps, least compute, overfitting, stops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.accounting import PF_DAY
from pipeline.kaplan2020.laws import (
    BatchLaw,
    DataLaw,
    Number,
    Power,
    StepsLaw,
    Trend,
    relative_overfit,
)

ENOUGH = 1e-14  # relative: a Newton step below this ends the search
STEPS = 200  # of Newton; it gains a constant factor far out and digits double near the end


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


def params_of(steps: StepsLaw, batch: BatchLaw) -> Trend:
    """N of the best run of C_min, eq. B.9, as a power law of C_min."""
    return Trend(frontier(steps, batch, PF_DAY).params, growth(steps, batch).params)


def steps_of(steps: StepsLaw, batch: BatchLaw) -> Trend:
    """S_min of the best run of C_min, eq. B.10, as a power law of C_min."""
    return Trend(frontier(steps, batch, PF_DAY).steps, growth(steps, batch).steps)


def tokens_of(params: Trend) -> Trend:
    """D = 2 C_min / 6 N(C_min), eq. 6.7: what the best run at the critical batch has seen."""
    return Trend(2 * PF_DAY / (6 * params.factor), 1 - params.exponent)


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
