"""Approach 2: the minimum of each isoFLOP curve, resampled, and the exponents through the minima.

Three kinds of resampling (Porian et al. 2024, arXiv:2406.19146, appendix B, use the first):

- noise: each loss is moved by the noise between seeds, where it is known. The optimum of a budget
  is then the median of its resamples.
- cases: the sizes of a budget are drawn with replacement. It also feels that no curve is exactly
  what the method takes it for.
- form: the resamples of the noise where it is known, else those of sizes, with the next term of
  the method's form. A parabola through a wide grid is off by more than noise and sizes tell.

Intervals hold those of all kinds. A resample whose lowest loss is that of its smallest or largest
size counts as one whose minimum lies at that end of the budget, or beyond.

A budget counts in the exponent by the inverse variance of its resampled log N*, which is taken no
smaller than a third of the step between sizes (their rule), and larger where resamples have no
minimum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.approaches.allocation import (
    Allocation,
    Optimum,
    Options,
    allocation,
    no_optimum,
    widest,
)
from pipeline.approaches.budgets import Budget, seed_noise
from pipeline.approaches.exponents import paired
from pipeline.approaches.isoflop import METHODS, Finder, Method, Minima
from pipeline.laws.base import Floats, Status

LEAST_SHARE = 0.5  # of the resamples must have a minimum
LEAST_WIDER = 5  # sizes; fewer leave nothing over to tell one form from the next
CURVE = 60  # points along the line that is drawn


class _Drawn(NamedTuple):
    """The minima of R resamples, and where intervals place those that have none."""

    minima: Minima
    placed: Minima


class _Located(NamedTuple):
    """A budget's optimum with its resamples of log N by kind, and their spread."""

    budget: Budget
    optimum: Optimum
    samples: dict[str, Floats]
    spread: float


def isoflop(
    name: str, found: list[Budget], options: Options, method: Method | None = None
) -> Allocation:
    """Approach 2 on the budgets of a table of runs, by the named one of ``METHODS`` or another."""
    noise = seed_noise(found) if options.noise is None else options.noise
    rng = np.random.default_rng(options.seed)
    located = [_located(budget, method or METHODS[name], noise, options, rng) for budget in found]
    used = [one for one in located if one.optimum.found]
    samples: dict[str, dict[str, Floats]] = {"params": {}, "tokens": {}}
    for kind in _shared(used):
        drawn = paired([one.samples[kind] for one in used])
        columns = [one.budget.log_tokens(drawn[:, i]) for i, one in enumerate(used)]
        samples["params"][kind], samples["tokens"][kind] = drawn, np.stack(columns, 1)
    weights = np.array([one.spread**-2.0 for one in used])
    return allocation(name, [one.optimum for one in located], weights, samples, options.level)


def _located(
    budget: Budget, method: Method, noise: float | None, options: Options, rng: np.random.Generator
) -> _Located:
    refusal = _refusal(budget, method)
    drawn = {} if refusal else _resampled(budget, method, noise, options.bootstraps, rng)
    refusal = refusal or _doubt(budget, drawn)
    if refusal:
        optimum = no_optimum(budget.flops, budget.flops_range, budget.sizes, budget.runs, *refusal)
        return _Located(budget, optimum, {}, np.nan)
    best = _minimum(budget, method)
    if "noise" in drawn and options.bootstraps:
        best = Minima(*(np.nanmedian(column, keepdims=True) for column in drawn["noise"].minima))
    samples = {kind: resampled.minima.log_params for kind, resampled in drawn.items()}
    return _Located(
        budget, _optimum(budget, method, best, drawn, options.level), samples,
        _spread(budget, samples[_foremost(drawn)], options.least_spread),
    )  # fmt: skip


def _shared(used: list[_Located]) -> list[str]:
    """The kinds of resampling that all budgets have."""
    kinds = used[0].samples if used else {}
    return [kind for kind in kinds if all(kind in one.samples for one in used)]


def _foremost(drawn: dict[str, _Drawn]) -> str:
    """The kind of resampling that weighs budgets: noise where it is known."""
    return "noise" if "noise" in drawn else "cases"


def _minimum(budget: Budget, method: Method) -> Minima:
    return method.minima(budget.log_params, budget.loss[None], np.ones((1, budget.sizes)))


