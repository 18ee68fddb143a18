"""The rules that turn a measured quantity into a verdict; none is given by hand.

Whatever the rule, a quantity that its fit does not determine, that lies too far beyond the runs, or
that has no interval, is out of reach. So is one whose interval holds what the paper says together
with much that would contradict it: such runs cannot tell. A wider interval never turns what differs
into what is reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipeline.claims.claim import Claim, Ends, Judged, Measured, Verdict
from pipeline.laws import named

TOLERANCE = (
    0.1  # of an exponent: the paper's own tables differ so (0.095 and 0.103, 0.050 and 0.054)
)
TENFOLD = 10.0  # an order of magnitude to either side
ROUGHLY = 3.0  # what the paper's eye calls about the same on a logarithmic axis
# An interval whose ends are farther apart than this factor tells too little of an exponent: around
# the paper's alpha_N, 0.076, a wider one holds its alpha_D, 0.095, as well.
WIDEST = 1.5
FARTHEST = 1e3  # times beyond the runs; farther out the form of a law decides, not the runs


def judge(claim: Claim, found: Measured) -> Judged:
    """The verdict on a claim that was measured."""
    if found.doubt:
        return _out_of_reach(found.doubt)
    if not math.isfinite(found.value):
        return _out_of_reach("these runs give no finite value")
    if found.beyond > FARTHEST:
        return _out_of_reach(
            f"it lies {said(found.beyond)} times beyond these runs, and from {said(FARTHEST)} "
            "times on the form of the law decides"
        )
    if found.low is None or found.high is None:
        return _out_of_reach(
            f"these runs give {said(found.value)} no interval, without which it cannot be judged"
        )
    return claim.rule(claim, found)


def missing(claim: Claim, fitted: Mapping[str, Collection[str]]) -> str | None:
    """What a study lacks of a claim's experiments (name -> laws fitted), a sentence, or None.

    A fit of one text, transfer@code, is known by the law before the @, too.
    """
    for experiment, laws in claim.needs.items():
        if experiment not in fitted:
            return f"Not measured because the study has no experiment {experiment}."
        found = {*fitted[experiment], *map(named, fitted[experiment])}
        if lacking := [law for law in laws if law not in found]:
            return f"Not measured because {experiment} does not fit {lacking[0]}."
    return None


@dataclass(frozen=True)
class Near:
    """What is measured must be the paper's value, or a value it allows, within a tolerance.

    The interval must lie within it too, or have ends that are less than ``WIDEST`` times apart.
    """

    tolerance: float = TOLERANCE

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        least, most = claim.allowed
        bounds = (least * (1 - self.tolerance), most * (1 + self.tolerance))
        words = f"the paper's {_span(claim.allowed)} with {100 * self.tolerance:g} % to each side"
        return _between(found, bounds, WIDEST, words)


@dataclass(frozen=True)
class Within:
    """What is measured must be the paper's value up to a factor, by an interval no wider than that.

    An interval wider than the range from one factor below to one above holds what contradicts it.
    """

    factor: float = TENFOLD

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        least, most = claim.allowed
        bounds = (least / self.factor, most * self.factor)
        words = f"a factor of {self.factor:g} to each side of the paper's {_span(claim.allowed)}"
        return _between(found, bounds, bounds[1] / bounds[0], words)


@dataclass(frozen=True)
class AtMost:
    """The whole interval must lie at or below ``claim.high``; one above contradicts the claim."""

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        limit = claim.allowed[1] if claim.high is None else claim.high
        low, high = min(found.value, found.ends[0]), max(found.value, found.ends[1])
        return _side(found, limit, "above", "not above", low > limit, high <= limit)


@dataclass(frozen=True)
class AtLeast:
    """The whole interval must lie at or above ``claim.low``; one below contradicts the claim."""

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        limit = claim.allowed[0] if claim.low is None else claim.low
        low, high = min(found.value, found.ends[0]), max(found.value, found.ends[1])
        return _side(found, limit, "below", "not below", high < limit, low >= limit)


def said(value: float) -> str:
    """A number as reasons write it: three digits."""
    return f"{value:.3g}"


def measured(found: Measured) -> str:
    """A value with its interval: 0.076 [0.07, 0.08]."""
    if found.low is None or found.high is None:
        return said(found.value)
    return f"{said(found.value)} [{said(found.low)}, {said(found.high)}]"


def _span(ends: Ends) -> str:
    return said(ends[0]) if ends[0] == ends[1] else f"{said(ends[0])} to {said(ends[1])}"


def _between(found: Measured, bounds: Ends, widest: float, words: str) -> Judged:
    """Reproduced where the value lies between ``bounds``, by an interval that can tell."""
    (low, high), (least, most) = found.ends, bounds
    inside, apart = least <= found.value <= most, high < least or low > most
    side = "within" if inside else "below" if found.value < least else "above"
    told = f"{measured(found)} lies {side} {_span(bounds)}, {words}"
    if apart and not inside:
        return _differs(told)
    if not inside:
        return _out_of_reach(f"{told}, but its interval reaches there: it is too wide to tell")
    if apart:
        return _out_of_reach(f"{told}, but its interval lies outside: it is not one of the value")
    if least <= low and high <= most:
        return _reproduced(told)
    if low <= 0:
        return _out_of_reach(f"{told}, but its interval reaches to zero: it is too wide to tell")
    factor = f"the ends of its interval are a factor of {said(high / low)} apart"
    if high > widest * low:
        return _out_of_reach(f"{told}, but {factor}, more than {said(widest)}: too wide to tell")
    return _reproduced(f"{told}, and {factor}")


def _side(
    found: Measured, limit: float, wrong: str, right: str, contradicted: bool, held: bool
) -> Judged:
    if contradicted:
        return _differs(f"{measured(found)} is {wrong} {said(limit)}")
    if held:
        return _reproduced(f"{measured(found)} is {right} {said(limit)}")
    if found.runs < found.enough:
        return Judged(
            Verdict.OUT_OF_REACH,
            "Out of reach of this design, whatever the scale, because it counts "
            f"{found.runs} runs, and of fewer than {found.enough} the interval reaches below "
            f"{said(limit)} even where the claim holds of all; here it is {measured(found)}.",
        )
    return _out_of_reach(f"{measured(found)} holds {said(limit)}, so that these runs cannot tell")


def _reproduced(why: str) -> Judged:
    return Judged(Verdict.REPRODUCED, f"Reproduced: {why}.")


def _differs(why: str) -> Judged:
    return Judged(Verdict.DIFFERS, f"Differs because {why}.")


def _out_of_reach(why: str) -> Judged:
    return Judged(Verdict.OUT_OF_REACH, f"Out of reach at this scale because {why.rstrip('.')}.")
