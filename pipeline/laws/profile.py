"""Profile-likelihood intervals: how far a parameter moves before the runs object.

A parameter is held at a value, all others are fitted again, and the objective rises by dO. For
least squares 2 dO / s^2 of a linear law is the square of Student's t, which makes the interval
exact. For a robust objective with slope psi it is so in the limit once divided by A / B, where
A = mean psi^2 (over n - P) and B = mean psi' (Schrader and Hettmansperger 1980, Biometrika 67:93,
in the form of Hampel et al. 1986, Robust Statistics, section 7.2): the interval is where

    dO <= t^2 A / (2 B),   t the quantile of Student's t with n - P degrees of freedom.

It follows curved valleys, where a bootstrap of few runs or an ellipse do not, and it may find no
end: then the runs cannot bound the parameter. It takes the runs' errors to be independent.

An anchor, an artificial run that "observes" the parameter, pulls a fit towards a value. Wherever
such a fit ends, no other theta with that value of the parameter has a lower objective: it is a
point of the profile. So all anchors of all parameters are one batch of the ordinary solver.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.laws.anchored import Anchored
from pipeline.laws.base import LOG_RANGE, Floats, Kind, Law
from pipeline.laws.floors import grounded
from pipeline.laws.objective import Objective
from pipeline.laws.surface import minimise

REACHES = ((0.8, 1.2, 2.0), (4.0, 8.0), (16.0, 32.0))  # of anchors, in widths, until one is beyond
WIDEST = 1.0  # first width at most: a factor e of a scale, the value itself of an exponent
STIFFNESS = 1e4  # pull of an anchor, over what would just hold it at an end
ROUNDS = 12  # of interpolation; three suffice
ITERATIONS = 100  # of each fit; one that has not ended is no more than a point to look on from
CLOSE = 1e-3  # relative distance of sqrt(dO) to its threshold
FARTHEST = 2.0  # move of a start, in theta of unit size
FLAT = 1e-3  # an exponent as good as zero
ROUNDING = 1e-9  # natural log: smaller residuals are none
VANISHED = 64.0  # widths inwards at which a floor is none


class Profile(NamedTuple):
    """The interval of one parameter in its unit; an end is None where the runs set none.

    A floor's lower end is then 0, its bound.
    """

    low: float | None
    high: float | None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends; None where one is missing."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class Problem(NamedTuple):
    """A fit whose parameters are profiled: centred x (K, n), y (n,), weights (n,), theta (P,)."""

    law: Law
    x: Floats
    y: Floats
    weights: Floats
    theta: Floats
    centre: Floats
    objective: Objective

    def cost(self, theta: Floats) -> Floats:
        """The objective at theta (..., P) -> (...)."""
        residual = self.y - self.law.log_target(theta, self.x)
        return np.asarray((self.weights * self.objective.cost(residual)).sum(-1))

    def values(self, theta: Floats) -> dict[str, Floats]:
        """The law's parameters at theta (..., P)."""
        values = self.law.values(self.law.shifted(theta, self.centre))
        return grounded(self.law, values, float(np.exp(self.y.min())))


def dispersion(problem: Problem) -> tuple[float, float]:
    """A and B of the residuals: mean square of the objective's slope, and its mean bend.

    The bend is a difference quotient over the residuals' own width, because the objective of least
    absolute deviations has none (the bandwidth is that of Silverman 1986, eq. 3.31).
    """
    residual = problem.y - problem.law.log_target(problem.theta, problem.x)
    n = len(residual)
    freedom = n - len(problem.theta)
    spread = np.sqrt((problem.weights * residual**2).sum() / freedom)
    quartiles = np.quantile(residual, [0.25, 0.75])
    narrow = min(spread, np.ptp(quartiles) * np.sqrt(n / freedom) / 1.34) or spread
    step = max(0.9 * narrow * n**-0.2, np.finfo(float).tiny)
    slope = problem.objective.slope
    bend = (slope(residual + step) - slope(residual - step)) / (2 * step)
    square = (problem.weights * slope(residual) ** 2).sum() / freedom
    return float(square), float((problem.weights * bend).mean())


