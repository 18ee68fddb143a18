"""Rules for a setting, such as the learning rate, as a product of powers of counts.

They are fitted to the best run of every sweep over the setting.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.laws.base import Floats, Kind, Parameter, Runs, Selection
from pipeline.laws.loglinear import LogLinearLaw
from pipeline.laws.selection import SWEPT, SWEPT_REASON, best_setting


class BestSetting(LogLinearLaw):
    """A product of powers fitted to the best setting at each value of some counts, ``within``."""

    objective = SWEPT
    objective_reason = SWEPT_REASON
    within: ClassVar[tuple[str, ...]]

    def select(self, runs: Runs) -> Selection:
        """The best setting of each combination of counts."""
        return best_setting(runs, self.target, self.within)

    def backtest_order(self, runs: Runs) -> Floats:
        return np.exp(self.log_inputs(runs).sum(0))


def factor(unit: str, of: str, published: tuple[float, str]) -> Parameter:
    """The constant c before the powers; ``published`` is its value and paper."""
    return Parameter("c", "c", f"{of} where all inputs are 1", unit, Kind.SCALE, published)


def exponent(name: str, of: str, published: tuple[float, str]) -> Parameter:
    """The exponent of one input, a Greek letter."""
    return Parameter(name, rf"\{name}", f"exponent of {of}", "1", Kind.EXPONENT, published)
