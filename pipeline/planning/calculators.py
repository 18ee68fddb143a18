"""What else a law of N and D answers: bottlenecks, wrong sizes, larger budgets, overfitting.

Parameter values are arrays (R,), one set for each replicate; N, D and results are (R,) too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, SurfaceLaw, Values
from pipeline.planning.constrained import DISTINCT, Limits, constrained, log_loss, tokens_for

DOUBLE = 2.0
SMALL = 1.001  # a step so small that gains are slopes
BALANCED = 0.1  # slopes in log N and log D that differ by less than this share are in balance
UNLIMITED = 1e30  # tokens that stand for all there could be


class Bottleneck(StrEnum):
    """What holds the loss of a run up."""

    MODEL = "model-limited"
    DATA = "data-limited"
    DISTINCT = "limited by distinct tokens"
    COMPUTE = "compute-limited"
    MODEL_CAP = "model-limited, by the cap"
    DATA_CAP = "data-limited, by the cap"

    @property
    def sentence(self) -> str:
        """The bottleneck in words."""
        return _SENTENCES[self]


_SENTENCES = {
    Bottleneck.MODEL: "More parameters would lower the loss faster than as many more tokens.",
    Bottleneck.DATA: "More tokens would lower the loss faster than as many more parameters.",
    Bottleneck.DISTINCT: (
        "More parameters, or more passes over the same tokens, would raise the loss: only fresh "
        "tokens lower it."
    ),
    Bottleneck.COMPUTE: "Size and data are in balance for this compute; only more of it helps.",
    Bottleneck.MODEL_CAP: (
        "This is the best use of a model as large as the cap allows: more compute is better spent "
        "on a larger one."
    ),
    Bottleneck.DATA_CAP: (
        "This is the best use of as many tokens as the cap allows: more compute is better spent "
        "where there are more."
    ),
}


class Gains(NamedTuple):
    """What more buys: the share by which the loss falls, each (R,)."""

    params: Floats
    tokens: Floats


class Split(NamedTuple):
    """A budget k times as large: factors of N, D and loss, each (R,)."""

    params: Floats
    tokens: Floats
    loss: Floats


def _column(value: Floats | float) -> Floats:
    return np.atleast_1d(np.asarray(value, dtype=float))[:, None]


def loss_at(
    law: SurfaceLaw, values: Values, params: Floats | float, tokens: Floats | float,
    fixed: Mapping[str, float],
) -> Floats:  # fmt: skip
    """The loss (R,) of runs of N and D under each parameter set."""
    value = log_loss(law, values, fixed)
    log_n, log_d = np.broadcast_arrays(np.log(_column(params)), np.log(_column(tokens)))
    return np.exp(value(log_n, log_d))[:, 0]


def gains(
    law: SurfaceLaw, values: Values, params: Floats | float, tokens: Floats | float,
    fixed: Mapping[str, float], factor: float = DOUBLE,
) -> Gains:  # fmt: skip
    """What ``factor`` times the parameters, and as many times the tokens, take off the loss."""
    n, d = np.asarray(params, float), np.asarray(tokens, float)
    here = loss_at(law, values, n, d, fixed)
    return Gains(
        1 - loss_at(law, values, factor * n, d, fixed) / here,
        1 - loss_at(law, values, n, factor * d, fixed) / here,
    )


def bottleneck(
    law: SurfaceLaw, values: Values, params: float, tokens: float, fixed: Mapping[str, float],
    spare: bool = False, served: float = 0.0,
) -> Bottleneck:  # fmt: skip
    """What holds a run up, under the first parameter set; ``spare`` says compute is left over.

    Where it is not, what counts is the loss that a share of the whole cost buys, 6 N D + 2 N D_inf
    with ``served`` tokens D_inf: N costs in proportion, D only in the share that training has. At
    the optimum of a budget both buy the same, and neither size nor data is short.
    """
    found = gains(law, values, params, tokens, fixed, SMALL)
    size, data = float(found.params[0]), float(found.tokens[0])
    if max(size, data) <= 0:
        return Bottleneck.DISTINCT
    if not spare:
        data *= 1 + served / (3.0 * tokens)
        if abs(size - data) <= BALANCED * max(size, data):
            return Bottleneck.COMPUTE
    return Bottleneck.MODEL if size > data else Bottleneck.DATA


def price_of_size(
    law: SurfaceLaw, values: Values, params: Floats | float, tokens: Floats | float, factor: float,
    fixed: Mapping[str, float],
) -> Floats:  # fmt: skip
    """The compute that a model of ``factor`` times the size needs for the same loss, as a ratio.

    At the optimum of a budget this is what a wrong size costs; infinite where the other size
    reaches the loss with no number of tokens. Kaplan et al. 2020, eq. B.16, is the same question
    asked of L(N, S).
    """
    goal = loss_at(law, values, params, tokens, fixed)[:, None]
    needed = tokens_for(law, values, _column(params) * factor, goal, fixed)
    return (factor * needed / _column(tokens))[:, 0]


def larger_budget(
    law: SurfaceLaw, values: Values, flops: float, factor: float, limits: Limits
) -> Split:
    """How N, D and loss change where the best run may cost ``factor`` times as much."""
    before, after = (
        constrained(law, values, np.array([f]), limits) for f in (flops, factor * flops)
    )
    return Split(*((getattr(after, name) / getattr(before, name))[:, 0] for name in Split._fields))


def tokens_against_overfitting(
    law: SurfaceLaw, values: Values, params: float, penalty: float, fixed: Mapping[str, float]
) -> Floats:
    """The tokens (R,) with which a size loses at most the share ``penalty`` to unlimited data.

    The question of Kaplan et al. 2020, eq. 4.4, asked of any law of N and D. Unlimited data never
    repeat; the tokens sought do where ``fixed`` says how few are distinct, and are infinite where
    no number of passes makes up for it.
    """
    fresh = {name: value for name, value in fixed.items() if name != DISTINCT}
    limit = loss_at(law, values, params, UNLIMITED, fresh)
    goal = (limit * (1 + penalty))[:, None]
    return tokens_for(law, values, np.full_like(goal, params), goal, fixed)[:, 0]
