"""The three axes of one-variable laws, model size, tokens and compute: names and runs.

A law of one variable says how the loss falls along one axis while nothing else limits it, so each
axis has its own choice of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from pipeline.laws import selection
from pipeline.laws.base import Floats, Law, Runs, Selection


class Axis(NamedTuple):
    """A column that a law of one variable takes: its letter in formulas, unit and meaning.

    ``limit`` is the cure where the loss levels off at the largest, which the other count then
    limits: more runs that are larger still would only lengthen the flat part.
    """

    column: str
    letter: str
    unit: str
    of: str
    select: Callable[[Runs], Selection]
    limit: str = ""


PARAMS = Axis(
    "params", "N", "parameters", "model size", selection.at_most_tokens,
    "train on more tokens or leave the largest N out",
)  # fmt: skip
TOKENS = Axis(
    "tokens", "D", "tokens", "tokens seen", selection.of_largest_model,
    "take a larger model or leave the largest D out",
)  # fmt: skip
COMPUTE = Axis("flops", "C", "FLOP", "compute", selection.efficient)


class CurveLaw(Law):
    """A law of one variable; a final class names its axis, and its inputs with it."""

    axis: ClassVar[Axis]

    def select(self, runs: Runs) -> Selection:
        """The runs on which little but the axis limits the loss."""
        return self.axis.select(runs)

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.column(self.axis.column)
