"""What the runs can and cannot tell: a status and a sentence for each parameter of a fit.

Five rules, from the surest to the weakest:

1. The design. Where the runs leave a direction of theta without effect (condition number of the
   gradient's columns, scaled to unit length, above ``CONDITION``), every parameter that moves along
   it is unidentifiable and has no interval. Where N and D move together, exponents and scales are
   unidentifiable: only the form of the law, and not the runs, says which is whose.
2. Another minimum. Where the search found one that the runs do not reject (``alternatives.py``),
   parameters whose interval leaves it out are unidentifiable.
3. The floor. E is at its bound where the best fit has none; it is unidentifiable where its interval
   comes near zero or where even the best run has more loss above the floor than in it.
4. The interval. Of points along too few trainings there is none (``draws.py``), and nothing is
   known. An exponent, rate or slope is unidentifiable where its interval reaches zero or
   spans a factor ``WIDE_EXPONENT``, a scale where it spans a factor ``WIDE_SCALE``. An
   offset may be zero. Of few runs the profile interval is held to the same. An interval without
   width says nothing, unless all runs lie on the law.
5. The profile. A parameter is unidentifiable where its profile likelihood has no end on a side: all
   others, fitted again, make up for any value of it (``profile.py``).

A sentence of doubt ends with the runs that would help most: ``advice``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.laws import ALLOCATION
from pipeline.laws.anchored import Anchored
from pipeline.laws.axis import CurveLaw
from pipeline.laws.base import Floats, Kind, Law, Parameter, Status, SurfaceLaw
from pipeline.laws.floors import grounded
from pipeline.laws.profile import Profile

CONDITION = 1e6
NO_EXPONENT = 1e-3  # a thousandfold input moves the loss by less than 0.7 %
NO_FLOOR = 0.01  # of the lowest loss: an interval of E that starts below says "none"
AT_BOUND = 1e-3  # of the lowest loss: a best E below is zero
WIDE_EXPONENT = 4.0
WIDE_SCALE = 1e6
WIDTH = 1e-8  # of a value: an interval that is narrower has none
TIED = 1e-3  # ratio of the spreads of N and D across their common line and along it
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
    """How the runs determine theta: condition number, the names left open, and what would help.

    The exponent of the allocation is among the names as ``ALLOCATION``. ``tied`` is a sentence
    where N and D move together, ``refused`` one where nothing can be resampled.
    """

    condition: float
    open: frozenset[str]
    advice: Mapping[str, str]
    tied: str = ""
    refused: str = ""


def design(law: Law, theta: Floats, x: Floats, centre: Floats) -> Design:
    """Rule 1, at theta (P,) for centred log inputs x (K, n)."""
    around = law.expansion(theta, x)
    columns, lowest = around.gradient.T, float(np.exp(around.value.min()))
    length = np.linalg.norm(columns, axis=0)
    unit = columns / np.where(length > 0, length, 1.0)
    _, singular, directions = np.linalg.svd(unit, full_matrices=False)
    condition = float(singular[0] / singular[-1]) if singular[-1] > 0 else np.inf
    moved: set[str] = set()
    here = _described(law, theta, centre, lowest)
    for direction in directions[singular < singular[0] / CONDITION]:
        step = direction / np.where(length > 0, length, 1.0)
        there = _described(law, theta + 1e-3 * step / np.abs(step).max(), centre, lowest)
        moved |= {name for name in here if not np.isclose(here[name], there[name], rtol=1e-7)}
    return Design(condition, frozenset(moved), advice(law, theta, x, centre), tied(law, x, centre))


def _described(law: Law, theta: Floats, centre: Floats, lowest: float) -> dict[str, Floats]:
    """The parameters and, of a law that splits a budget, the exponent of the allocation."""
    values = grounded(law, law.values(law.shifted(theta, centre)), lowest)
    if not isinstance(law, SurfaceLaw):
        return values
    place = dict(zip(law.inputs, centre))
    flops = np.exp(np.log(6) + place["params"] + place["tokens"])
    with np.errstate(divide="ignore", invalid="ignore"):
        return {**values, ALLOCATION: law.allocation(values, flops)}


def tied(law: Law, x: Floats, centre: Floats) -> str:
    """A sentence where log N and log D of all runs lie on one line; else nothing.

    Runs of one size, or of one number of tokens, are left to the condition number.
    """
    if not {"params", "tokens"} <= set(law.inputs):
        return ""
    logs = np.stack([(x + centre[:, None])[law.inputs.index(n)] for n in ("params", "tokens")])
    spread = logs - logs.mean(1, keepdims=True)
    along, across = np.linalg.svd(spread, compute_uv=False)
    length = np.linalg.norm(spread, axis=1)
    if across >= TIED * along or not (length > TIED * along).all():
        return ""
    slope = np.sign(spread[0] @ spread[1]) * length[1] / length[0]
    ratio = np.exp(logs[1].mean() - slope * logs[0].mean())
    power = "" if abs(slope - 1) < 0.005 else f"^{slope:.3g}"
    return (
        f"N and D move together (D is about {ratio:.3g} N{power}): these runs cannot split size "
        "from data. Add runs off that line, of one size with several numbers of tokens."
    )


def advice(law: Law, theta: Floats, x: Floats, centre: Floats) -> dict[str, str]:
    """Parameter -> the runs that would tell most of it, in words.

    Each of a few places beyond the runs, one input or all inputs ``BEYOND`` times further, is tried
    with a few runs added; the variance of the parameter is that of least squares. A floor that
    vanished has none, and is nearest where all inputs are largest. Least squares takes the law to
    hold there; of a law of one count the words say what to do where it does not.
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
    values = grounded(
        law, law.values(law.shifted(theta, centre)), float(np.exp(law.log_target(theta, x).min()))
    )
    best = [
        0 if p.kind is Kind.FLOOR and values[p.name] == 0 else i
        for p, i in zip(law.parameters, best)
    ]
    told = [f"Add runs with {place}{_unless_limited(law, place)}." for place in places]
    return {p.name: told[i] for p, i in zip(law.parameters, best)}


