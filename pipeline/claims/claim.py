"""What a claim is: a paper's words and numbers, how it is measured, and the rule that judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pipeline.findings.data import Data

Ends = tuple[float, float]


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    OUT_OF_REACH = "out_of_reach"
    NOT_MEASURED = "not_measured"


class UnmeasuredError(Exception):
    """The runs there are do not hold what a claim is measured on; the message says what lacks."""


class Judged(NamedTuple):
    """A verdict and what it rests on, a sentence."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Measured:
    """A measured quantity in the claim's unit, with the runs behind it.

    ``low`` and ``high`` are None without an interval. ``params`` and ``tokens`` are the least and
    the most of these runs. ``beyond`` says how many times beyond the runs the quantity lies, 1
    within them; ``doubt`` why it cannot be trusted, a sentence, where it cannot. ``enough`` is the
    least number of runs whose interval can keep to the limit, of quantities that count runs.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    runs: int
    params: Ends | None = None
    tokens: Ends | None = None
    beyond: float = 1.0
    doubt: str = ""
    enough: int = 0

    @property
    def ends(self) -> Ends:
        """The interval; the value alone where there is none."""
        if self.low is None or self.high is None:
            return self.value, self.value
        return self.low, self.high


@dataclass(frozen=True)
class Evidence:
    """What a study measured, by experiment, and how a claim's own resamples are drawn."""

    experiments: Mapping[str, Data]
    bootstraps: int = 400
    level: float = 0.9
    seed: int = 0

    def __getitem__(self, experiment: str) -> Data:
        return self.experiments[experiment]


@dataclass(frozen=True)
class Claim:
    """One claim of a paper.

    ``paper`` is the value that it states, ``low`` and ``high`` what its words allow, all in
    ``unit``; a claim that something is at most or at least so much has only that end. ``needs``
    names the experiments and, of each, the laws whose fits it is measured from.
    """

    key: str
    statement: str
    source: str
    quantity: str
    needs: Mapping[str, tuple[str, ...]]
    measure: Callable[[Evidence], Measured]
    rule: Callable[[Claim, Measured], Judged]
    unit: str = "1"
    paper: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def allowed(self) -> Ends:
        """Least and largest value that the paper's words allow; the value itself where it is one.

        Raises ValueError where the paper gives neither.
        """
        low = self.paper if self.low is None else self.low
        high = self.paper if self.high is None else self.high
        if low is None or high is None:
            raise ValueError(f"{self.key}: the rule needs the paper's value; give paper")
        return low, high