def tolerated(problem: Problem, level: float) -> float:
    """The rise of the objective up to which the runs do not reject other parameters."""
    square, bend = dispersion(problem)
    return _quantile(problem, level) ** 2 * square / (2 * bend)


def _quantile(problem: Problem, level: float) -> float:
    """Student's t with the freedom that a fit leaves."""
    return float(scipy.special.stdtrit(len(problem.y) - len(problem.theta), 0.5 + level / 2))


def profiles(problem: Problem, level: float, known: Collection[str]) -> dict[str, Profile]:
    """The profile interval of the parameters named in ``known``; the others have no end.

    Without scatter of the runs around the law the interval is the value.
    """
    law = problem.law
    names = [p.name for p in law.parameters]
    square, bend = dispersion(problem)
    if not known:
        return dict.fromkeys(names, Profile(None, None))
    if np.abs(problem.y - law.log_target(problem.theta, problem.x)).max() < ROUNDING:
        values = problem.values(problem.theta)
        exact = {name: float(value) for name, value in values.items() if name in known}
        return {name: Profile(exact.get(name), exact.get(name)) for name in names}
    search = _Search(problem, square, bend, _quantile(problem, level))
    found = search.ends([j for j, name in enumerate(names) if name in known])
    ends = (
        [search.in_unit(j, found.get((j, sign)), sign) for sign in (-1, 1)]
        for j in range(len(names))
    )
    return {
        p.name: Profile(0.0 if p.kind is Kind.FLOOR and low is None else low, high)
        for p, (low, high) in zip(law.parameters, ends)
    }


class _Point(NamedTuple):
    """A point of a profile: widths outwards; its height, sqrt(rise) over that of an end; theta.

    The height is a straight line where the objective is a parabola.
    """

    outwards: float
    height: float
    theta: Floats


class _Side(NamedTuple):
    """The profile of one parameter on one side, as far as it is known."""

    parameter: int
    sign: int
    points: list[_Point]

    def bracket(self) -> tuple[_Point, _Point] | None:
        """The first point at or beyond the end, and the one before it; None where none is."""
        outwards = sorted(self.points, key=lambda point: point.outwards)
        for near, far in pairwise(outwards):
            if far.height >= 1 - CLOSE:
                return near, far
        return None

    def next(self, turn: int) -> tuple[float, Floats] | None:
        """Where to look for the end, and from where; None where it is found or none is in sight.

        The fit starts in turn from within and from without: a profile may have two valleys.
        """
        found = self.bracket()
        if found is None or found[1].height <= 1 + CLOSE:
            return None
        near, far = found
        if far.outwards - near.outwards <= CLOSE:  # a step from one valley to another
            return None
        share = (1 - near.height) / (far.height - near.height)
        share = share if turn % 3 < 2 else 0.5
        place = near.outwards + (far.outwards - near.outwards) * share
        return place, (near, far)[turn % 2].theta

    def end(self) -> float | None:
        """Widths outwards to the end; None where it was not found."""
        found = self.bracket()
        return found[1].outwards if found else None


Look = tuple[_Side, float, Floats]  # a fit to make: widths outwards, and the theta to start from


