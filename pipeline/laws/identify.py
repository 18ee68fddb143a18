"""What the runs can and cannot tell: a status and a sentence for each parameter of a fit.

Three rules, from the surest to the weakest:

1. The design. Where the runs leave a direction of theta without effect (condition number of the
   gradient's columns, scaled to unit length, above ``CONDITION``), every parameter that moves along
   it is unidentifiable and has no interval.
2. The floor. E is at its bound where the best fit has none; it is unidentifiable where its interval
   comes near zero or where even the best run has more loss above the floor than in it.
3. The interval. An exponent or slope is unidentifiable where its interval reaches zero or spans a
   factor ``WIDE_EXPONENT``, a scale where it spans a factor ``WIDE_SCALE``. An offset may be zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Kind, Law, Parameter, Status

CONDITION = 1e6
NO_EXPONENT = 1e-3  # a thousandfold input moves the loss by less than 0.7 %
NO_FLOOR = 0.01  # of the lowest loss: an interval of E that starts below says "none"
AT_BOUND = 1e-3  # of the lowest loss: a best E below is zero
WIDE_EXPONENT = 4.0
WIDE_SCALE = 1e6
FEW = 10  # runs below which the bootstrap's intervals are too narrow to lean on


class Judgement(NamedTuple):
    """The status of one parameter, and the reason as a sentence with its numbers."""

    status: Status
    reason: str


class Design(NamedTuple):
    """How the runs determine theta: condition number, and the names that they leave open."""

    condition: float
    open: frozenset[str]


def design(law: Law, theta: Floats, x: Floats, centre: Floats) -> Design:
    """Rule 1, at theta (P,) for centred log inputs x (K, n)."""
    columns = law.expansion(theta, x).gradient.T
    length = np.linalg.norm(columns, axis=0)
    unit = columns / np.where(length > 0, length, 1.0)
    _, singular, directions = np.linalg.svd(unit)
    singular = np.pad(singular, (0, len(theta) - len(singular)))
    condition = float(singular[0] / singular[-1]) if singular[-1] > 0 else np.inf
    moved: set[str] = set()
    here = law.values(law.shifted(theta, centre))
    for direction in directions[singular < singular[0] / CONDITION]:
        step = direction / np.where(length > 0, length, 1.0)
        there = law.values(law.shifted(theta + 1e-3 * step / np.abs(step).max(), centre))
        moved |= {name for name in here if not np.isclose(here[name], there[name], rtol=1e-7)}
    return Design(condition, frozenset(moved))


def judged(
    parameter: Parameter, value: float, interval: tuple[float, float] | None, known: Design,
    lowest: float, points: int,
) -> Judgement:  # fmt: skip
    """The status of a parameter, from its interval and the lowest loss among the fitted runs."""
    if parameter.name in known.open:
        return Judgement(
            Status.UNIDENTIFIABLE,
            f"The runs vary too little to tell {parameter.name}: other values fit as well "
            f"(condition number {known.condition:.2g}). Vary the inputs more.",
        )
    if interval is None:
        return Judgement(
            Status.CONVERGED, "A minimum was found; there are no resamples for an interval."
        )
    if parameter.kind is Kind.FLOOR:
        return _floor(parameter, value, interval, lowest)
    low, high = interval
    span = f"the interval reaches from {low:.3g} to {high:.3g}"
    if parameter.kind is Kind.OFFSET:
        return Judgement(Status.CONVERGED, Status.CONVERGED.sentence)
    if parameter.kind is Kind.SLOPE and low <= 0 <= high:
        return Judgement(Status.UNIDENTIFIABLE, f"These runs do not show its effect: {span}.")
    if parameter.kind is Kind.SLOPE:
        low, high = sorted((abs(low), abs(high)))
    if parameter.kind is Kind.EXPONENT and low <= NO_EXPONENT:
        return Judgement(
            Status.UNIDENTIFIABLE, f"These runs do not show that the loss depends on it: {span}."
        )
    wide = WIDE_SCALE if parameter.kind is Kind.SCALE else WIDE_EXPONENT
    if not high <= low * wide:
        return Judgement(Status.UNIDENTIFIABLE, f"These runs leave it open: {span}.")
    if points < FEW:
        return Judgement(
            Status.CONVERGED,
            f"Determined, but by {points} runs only: the true interval is wider than this one.",
        )
    return Judgement(Status.CONVERGED, Status.CONVERGED.sentence)


def _floor(
    parameter: Parameter, value: float, interval: tuple[float, float], lowest: float
) -> Judgement:
    low, high = interval
    means_nothing = f"so that {parameter.name} means nothing here"
    if value < AT_BOUND * lowest:
        return Judgement(
            Status.BOUND_HIT,
            f"No run is near the floor: the best fit to losses down to {lowest:.3g} has none "
            f"({parameter.name} = 0), {means_nothing}.",
        )
    if low < NO_FLOOR * lowest:
        return Judgement(
            Status.UNIDENTIFIABLE,
            f"No run is near the floor: the interval of {parameter.name} reaches from "
            f"{'zero' if low < AT_BOUND * lowest else format(low, '.3g')} to {high:.3g}, "
            f"{means_nothing}.",
        )
    if lowest > 2 * value:
        return Judgement(
            Status.UNIDENTIFIABLE,
            f"No run is near the floor: the lowest loss, {lowest:.3g}, is more than twice "
            f"{parameter.name} = {value:.3g}, {means_nothing}.",
        )
    return Judgement(Status.CONVERGED, Status.CONVERGED.sentence)
