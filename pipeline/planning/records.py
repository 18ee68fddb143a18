"""What a planner is asked and what it answers: questions, quantities, plans."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.laws.base import Floats
from pipeline.planning.budget import Machine, Unit
from pipeline.planning.calculators import Bottleneck
from pipeline.planning.constrained import Best, Limits
from pipeline.planning.shape import Recipe
from pipeline.planning.support import Estimate, Reach


@dataclass(frozen=True)
class Question:
    """What is asked: an amount of something, or without one the run that fills the caps."""

    unit: Unit | None
    amount: float
    limits: Limits = field(default_factory=Limits)
    machine: Machine = field(default_factory=Machine)
    recipe: Recipe = field(default_factory=Recipe)
    reach: Reach = field(default_factory=Reach)
    batch_tokens: float | None = None
    fold: float = 10.0  # the larger budget that the plan also tells of, in budgets

    @property
    def asked(self) -> str:
        """The question in a few words."""
        caps = {
            "at most {:.4g} parameters": self.limits.params,
            "at most {:.4g} tokens": self.limits.tokens,
        }
        words = [text.format(cap) for text, cap in caps.items() if math.isfinite(cap)]
        if self.unit is not None:
            words.insert(0, f"{self.unit.value} = {self.amount:.4g}")
        if self.limits.inference_tokens:
            words.append(f"{self.limits.inference_tokens:.4g} tokens served")
        words += [f"{name} = {value:.4g}" for name, value in self.limits.fixed.items()]
        return ", ".join(words)


@dataclass(frozen=True)
class Quantity:
    """One number of a plan, with its interval where it has one."""

    name: str
    value: float
    unit: str
    low: float = math.nan
    high: float = math.nan
    extrapolation: float = math.nan
    note: str = ""

    @classmethod
    def of(
        cls, name: str, found: Estimate, unit: str, factor: float = math.nan, note: str = ""
    ) -> Quantity:
        """A quantity from an estimate."""
        return cls(name, found.value, unit, found.low, found.high, factor, note)


@dataclass(frozen=True)
class Run:
    """The best run of a question: N, D and loss, with all replicates' answers (1 + R,)."""

    best: Best
    cost: Floats  # total FLOP, (1 + R,)
    factors: Mapping[str, float]
    bottleneck: Bottleneck
    balanced: bool = True  # is it the best size of its training compute, bent by no limit?

    @property
    def params(self) -> float:
        return float(self.best.params[0, 0])

    @property
    def tokens(self) -> float:
        return float(self.best.tokens[0, 0])

    @property
    def extrapolation(self) -> float:
        """The largest of the run's extrapolation factors."""
        return max(self.factors.values())


@dataclass(frozen=True)
class Plan:
    """An answer, or the sentence that refuses one."""

    asked: str
    law: str
    points: int
    level: float
    run: Run | None
    quantities: tuple[Quantity, ...] = ()
    sentences: tuple[str, ...] = ()
    refusal: str | None = None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of the contract ``plan``."""
        for one in self.quantities:
            yield {
                "asked": self.asked, "law": self.law, "quantity": one.name, "value": one.value,
                "low": known(one.low), "high": known(one.high), "unit": one.unit,
                "level": self.level, "extrapolation": known(one.extrapolation),
                "points": self.points, "note": one.note,
            }  # fmt: skip


def known(value: float) -> float | None:
    """A number as tables and JSON take it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None
