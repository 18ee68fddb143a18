"""A ranking of backtested laws in sentences: which law to trust, why, and where ranks disagree.

One standard error is a rule of choice and no test: of several laws that err alike, the best on
these runs is often more than one ahead of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.laws.ranking import Graded, Ranking

APART = "more than one standard error of the difference"


class Size(NamedTuple):
    """A law's errors over all its predictions, bins weighed evenly, in percent of the target."""

    mape: float
    bias: float
    worst: float


def size(ranking: Ranking, graded: Graded) -> Size:
    """The errors of one law of a ranking."""
    percent, weight = graded.percent, ranking.pairs.weight
    return Size(
        float(np.abs(percent) @ weight), float(percent @ weight), float(np.abs(percent).max())
    )


def reasons(ranking: Ranking) -> dict[str, str]:
    """Why each law of a ranking is trusted or not, a sentence each, by rising score."""
    if not ranking.pairs.keys:
        fault = "No run was predicted by all laws tested, so they cannot be compared."
        return {one.name: fault for one in ranking.laws}
    return {one.name: _reason(ranking, one) for one in ranking.laws}


def _reason(ranking: Ranking, one: Graded) -> str:
    if not np.isfinite(one.score):
        return "It gives no number for some of the runs it should predict."
    names = [law.name for law in ranking.candidates]
    found = size(ranking, one)
    off = f"{found.mape:.2f} % off on average, {found.worst:.2f} % at worst, {lean(found)}"
    if one.name not in names:
        return f"{off}; it splits no budget, so it is no choice for a plan."
    if one.name not in ranking.equals:
        return f"{off}; worse than {names[0]} by {APART}."
    if len(ranking.laws) == 1:
        return f"{off}; the only law tested."
    rivals = [name for name in ranking.equals if name != one.name]
    if not rivals and len(names) == 1:
        return f"{off}; the only law tested that splits a budget."
    if not rivals:
        return f"{off}; better than every other by {APART}."
    if one.name != ranking.winner:
        return f"{off}; cannot be told from {ranking.winner}, which has no more parameters."
    return f"{off}; cannot be told from {_listed(rivals)}, and no other has fewer parameters."


def lean(found: Size) -> str:
    """How a law misses: too high, too low, or either way."""
    if abs(found.bias) <= 0.5 * found.mape:
        return "with no common sign"
    return f"too {'high' if found.bias > 0 else 'low'} by {abs(found.bias):.2f} %"


def disagreement(ranking: Ranking) -> str:
    """Whether the law that describes its own runs best also predicts larger ones best."""
    if len(ranking.candidates) < 2 or ranking.winner is None:
        return "Fewer than two laws were compared, so no ranks can disagree."
    best, closest = ranking.candidates[0], min(ranking.candidates, key=_described)
    if closest is best:
        return f"{best.name} describes its own runs best and predicts larger ones best."
    return (
        f"{closest.name} describes its own runs best ({100 * closest.quality.rmse:.2f} % against "
        f"{100 * best.quality.rmse:.2f} %), but {best.name} predicts larger ones best "
        f"({100 * best.score:.2f} % against {100 * closest.score:.2f} %)."
    )


def _described(one: Graded) -> float:
    return np.inf if np.isnan(one.quality.rmse) else one.quality.rmse


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