def _refusal(budget: Budget, method: Method) -> tuple[Status, str] | None:
    """Why a budget's own runs have no minimum; None where they have one."""
    at = f"At {budget.flops:.3g} FLOP"
    if budget.sizes < method.sizes:
        return Status.TOO_FEW_POINTS, (
            f"{at} there are {budget.sizes} sizes; a minimum needs {method.sizes} or more."
        )
    if np.isfinite(_minimum(budget, method).loss[0]):
        return None
    best = int(budget.loss.argmin())
    for end, edge, side in ((0, "smallest", "smaller"), (budget.sizes - 1, "largest", "larger")):
        if best == end:
            return Status.BOUND_HIT, (
                f"{at} the lowest loss is that of the {edge} of {budget.sizes} sizes, "
                f"{np.exp(budget.log_params[end]):.3g} parameters; the minimum may lie beyond. "
                f"Add {side} sizes."
            )
    return Status.UNIDENTIFIABLE, (
        f"{at} the curve through {budget.sizes} sizes has no minimum among them."
    )


def _doubt(budget: Budget, drawn: dict[str, _Drawn]) -> tuple[Status, str] | None:
    """Why resamples say that there is no minimum; None where most of them have one."""
    defined = np.isfinite(drawn[_foremost(drawn)].minima.loss)
    if not len(defined) or defined.mean() >= LEAST_SHARE:
        return None
    return Status.UNIDENTIFIABLE, (
        f"At {budget.flops:.3g} FLOP only {100 * defined.mean():.0f} % of the resamples have a "
        "minimum among their sizes; add runs around it."
    )


def _resampled(
    budget: Budget, method: Method, noise: float | None, count: int, rng: np.random.Generator
) -> dict[str, _Drawn]:
    k = budget.sizes
    drawn: dict[str, tuple[Floats, Floats]] = {}  # losses and weights (R, k)
    if noise:
        shift = noise / np.sqrt(budget.repeats) * rng.standard_normal((count, k))
        drawn["noise"] = budget.loss + shift, np.ones((count, k))
    weights = rng.multinomial(k, np.full(k, 1 / k), size=count).astype(float)
    drawn["cases"] = np.broadcast_to(budget.loss, (count, k)), weights
    found = {kind: _drawn(budget, method.minima, *sample) for kind, sample in drawn.items()}
    if method.wider and k >= LEAST_WIDER:
        found["form"] = _drawn(budget, method.wider, *drawn["noise" if noise else "cases"])
    return found


def _drawn(budget: Budget, minima: Finder, loss: Floats, weights: Floats) -> _Drawn:
    """The minima of resamples (R, k).

    Those whose lowest loss is at an end of their sizes are placed at that end of the budget.
    """
    x, taken = budget.log_params, weights > 0
    found = minima(x, loss, weights)
    seen = np.where(taken, loss, np.inf)
    best, first, last = seen.argmin(1), taken.argmax(1), len(x) - 1 - taken[:, ::-1].argmax(1)
    end = np.where(best == first, x[0], np.where(best == last, x[-1], np.nan))
    inner = np.isfinite(found.log_params)
    lowest = np.where(np.isfinite(end), seen.min(1), np.nan)
    return _Drawn(found, Minima(
        np.where(inner, found.log_params, end), np.where(inner, found.loss, lowest)
    ))  # fmt: skip


def _spread(budget: Budget, sample: Floats, least: float) -> float:
    """The doubt of a minimum in log N; a step between sizes where there are no resamples."""
    step = np.ptp(budget.log_params) / (budget.sizes - 1)
    defined = sample[np.isfinite(sample)]
    if not len(defined):
        return float(step)
    return float(max(defined.std(), least * step) * len(sample) / len(defined))


def _optimum(
    budget: Budget, method: Method, best: Minima, drawn: dict[str, _Drawn], level: float
) -> Optimum:
    log_params = best.log_params[0]
    sizes = {kind: resampled.placed.log_params for kind, resampled in drawn.items()}
    samples = {
        "params": {kind: np.exp(log_n) for kind, log_n in sizes.items()},
        "tokens": {kind: np.exp(budget.log_tokens(log_n)) for kind, log_n in sizes.items()},
        "loss": {kind: resampled.placed.loss for kind, resampled in drawn.items()},
    }
    x, y = method.curve(budget.log_params, budget.loss, CURVE)
    return Optimum(
        budget.flops, budget.flops_range, float(np.exp(log_params)),
        float(np.exp(budget.log_tokens(log_params))), float(best.loss[0]),
        {quantity: widest(by_kind, level) for quantity, by_kind in samples.items()},
        budget.sizes, budget.runs, Status.CONVERGED,
        f"The lowest of {budget.sizes} sizes has smaller and larger ones beside it.",
        (np.exp(x), y),
    )  # fmt: skip