def _unless_limited(law: Law, place: str) -> str:
    """Of a law of one count without a floor, what to do where the other count limits the largest.

    The loss then levels off, and runs that go on there tell nothing of the law.
    """
    floor = any(p.kind is Kind.FLOOR for p in law.parameters)
    if not isinstance(law, CurveLaw) or floor or not law.axis.limit or "largest" not in place:
        return ""
    return f", or, if the loss levels off at the largest, {law.axis.limit}"


def judged(
    parameter: Parameter, value: float, interval: Ends, profile: Profile | None, known: Design,
    lowest: float, points: int, target: str = "loss", other: float | None = None,
    exact: bool = False, counted: str = "runs",
) -> Judgement:  # fmt: skip
    """The status of a parameter, from its interval and the lowest target among the fitted runs.

    Without a ``profile`` rule 5 is not asked. ``other`` is its value in another minimum;
    ``exact`` says that all runs lie on the law. ``points`` are ``counted`` by what errs on its own.
    """
    help_ = known.advice[parameter.name]
    if parameter.name in known.open:
        return Judgement(
            Status.UNIDENTIFIABLE,
            f"The runs vary too little to tell {parameter.name}: other values fit as well "
            f"(condition number {known.condition:.2g}). {help_}",
        )
    split = parameter.kind in (Kind.EXPONENT, Kind.SCALE) and known.tied
    if split and other is None:
        return Judgement(Status.UNIDENTIFIABLE, known.tied)
    if other is not None:
        return Judgement(
            Status.UNIDENTIFIABLE,
            f"Another minimum, which these runs do not reject, has {parameter.name} = {other:.3g} "
            f"(this one {value:.3g}). {split or help_}",
        )
    asked = [interval]
    if points < FEW and profile is not None:
        asked.append(profile.ends)
    if parameter.kind is Kind.FLOOR and interval is not None:
        doubts = [_floor(parameter, value, ends, lowest, target) for ends in asked if ends]
    else:
        doubts = [_wide(parameter, *ends) for ends in asked if ends]
        doubts.append(_endless(parameter, profile))
    if interval is not None and not exact:
        doubts.append(_narrow(value, *interval))
    if doubt := next(filter(None, doubts), None):
        return Judgement(doubt.status, f"{doubt.reason} {help_}")
    if known.refused:
        return Judgement(Status.UNIDENTIFIABLE, known.refused)
    if interval is None:
        return Judgement(
            Status.CONVERGED, "A minimum was found; there are no resamples for an interval."
        )
    if points < FEW:
        return Judgement(
            Status.CONVERGED,
            f"Determined, but by {points} {counted} only: the interval is a rough one.",
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


def _narrow(value: float, low: float, high: float) -> Judgement | None:
    if high - low > WIDTH * abs(value):
        return None
    return Judgement(
        Status.UNIDENTIFIABLE,
        "Its interval has no width although runs scatter around the law: the resamples, all alike, "
        "say nothing of it.",
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
