"""What the runs can and cannot tell: a status and a sentence for each parameter of a fit.

Four rules, from the surest to the weakest:

1. The design. Where the runs leave a direction of theta without effect (condition number of the
   gradient's columns, scaled to unit length, above ``CONDITION``), every parameter that moves along
   it is unidentifiable and has no interval.
2. The floor. E is at its bound where the best fit has none; it is unidentifiable where its interval
   comes near zero or where even the best run has more loss above the floor than in it.
3. The interval. An exponent, rate or slope is unidentifiable where its interval reaches zero or
   spans a factor ``WIDE_EXPONENT``, a scale where it spans a factor ``WIDE_SCALE``. An
   offset may be zero.
4. The profile. A parameter is unidentifiable where its profile likelihood has no end on a side: all
   others, fitted again, make up for any value of it (``profile.py``).

A sentence of doubt ends with the runs that would help most: ``advice``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Kind, Law, Parameter, Status
from pipeline.laws.profile import Anchored, Profile

CONDITION = 1e6
NO_EXPONENT = 1e-3  # a thousandfold input moves the loss by less than 0.7 %
NO_FLOOR = 0.01  # of the lowest loss: an interval of E that starts below says "none"
AT_BOUND = 1e-3  # of the lowest loss: a best E below is zero
WIDE_EXPONENT = 4.0
WIDE_SCALE = 1e6
FEW = 10  # runs below which no interval is more than a rough one
BEYOND = 4.0  # factor by which an added run goes beyond the others
ADDED = 4.0  # runs at the place that an advice names
RIDGE = 1e-9  # of the information's diagonal: what the runs leave open is nearly infinite

Ends = tuple[float, float] | None


class Judgement(NamedTuple):
    """The status of one parameter, and the reason as a sentence with its numbers."""

    status: Status
    reason: str


class Design(NamedTuple):
    """How the runs determine theta: condition number, the names left open, and what would help."""

    condition: float
    open: frozenset[str]
    advice: Mapping[str, str]


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
    return Design(condition, frozenset(moved), advice(law, theta, x, centre))


def advice(law: Law, theta: Floats, x: Floats, centre: Floats) -> dict[str, str]:
    """Parameter -> the runs that would tell most of it, in words.

    Each of a few places beyond the runs, one input or all inputs ``BEYOND`` times further, is tried
    with a few runs added; the variance of the parameter is that of least squares.
    """
    highest, lowest = x.max(1), x.min(1)
    step = np.log(BEYOND)
    places = {f"{BEYOND:.0f} times the largest {' and '.join(law.inputs)}": highest + step}
    if len(law.inputs) > 1:
        for k, name in enumerate(law.inputs):
            for words, end in (
                (f"{BEYOND:.0f} times the largest", highest[k] + step),
                (f"1/{BEYOND:.0f} of the smallest", lowest[k] - step),
            ):
                places[f"{words} {name}"] = np.where(np.arange(len(x)) == k, end, 0.0)
    else:
        places[f"1/{BEYOND:.0f} of the smallest {law.inputs[0]}"] = lowest - step
    gradient = law.expansion(theta, np.column_stack([x, *places.values()])).gradient
    runs, added = gradient[:, : x.shape[1]], gradient[:, x.shape[1] :]
    information = runs @ runs.T + ADDED * np.einsum("ik,jk->kij", added, added)
    diagonal = np.einsum("kpp->kp", information)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    unit = information / (scale[:, :, None] * scale[:, None, :]) + RIDGE * np.eye(len(theta))
    slopes = Anchored(law, centre, np.ones(len(theta))).slopes(theta) / scale[:, None, :]
    variance = np.einsum("kjp,kpq,kjq->kj", slopes, np.linalg.inv(unit), slopes)
    best = np.nan_to_num(variance, nan=np.inf).argmin(0)
    named = list(places)
    return {p.name: f"Add runs with {named[i]}." for p, i in zip(law.parameters, best)}


def judged(
    parameter: Parameter, value: float, interval: Ends, profile: Profile | None, known: Design,
    lowest: float, points: int, target: str = "loss",
) -> Judgement:  # fmt: skip
    """The status of a parameter, from its interval and the lowest target among the fitted runs.

    Without a ``profile`` rule 4 is not asked.
    """
    help_ = known.advice[parameter.name]
    if parameter.name in known.open:
        return Judgement(
            Status.UNIDENTIFIABLE,
            f"The runs vary too little to tell {parameter.name}: other values fit as well "
            f"(condition number {known.condition:.2g}). {help_}",
        )
    if parameter.kind is Kind.FLOOR and interval is not None:
        doubt = _floor(parameter, value, interval, lowest, target)
    else:
        doubt = (interval and _wide(parameter, *interval)) or _endless(parameter, profile)
    if doubt:
        return Judgement(doubt.status, f"{doubt.reason} {help_}")
    if interval is None:
        return Judgement(
            Status.CONVERGED, "A minimum was found; there are no resamples for an interval."
        )
    if points < FEW:
        return Judgement(
            Status.CONVERGED, f"Determined, but by {points} runs only: the interval is a rough one."
        )
    return Judgement(Status.CONVERGED, Status.CONVERGED.sentence)


def _endless(parameter: Parameter, profile: Profile | None) -> Judgement | None:
    if profile is None or None not in profile:
        return None
    sides = [s for s, end in zip(("smaller", "larger"), profile) if end is None]
    return Judgement(
        Status.UNIDENTIFIABLE,
        f"No {' or '.join(sides)} value of {parameter.name} is ruled out: the other parameters "
        "make up for it.",
    )


def _wide(parameter: Parameter, low: float, high: float) -> Judgement | None:
    span = f"the interval reaches from {low:.3g} to {high:.3g}"
    if parameter.kind is Kind.OFFSET:
        return None
    if parameter.kind is Kind.SLOPE and low <= 0 <= high:
        return Judgement(Status.UNIDENTIFIABLE, f"These runs do not show its effect: {span}.")
    if parameter.kind is Kind.SLOPE:
        low, high = sorted((abs(low), abs(high)))
    if parameter.kind in (Kind.EXPONENT, Kind.RATE) and low <= NO_EXPONENT:
        return Judgement(
            Status.UNIDENTIFIABLE, f"These runs do not show that the loss depends on it: {span}."
        )
    wide = WIDE_SCALE if parameter.kind is Kind.SCALE else WIDE_EXPONENT
    if not high <= low * wide:
        return Judgement(Status.UNIDENTIFIABLE, f"These runs leave it open: {span}.")
    return None


def _floor(
    parameter: Parameter, value: float, interval: tuple[float, float], lowest: float, target: str
) -> Judgement | None:
    low, high = interval
    means_nothing = f"so that {parameter.name} means nothing here"
    if value < AT_BOUND * lowest:
        return Judgement(
            Status.BOUND_HIT,
            f"No run is near the floor: the best fit to a {target} down to {lowest:.3g} has none "
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
            f"No run is near the floor: the lowest {target}, {lowest:.3g}, is more than twice "
            f"{parameter.name} = {value:.3g}, {means_nothing}.",
        )
    return None
