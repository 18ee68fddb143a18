"""How far a plan lies from the runs behind its law, and what that does to its intervals.

The interval of a fit holds the doubt about its parameters. Far out the form of the law is what can
be wrong, and three rules say so:

1. Form error. A backtest shows how a law's error in log loss grows with the extrapolation factor f.
   The rate is the root of sum(error^2) / sum((ln f)^2) over the predictions that all compared laws
   made (all of them where laws were not compared). A loss at f > 1 gets z rate ln f in quadrature
   to its interval, z the normal quantile of the interval's level. The noise of the runs predicted
   is in the rate and in the interval, too: a scatter that a fit calls noise is often the form's
   misfit, and taking it off leaves intervals that hold too little.
2. Disagreement. Beyond ``Reach.supported`` every interval also takes in what the other fitted laws
   of N and D answer to the same question, however they fared closer by.
3. Silence. Beyond it, without a second law, N and D have no interval, and the loss has one where
   a backtest tells its error; beyond ``Reach.refused`` there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple


class Span(NamedTuple):
    """The smallest and the largest of the runs behind a fit."""

    low: float
    high: float

    def factor(self, value: float) -> float:
        """How many times the value lies beyond the span; 1 within it."""
        return max(value / self.high, self.low / value, 1.0)


@dataclass(frozen=True)
class Support:
    """What the runs behind a fit span: N, D and 6 N D."""

    params: Span
    tokens: Span
    flops: Span

    def factors(self, params: float, tokens: float) -> dict[str, float]:
        """The extrapolation factor of N, D and 6 N D of a run."""
        return {
            "params": self.params.factor(params),
            "tokens": self.tokens.factor(tokens),
            "flops": self.flops.factor(6.0 * params * tokens),
        }


@dataclass(frozen=True)
class Reach:
    """Extrapolation factors beyond which intervals take in other laws, and answers are refused."""

    supported: float = 30.0
    refused: float = 1000.0

    def __post_init__(self) -> None:
        if not 1 <= self.supported <= self.refused:
            raise ValueError(
                f"supported {self.supported:g}, refused {self.refused:g}: take factors with "
                "1 <= supported <= refused"
            )


class Estimate(NamedTuple):
    """A quantity and its interval; the ends are NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def times(self, factor: float) -> Estimate:
        """The same in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def over(self, other: Estimate) -> Estimate:
        """The ratio of two independent positive quantities, one of which may have no interval."""
        value = self.value / other.value
        known = [one for one in (self, other) if one.known and one.low > 0]
        if not known:
            return Estimate(value)
        below = [math.log(self.value / self.low)] if self in known else []
        above = [math.log(self.high / self.value)] if self in known else []
        if other in known:
            below.append(math.log(other.high / other.value))
            above.append(math.log(other.value / other.low))
        return Estimate(
            value, value * math.exp(-math.hypot(*below)), value * math.exp(math.hypot(*above))
        )


def error_rate(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Rule 1's rate from rows of the contract ``backtest`` of one law; None where none tells it."""
    told = telling(rows)
    squares = sum(math.log(row["extrapolation"]) ** 2 for row in told)
    errors = sum(math.log(row["observed"] / row["predicted"]) ** 2 for row in told)
    return math.sqrt(errors / squares) if squares > 0 else None


def telling(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows beyond the cut-off with a prediction; the compared ones where there are any."""
    beyond = [row for row in rows if row["extrapolation"] > 1.0 and row["predicted"] > 0]
    return [row for row in beyond if row["compared"]] or beyond


def with_form_error(found: Estimate, factor: float, rate: float | None, level: float) -> Estimate:
    """Rule 1: a loss whose log interval has the error of the form added in quadrature."""
    if rate is None or factor <= 1 or not found.known:
        return found
    form = NormalDist().inv_cdf(0.5 + level / 2) * rate * math.log(factor)
    below, above = math.log(found.value / found.low), math.log(found.high / found.value)
    return Estimate(
        found.value,
        found.value * math.exp(-math.hypot(max(below, 0.0), form)),
        found.value * math.exp(math.hypot(max(above, 0.0), form)),
    )


def with_rivals(
    found: Estimate, factor: float, rivals: Sequence[float], reach: Reach, told: bool = False
) -> Estimate:
    """Rules 2 and 3; ``told`` says that the interval holds what a backtest says of its error."""
    if factor <= reach.supported:
        return found
    others = [value for value in rivals if math.isfinite(value)]
    if not others and not told:
        return Estimate(found.value)
    if not found.known:
        return found
    return Estimate(found.value, min([found.low, *others]), max([found.high, *others]))
