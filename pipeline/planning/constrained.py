"""The best run within limits: caps on N and D, inference to be paid for, data that repeats.

One search serves every law of N and D and every limit. Along log D, N is what the budget pays for,
or the cap on size where that is less:

    N(D) = min(N_max, C / (6 D + 2 D_inf))          C = 6 N D + 2 N D_inf

(the second term is the forward pass of D_inf tokens served later; Sardana et al. 2024,
arXiv:2401.00448, eq. 3). A scan brackets the lowest minimum inside, golden section narrows it,
and Newton's method on five-point derivatives ends at it, unless it is a kink; the caps, and the
number of distinct tokens, are candidates too.

A law of N and D alone falls with both, so its best run spends the whole budget. Of few distinct
tokens too many parameters or passes may raise the loss: for laws with further inputs the best run
of each smaller budget is looked at as well, on a ladder of budgets whose lowest dip is narrowed.

All replicates and budgets move together: parameters are (R,), budgets (B,) or (R, B), results
(R, B).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pipeline.laws.base import Floats, SurfaceLaw, Values

SCAN = 96  # places along log D at which a minimum is looked for
GOLDEN = (math.sqrt(5) - 1) / 2
RESCAN = 24  # places in the bracket that the scan leaves: laws of repeated data have kinks
NARROWINGS = 24  # golden section steps: a bracket of 0.1 ends below 1e-6
STENCIL = 0.01  # natural log, spacing of the five-point derivatives
POLISHES = 3
EDGE = 1e-4  # natural log: a minimum this near an end of the plane is none
LOG_FLOPS = (math.log(1e3), math.log(1e45))  # between which a target loss is looked for
HALVINGS = 60
RUNGS = 96  # budgets on the ladder between them, a factor of 2.8 apart
LOG_MOST_TOKENS = math.log(1e30)  # with which a size is tried
DISTINCT = "unique_tokens"
GAINED = 1e-9  # of the loss: a smaller budget that is better by less is as good by rounding


@dataclass(frozen=True)
class Limits:
    """What a run must keep to: at most ``params`` and ``tokens``, and tokens to be served later.

    ``fixed`` holds further inputs of the law, such as unique_tokens.
    """

    params: float = math.inf
    tokens: float = math.inf
    inference_tokens: float = 0.0
    fixed: Mapping[str, float] = field(default_factory=dict)


class Best(NamedTuple):
    """The best runs (R, B): N, D, loss, and their training FLOP 6 N D; NaN where there is none."""

    params: Floats
    tokens: Floats
    loss: Floats
    flops: Floats


Curve = Callable[[Floats], Floats]


def log_loss(
    law: SurfaceLaw, values: Values, fixed: Mapping[str, Any]
) -> Callable[[Floats, Floats], Floats]:
    """The log loss at (log N, log D), each (R, m), of parameter sets (R,): row r of set r.

    Further inputs are taken from ``fixed``; KeyError names one that the law needs and it lacks.
    """
    theta = np.atleast_2d(law.theta({name: np.asarray(v, float) for name, v in values.items()}))
    held = law.own({"params": np.ones(()), "tokens": np.ones(()), **fixed})

    def value(log_n: Floats, log_d: Floats) -> Floats:
        given = {"params": log_n, "tokens": log_d}
        rows = [
            given[name] if name in given else np.full_like(log_n, np.log(held[name]))
            for name in law.inputs
        ]
        return law.log_target(theta, np.stack(rows))

    return value


def constrained(law: SurfaceLaw, values: Values, flops: Floats, limits: Limits) -> Best:
    """The lowest loss that total FLOP (B,) or (R, B) buy within limits, for parameters (R,).

    The budget pays for training and for the inference asked for; part of it is left where more
    compute would raise the loss. NaN where the loss falls on to the edge of the plane (an exponent
    that is not positive): no optimum.
    """
    log_c = np.log(np.atleast_1d(np.asarray(flops, float)))
    log_c = np.broadcast_to(log_c, (_count(law, values), log_c.shape[-1]))
    spent = _spending(law, values, log_c, limits)
    if _falling(law):
        return spent
    ladder = _ladder(law, values)
    rungs = ladder[:, : int(np.searchsorted(ladder[0], log_c.max())) + 1]
    below = _dip(_best_loss(law, values, limits), rungs, log_c)
    less = _spending(law, values, below, limits)
    better = less.loss < spent.loss * (1 - GAINED)
    return Best(*(np.where(better, one, other) for one, other in zip(less, spent)))


def _spending(law: SurfaceLaw, values: Values, log_c: Floats, limits: Limits) -> Best:
    """The best runs that spend budgets (R, B) in full, or as much of them as the caps allow."""
    loss = log_loss(law, values, limits.fixed)
    served = 2.0 * limits.inference_tokens
    cap_n = math.log(limits.params)

    def log_n(log_d: Floats) -> Floats:
        return np.minimum(log_c - np.log(6.0 * np.exp(log_d) + served), cap_n)

    def curve(log_d: Floats) -> Floats:
        with np.errstate(all="ignore"):  # the far ends of the scan may overflow
            found = loss(log_n(log_d), log_d)
        return np.where(np.isfinite(found), found, np.inf)

    most = np.maximum(np.exp(log_c) - served, 1.0) / 6.0  # N = 1
    widest = np.log(np.maximum(most, 1.0))
    high = np.minimum(widest, math.log(limits.tokens))
    left = np.exp(log_c - cap_n) - served  # of the largest model allowed, to train it with
    caps = [np.log(np.maximum(left, 6.0) / 6.0)] if math.isfinite(cap_n) else []
    caps += [high] if math.isfinite(limits.tokens) else []
    caps += _kinks(law, limits.fixed, high)
    at = _minimum(curve, np.zeros_like(high), high, caps)
    sizes, best = log_n(at), curve(at)
    filled = np.isclose(at, math.log(limits.tokens), atol=EDGE)
    edge = (at <= EDGE) | ((at >= widest - EDGE) & ~filled)
    with np.errstate(over="ignore"):  # a loss beyond all numbers is none
        n, d, lost = np.exp(sizes), np.exp(at), np.exp(best)
    unknown = edge | ~np.isfinite(lost) | (sizes < 0)
    return Best(*(np.where(unknown, np.nan, v) for v in (n, d, lost, 6.0 * n * d)))


def _falling(law: SurfaceLaw) -> bool:
    """Whether more compute cannot hurt: a law of nothing but N and D."""
    return set(law.inputs) <= {"params", "tokens"}


def _kinks(law: SurfaceLaw, fixed: Mapping[str, Any], like: Floats) -> list[Floats]:
    """Log tokens at which the first pass over distinct tokens ends."""
    distinct = fixed.get(DISTINCT, math.inf) if DISTINCT in law.inputs else math.inf
    return [np.full_like(like, math.log(distinct))] if math.isfinite(distinct) else []


def _best_loss(law: SurfaceLaw, values: Values, limits: Limits) -> Curve:
    """The lowest loss of budgets spent in full, by their logs (R, B); infinite without a run."""

    def curve(log_c: Floats) -> Floats:
        found = _spending(law, values, log_c, limits).loss
        return np.where(np.isnan(found), np.inf, found)

    return curve


def _ladder(law: SurfaceLaw, values: Values) -> Floats:
    """Logs of budgets (R, RUNGS); the ends alone where the loss falls from one to the other."""
    count = 2 if _falling(law) else RUNGS
    return np.tile(np.linspace(*LOG_FLOPS, count), (_count(law, values), 1))


def _dip(curve: Curve, ladder: Floats, most: Floats) -> Floats:
    """The lowest minimum of ``curve`` on a ladder (R, K) below ``most`` (R, B); its place, (R, B).

    The lowest rung stands where there is none.
    """
    heights = curve(ladder)
    dips = np.full(heights.shape, np.inf)
    dip = (heights[:, 1:-1] < heights[:, :-2]) & (heights[:, 1:-1] <= heights[:, 2:])
    dips[:, 1:-1] = np.where(dip, heights[:, 1:-1], np.inf)
    allowed = ladder[:, None, :-1] < most[:, :, None]  # (R, B, K - 1): the rung below it
    reach = np.where(allowed, dips[:, None, 1:], np.inf)
    rung = np.where(np.isfinite(reach).any(-1), 1 + reach.argmin(-1), 0)
    left = np.take_along_axis(ladder, np.maximum(rung - 1, 0), 1)
    right = np.take_along_axis(ladder, rung + (rung > 0), 1)
    return _golden(curve, left, np.maximum(np.minimum(right, most), left))


def _count(law: SurfaceLaw, values: Values) -> int:
    """The number of parameter sets."""
    return int(np.atleast_1d(np.asarray(values[law.parameters[0].name])).shape[0])


def _minimum(curve: Curve, low: Floats, high: Floats, caps: Sequence[Floats]) -> Floats:
    """Where ``curve`` is lowest between low and high, or at one of ``caps``; all (R, B)."""
    left, right = _bracket(curve, *_bracket(curve, low, high, SCAN), RESCAN)
    at = _golden(curve, left, right)
    reached = curve(at)
    for candidate in (_polished(curve, at, left, right), *(np.clip(c, low, high) for c in caps)):
        there = curve(candidate)
        better = there <= reached
        at, reached = np.where(better, candidate, at), np.where(better, there, reached)
    return at


def _bracket(curve: Curve, low: Floats, high: Floats, count: int) -> tuple[Floats, Floats]:
    """The neighbours of the lowest dip among ``count`` places, or of the lowest place without one.

    Laws are odd far from all runs: a loss that is lower still at one token is no minimum.
    """
    shares, width = np.linspace(0.0, 1.0, count), high - low
    heights = np.stack([curve(low + share * width) for share in shares])
    dips = np.full(heights.shape, np.inf)
    dip = (heights[1:-1] <= heights[:-2]) & (heights[1:-1] <= heights[2:])
    dips[1:-1] = np.where(dip, heights[1:-1], np.inf)
    lowest = np.where(np.isfinite(dips).any(0), dips.argmin(0), heights.argmin(0))
    left, right = np.maximum(lowest - 1, 0), np.minimum(lowest + 1, count - 1)
    return low + shares[left] * width, low + shares[right] * width


def _golden(curve: Curve, left: Floats, right: Floats) -> Floats:
    """Golden section on brackets, all at once."""
    inner, outer = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
    at_inner, at_outer = curve(inner), curve(outer)
    for _ in range(NARROWINGS):
        falls = at_inner > at_outer
        left, right = np.where(falls, inner, left), np.where(falls, right, outer)
        kept, height = np.where(falls, outer, inner), np.where(falls, at_outer, at_inner)
        new = np.where(falls, left + GOLDEN * (right - left), right - GOLDEN * (right - left))
        fresh = curve(new)
        inner, at_inner = np.where(falls, kept, new), np.where(falls, height, fresh)
        outer, at_outer = np.where(falls, new, kept), np.where(falls, fresh, height)
    return (left + right) / 2


def _polished(curve: Curve, at: Floats, left: Floats, right: Floats) -> Floats:
    """Newton's steps with derivatives from five points; function values alone stop at 1e-7."""
    h = STENCIL
    for _ in range(POLISHES):
        two, one, here, up, upper = (curve(at + k * h) for k in (-2, -1, 0, 1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):  # no step where the loss is infinite
            slope = (two - 8 * one + 8 * up - upper) / (12 * h)
            bend = (-two + 16 * one - 30 * here + 16 * up - upper) / (12 * h * h)
            step = np.where(bend > 0, -slope / bend, 0.0)
        inside = (at + step > left) & (at + step < right) & (np.abs(step) < h)
        at = np.where(inside & np.isfinite(step), at + step, at)
    return at


def cheapest(law: SurfaceLaw, values: Values, loss: float, limits: Limits) -> tuple[Floats, Best]:
    """The least total FLOP (R, 1) that reach a loss, and the run; infinite where none does."""
    curve, ladder = _best_loss(law, values, limits), _ladder(law, values)
    if not _falling(law):
        ladder = np.sort(np.c_[ladder, _dip(curve, ladder, ladder[:, -1:])], axis=1)
    log_c = _crossing(curve, ladder, np.full((len(ladder), 1), loss))
    none = ~np.isfinite(log_c)
    best = _spending(law, values, np.where(none, LOG_FLOPS[0], log_c), limits)
    return np.exp(log_c), Best(*(np.where(none, np.nan, v) for v in best))


def _crossing(curve: Curve, rungs: Floats, goal: Floats) -> Floats:
    """Where (R, 1) ``curve`` first comes down to ``goal`` (R, 1) on rungs (R, K); else infinite.

    The first rung at or below the goal and the one before it are the bracket that is halved.
    """
    reached = np.less_equal(curve(rungs), goal)
    first = reached.argmax(1)[:, None]
    upper = np.take_along_axis(rungs, first, 1)
    lower = np.take_along_axis(rungs, np.maximum(first - 1, 0), 1)
    for _ in range(HALVINGS):
        middle = (lower + upper) / 2
        enough = curve(middle) <= goal
        lower, upper = np.where(enough, lower, middle), np.where(enough, middle, upper)
    return np.where(np.take_along_axis(reached, first, 1), upper, np.inf)


def tokens_for(
    law: SurfaceLaw, values: Values, params: Floats, loss: Floats, fixed: Mapping[str, float]
) -> Floats:
    """The fewest tokens (R, m) with which models of ``params`` (R, m) reach ``loss`` (R, m).

    Infinite where a model reaches it with no number of tokens below 1e30: it is too small, or its
    loss rises again before (tokens that repeat).
    """
    value = log_loss(law, values, fixed)
    log_n, goal = np.broadcast_arrays(np.log(params), np.log(loss))
    found = np.empty(goal.shape)
    for column in range(goal.shape[1]):
        size = log_n[:, [column]]

        def curve(log_d: Floats, size: Floats = size) -> Floats:
            with np.errstate(all="ignore"):  # the far end may overflow
                told = value(np.broadcast_to(size, log_d.shape), log_d)
            return np.where(np.isnan(told), np.inf, told)

        rungs = np.tile(np.linspace(0.0, LOG_MOST_TOKENS, SCAN), (len(size), 1))
        ends = rungs[:, :1], rungs[:, -1:]
        low = _minimum(curve, *ends, _kinks(law, fixed, size))
        rungs = np.sort(np.c_[rungs, low], axis=1)
        found[:, [column]] = _crossing(curve, rungs, goal[:, [column]])
    return np.exp(found)
