"""The frontier of the best sizes along compute, as figure 14 draws it, and what is read off it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipeline.claims.claim import Evidence, Measured, UnmeasuredError
from pipeline.claims.fits import Named, doubted
from pipeline.claims.samples import span
from pipeline.findings.data import Row
from pipeline.findings.kaplan2020 import along
from pipeline.findings.kaplan2020.along import Course
from pipeline.findings.kaplan2020.envelopes import LEAST_SIZES, Line, envelope
from pipeline.kaplan2020 import PF_DAY, Number
from pipeline.kaplan2020.fits import best
from pipeline.laws.base import Floats

BATCH: Named = ("batches", "critical_batch")
TOO_FEW = (
    f"fewer than {LEAST_SIZES} sizes are best at some compute with smaller and larger ones beside "
    "them, so that no line goes along the envelope"
)
ALONE = "the line along the envelope hangs on a single size, without which there is none"
Amount = Callable[[Number, Number], Number]  # of N and S_min, or of their exponents


class Frontier(NamedTuple):
    """Lines of N and S_min through the best sizes along C_min; the runs; the largest C_min."""

    params: Line
    steps: Line
    runs: list[Row]
    largest: float


def frontier(evidence: Evidence) -> Frontier | None:
    """The frontier of C_min; None where too few sizes are best somewhere on it."""
    law = best(evidence["batches"].fits["critical_batch"].saved)
    found = _courses(evidence)
    lowest = envelope(found, lambda course: course.least_flops(law))
    params, steps = (
        lowest.line(lowest.along(amount)) for amount in (_size, lambda c: c.fewest_steps(law))
    )
    if params is None or steps is None:
        return None
    return Frontier(params, steps, [c.run for c in found], float(lowest.flops[-1]))


def trusted(evidence: Evidence, *fits: Named) -> tuple[Frontier | None, str]:
    """The frontier, if there is one, and why it cannot be trusted, if so."""
    if doubt := doubted(evidence, *fits):
        return None, doubt
    found = frontier(evidence)
    if found is None:
        return None, TOO_FEW
    return found, ALONE if found.params.slope_ends(evidence.level)[0] is None else ""


def exponent(shares: Amount) -> Callable[[Evidence], Measured]:
    """An exponent in C_min from those of N and S_min; the interval is the jackknife's."""

    def measure(evidence: Evidence) -> Measured:
        return _read(evidence, lambda found: shares(found.params.slopes, found.steps.slopes))

    return measure


def at_pf_day(amount: Amount) -> Callable[[Evidence], Measured]:
    """An amount of the best run of one PF-day, from its N and S_min; the jackknife's in logs."""

    def logs(found: Frontier) -> Floats:
        size, steps = (
            np.exp(line.levels + line.slopes * (np.log(PF_DAY) - line.centre))
            for line in (found.params, found.steps)
        )
        return np.log(amount(size, steps))

    def measure(evidence: Evidence) -> Measured:
        told = _read(evidence, logs, PF_DAY)
        low, high = (None if end is None else float(np.exp(end)) for end in (told.low, told.high))
        return replace(told, value=float(np.exp(told.value)), low=low, high=high)

    return measure


def naive(evidence: Evidence) -> Measured:
    """The exponent of the best size in C = 6 N B S as spent, at the batch size of the runs."""
    found = _courses(evidence)
    lowest = envelope(found, lambda course: course.flops)
    line = lowest.line(lowest.along(_size))
    if line is None:
        return _nothing(evidence, TOO_FEW)
    return _measured(evidence, line, [c.run for c in found])


def _read(evidence: Evidence, values: Callable[[Frontier], Number], flops: float = 0.0) -> Measured:
    """Numbers of the lines, of all sizes and without each; ``flops`` is where they are read off."""
    found, doubt = trusted(evidence, BATCH)
    if found is None:
        return _nothing(evidence, doubt)
    line = replace(found.params, slopes=np.asarray(values(found), float))
    measured = _measured(evidence, line, found.runs)
    return replace(measured, beyond=max(1.0, flops / found.largest), doubt=doubt)


def _measured(evidence: Evidence, line: Line, runs: list[Row]) -> Measured:
    low, high = line.slope_ends(evidence.level)
    return Measured(
        line.slope, low, high, evidence.level, len(runs), span(runs, "params"),
        span(runs, "tokens"), doubt=ALONE if low is None else "",
    )  # fmt: skip


def _nothing(evidence: Evidence, doubt: str) -> Measured:
    return Measured(np.nan, None, None, evidence.level, 0, doubt=doubt)


def _courses(evidence: Evidence) -> list[Course]:
    found = along.courses(evidence["sizes"])
    if not found:
        raise UnmeasuredError("no run has a curve at its peak learning rate")
    return found


def _size(course: Course) -> Floats:
    return np.full(len(course.steps), course.params)