class _Search:
    """Anchored fits of one problem. Places are in widths: one is the end of a linear law."""

    def __init__(self, problem: Problem, square: float, bend: float, quantile: float):
        self.problem = problem
        self.rise = quantile**2 * square / (2 * bend)  # of the objective, at an end
        self.lowest = float(problem.cost(problem.theta))
        # A floor that vanished is searched from where it would just show.
        self.start = problem.law.revived(problem.theta, problem.y)
        plain = Anchored(problem.law, problem.centre, np.ones(len(self.start)))
        here = plain.coordinates(self.start)
        self.vanished = plain.coordinates(problem.theta) != here
        gradient = problem.law.expansion(self.start, problem.x).gradient
        normal = (gradient * problem.weights) @ gradient.T
        slopes = plain.slopes(self.start)
        along = np.linalg.pinv(normal, rcond=1e-15, hermitian=True) @ slopes.T  # (P, parameter)
        variance = np.maximum(np.einsum("jp,pj->j", slopes, along), np.finfo(float).tiny)
        errors = quantile * np.sqrt(variance * square) / bend
        most = np.where(plain.logarithmic, WIDEST, WIDEST * np.abs(here) + FLAT)
        self.widths = np.clip(errors, 1e-9 * most, most)
        self.law = Anchored(problem.law, problem.centre, self.widths)
        self.here = here / self.widths
        self.path = along * self.widths / variance

    def ends(self, parameters: Collection[int]) -> dict[tuple[int, int], float | None]:
        """(parameter, side) -> widths outwards to its end, None where there is none."""
        sides = [_Side(j, sign, []) for j in parameters for sign in (-1, 1)]
        sides = [side for side in sides if side.sign > 0 or not self.vanished[side.parameter]]
        for side in sides:
            gone = self.vanished[side.parameter]
            side.points.append(_Point(-VANISHED if gone else 0.0, 0.0, self.problem.theta))
        inwards = [-reach for reach in REACHES[1]]
        self._look(self._abroad([s for s in sides if self.vanished[s.parameter]], inwards))
        for reaches in REACHES:
            self._look(self._abroad([s for s in sides if s.bracket() is None], reaches))
        for turn in range(ROUNDS):
            self._look([(s, *found) for s in sides if (found := s.next(turn)) is not None])
        return {(side.parameter, side.sign): side.end() for side in sides}

    def in_unit(self, j: int, end: float | None, sign: int) -> float | None:
        """A side's end in the parameter's unit."""
        if end is None:
            return None
        there = float((self.here[j] + sign * end) * self.widths[j])
        return math.exp(min(there, LOG_RANGE)) if self.law.logarithmic[j] else there

    def _abroad(self, sides: list[_Side], reaches: Collection[float]) -> list[Look]:
        """Fits at some widths outwards, started where a linear law would end."""
        looks: list[Look] = []
        for side in sides:
            for reach in reaches:
                move = side.sign * min(max(reach, -2.0), 2.0) * self.path[:, side.parameter]
                move *= min(1.0, FARTHEST / np.abs(move).max())
                looks.append((side, reach, self.start + move))
                if self.vanished.any():
                    looks.append((side, reach, self.problem.theta))
        return looks

    def _look(self, asked: list[Look]) -> None:
        """Add the points of the profile near the places asked for to their sides."""
        if not asked:
            return
        problem, m = self.problem, len(asked)
        at = np.array([side.parameter for side, _, _ in asked])
        signs = np.array([side.sign for side, _, _ in asked])
        places = self._sensible(at, self.here[at] + signs * np.array([w for _, w, _ in asked]))
        x = np.pad(problem.x, ((0, 1), (0, m)))
        x[-1] = np.r_[np.full(len(problem.y), -1), at]
        pull = STIFFNESS * self.rise / min(1.0, problem.objective.delta)
        weights = np.concatenate([np.tile(problem.weights, (m, 1)), pull * np.eye(m)], axis=1)
        starts = np.stack([start for _, _, start in asked])
        theta = minimise(
            self.law, x, np.r_[problem.y, places], weights, starts, problem.objective,
            iterations=ITERATIONS,
        ).theta  # fmt: skip
        reached = signs * (self.law.coordinates(theta)[np.arange(m), at] - self.here[at])
        heights = np.sqrt(np.maximum(problem.cost(theta) - self.lowest, 0.0) / self.rise)
        for (side, _, _), *point in zip(asked, reached.tolist(), heights.tolist(), theta):
            side.points.append(_Point(*point))

    def _sensible(self, at: NDArray[np.intp], places: Floats) -> Floats:
        """Places, but none that leads a positive exponent to zero or below."""
        kinds = np.array([p.kind is Kind.EXPONENT for p in self.problem.law.parameters])
        flat = FLAT / self.widths[at]
        positive = kinds[at] & (self.here[at] > flat)
        return np.where(positive, np.maximum(places, flat), places)
