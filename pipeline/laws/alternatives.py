"""Other minima of a fit that its runs do not reject, and which of its values they contradict.

The runs reject what raises the objective by more than the end of a profile interval does
(``profile.tolerated``). A start that ended elsewhere without such a rise is another answer to the
same question: neither the resamples around the best minimum nor a profile that sets out from it
need come near it. Where N and D move together, for one, the two terms of a sum change places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.laws import ALLOCATION
from pipeline.laws.base import Floats, SurfaceLaw
from pipeline.laws.places import moves
from pipeline.laws.profile import Problem
from pipeline.laws.surface import ROUNDING, Minima

SAME_BEST = 1e-8  # relative: objectives this close are equal
APART = 0.01  # of the residuals: minima between which the law moves by less are one
EXACT = 1e-7  # natural log: and by less than this whatever the residuals are
CLEARLY = 0.1  # of a value: how far off another one is, where there is no interval

Interval = tuple[float, float] | None


class Others(NamedTuple):
    """Minima (A, P) beside the best by rising objective, and how many starts ended in the best."""

    theta: Floats
    at_best: int


def others(problem: Problem, found: Minima, rise: float) -> Others:
    """The minima of a search but its best one whose objective is within ``rise`` of the lowest."""
    residual = problem.y - problem.law.log_target(problem.theta, problem.x)
    scatter = float(np.sqrt((residual**2).mean()))
    apart = moves(problem.law, problem.x, problem.theta, found.theta) > APART * scatter + EXACT
    lowest = found.objective[found.best()]
    rounding = SAME_BEST * lowest + ROUNDING * problem.weights.sum()
    rejected = found.objective > lowest + rise + rounding
    tenable = np.flatnonzero(apart & found.converged & ~rejected)
    order = tenable[np.argsort(found.objective[tenable], kind="stable")]
    return Others(found.theta[order], int((~apart & (found.objective <= lowest + rounding)).sum()))


def exponent(problem: Problem, values: Mapping[str, Floats]) -> Floats:
    """The exponent a of N* ~ C^a at the largest fitted budget, for values of shape (...)."""
    law = problem.law
    assert isinstance(law, SurfaceLaw)
    logs = dict(zip(law.inputs, problem.x + problem.centre[:, None]))
    flops = np.asarray(6 * np.exp((logs["params"] + logs["tokens"]).max()))
    with np.errstate(divide="ignore", invalid="ignore"):
        return law.allocation(values, flops)


def against(
    problem: Problem, theta: Floats, values: Mapping[str, float],
    reported: Mapping[str, Interval], allocation: tuple[float, Interval] | None,
) -> dict[str, float]:  # fmt: skip
    """What other minima theta (A, P) say against the values of the best, and against its split.

    ``reported`` holds the intervals of the values that are asked about.
    """
    elsewhere = problem.values(theta)
    here, intervals = {**values}, {**reported}
    if allocation is not None:
        elsewhere[ALLOCATION] = exponent(problem, elsewhere)
        here[ALLOCATION], intervals[ALLOCATION] = allocation
    return contradicted(
        here, intervals, {name: at for name, at in elsewhere.items() if name in intervals}
    )


def contradicted(
    values: Mapping[str, float], intervals: Mapping[str, Interval], elsewhere: Mapping[str, Floats]
) -> dict[str, float]:
    """Name -> the first of its values ``elsewhere`` (A,) that lies outside what is reported."""
    found = {}
    for name, others_ in elsewhere.items():
        value, interval = values[name], intervals[name]
        if interval is None:
            outside = np.abs(others_ - value) > CLEARLY * abs(value)
        else:
            outside = (others_ < interval[0]) | (others_ > interval[1])
        if outside.any():
            found[name] = float(others_[outside.argmax()])
    return found
