"""The rules that turn a measured quantity into a verdict; none is given by hand.

Whatever the rule, a quantity that its fit does not determine, or that lies too far beyond the runs,
is out of reach. So is one whose interval holds what the paper says together with much that would
contradict it: such runs cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipeline.claims.claim import Claim, Ends, Judged, Measured, Verdict

TOLERANCE = (
    0.1  # of an exponent: the paper's own tables differ so (0.095 and 0.103, 0.050 and 0.054)
)
TENFOLD = 10.0  # an order of magnitude to either side
ROUGHLY = 3.0  # what the paper's eye calls about the same on a logarithmic axis
LOOSE = 4.0  # an interval whose ends are farther apart than this factor tells too little
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
    return claim.rule(claim, found)


def missing(claim: Claim, fitted: Mapping[str, Collection[str]]) -> str | None:
    """What a study lacks of a claim's experiments (name -> laws fitted), a sentence, or None."""
    for experiment, laws in claim.needs.items():
        if experiment not in fitted:
            return f"Not measured because the study has no experiment {experiment}."
        if lacking := [law for law in laws if law not in fitted[experiment]]:
            return f"Not measured because {experiment} does not fit {lacking[0]}."
    return None


@dataclass(frozen=True)
class Near:
    """The interval must meet the paper's value, or the values it allows, within a tolerance."""

    tolerance: float = TOLERANCE

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        least, most = claim.allowed
        bounds = (least * (1 - self.tolerance), most * (1 + self.tolerance))
        words = f"the paper's {_span(claim.allowed)} with {100 * self.tolerance:g} % to each side"
        return _overlap(found, bounds, LOOSE, words)


@dataclass(frozen=True)
class Within:
    """The interval must meet the paper's value up to a factor."""

    factor: float = TENFOLD

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        least, most = claim.allowed
        bounds = (least / self.factor, most * self.factor)
        words = f"a factor of {self.factor:g} to each side of the paper's {_span(claim.allowed)}"
        return _overlap(found, bounds, max(LOOSE, self.factor**2), words)


@dataclass(frozen=True)
class AtMost:
    """The whole interval must lie at or below ``claim.high``; one above contradicts the claim."""

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        limit = claim.allowed[1] if claim.high is None else claim.high
        low, high = found.ends
        return _side(found, limit, "above", "not above", low > limit, high <= limit)


@dataclass(frozen=True)
class AtLeast:
    """The whole interval must lie at or above ``claim.low``; one below contradicts the claim."""

    def __call__(self, claim: Claim, found: Measured) -> Judged:
        limit = claim.allowed[0] if claim.low is None else claim.low
        low, high = found.ends
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


def _overlap(found: Measured, bounds: Ends, loose: float, words: str) -> Judged:
    """Reproduced where the interval meets ``bounds``, unless it is too wide and leaves them."""
    (low, high), range_ = found.ends, f"{_span(bounds)}, {words}"
    if high < bounds[0]:
        return _differs(f"{measured(found)} lies below {range_}")
    if low > bounds[1]:
        return _differs(f"{measured(found)} lies above {range_}")
    if bounds[0] <= low and high <= bounds[1]:
        return _reproduced(f"{measured(found)} lies within {range_}")
    if low <= 0 or high > loose * low:
        told = "reaches to zero or below" if low <= 0 else f"spans a factor of {said(high / low)}"
        return _out_of_reach(f"the interval of {measured(found)} {told}, which tells too little")
    return _reproduced(f"{measured(found)} meets {range_}")


def _side(
    found: Measured, limit: float, wrong: str, right: str, contradicted: bool, held: bool
) -> Judged:
    if contradicted:
        return _differs(f"{measured(found)} is {wrong} {said(limit)}")
    if held:
        return _reproduced(f"{measured(found)} is {right} {said(limit)}")
    return _out_of_reach(f"{measured(found)} holds {said(limit)}, so that these runs cannot tell")


def _reproduced(why: str) -> Judged:
    return Judged(Verdict.REPRODUCED, f"Reproduced: {why}.")


def _differs(why: str) -> Judged:
    return Judged(Verdict.DIFFERS, f"Differs because {why}.")


def _out_of_reach(why: str) -> Judged:
    return Judged(Verdict.OUT_OF_REACH, f"Out of reach at this scale because {why.rstrip('.')}.")
