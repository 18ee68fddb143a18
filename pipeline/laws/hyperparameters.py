r"""Rules for the learning rate and the batch size: Kaplan, DeepSeek and Step Law.

They are measured on the best setting of each size, budget or (N, D). The last two are products of
powers, whose logarithm is linear in theta; Kaplan's rule is a line in ln N.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.laws.base import Floats, Kind, Parameter, Runs, Selection
from pipeline.laws.log_law import FallingLine
from pipeline.laws.loglinear import LogLinearLaw
from pipeline.laws.selection import best_setting

DEEPSEEK = "Bi et al. 2024"
STEP_LAW = "Li et al. 2025"


class KaplanLearningRate(FallingLine):
    """lr(N) = a - b ln N."""

    name = "kaplan_lr"
    title = "Kaplan's learning rate by model size"
    formula = r"\eta(N) = a - b \ln N"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. D.1"
    use = "A learning rate for a new size, from the best one of several sizes at one batch size."
    failure = "Zero and then negative for large N: with the published constants above 1e10."
    target = "lr"
    inputs = ("params",)
    parameters = (
        Parameter(
            "a", "a", "learning rate at N = 1", "1", Kind.OFFSET, (0.003239, "Kaplan et al. 2020")
        ),
        Parameter(
            "b", "b", "learning rate lost by each e-fold of N", "1", Kind.SLOPE,
            (0.0001395, "Kaplan et al. 2020"),
        ),
    )  # fmt: skip

    def select(self, runs: Runs) -> Selection:
        """The best learning rate of each size."""
        return best_setting(runs, self.target, ("params",))

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.params


class BestSetting(LogLinearLaw):
    """A product of powers fitted to the best setting at each value of some counts, ``within``."""

    within: ClassVar[tuple[str, ...]]

    def select(self, runs: Runs) -> Selection:
        """The best setting of each combination of counts."""
        return best_setting(runs, self.target, self.within)

    def backtest_order(self, runs: Runs) -> Floats:
        return np.exp(self.log_inputs(runs).sum(0))


def _factor(unit: str, of: str, published: tuple[float, str]) -> Parameter:
    return Parameter("c", "c", f"{of} where all inputs are 1", unit, Kind.SCALE, published)


def _exponent(name: str, of: str, published: tuple[float, str]) -> Parameter:
    return Parameter(name, rf"\{name}", f"exponent of {of}", "1", Kind.EXPONENT, published)


class DeepseekLearningRate(BestSetting):
    """lr(C) = c C^-alpha."""

    name = "deepseek_lr"
    title = "DeepSeek's learning rate by compute"
    formula = r"\eta(C) = c\, C^{-\alpha}"
    citation = "Bi et al. 2024, arXiv:2401.02954, section 3.1"
    use = "A learning rate for a budget that is spent near its optimum."
    failure = "Size and tokens count only through C: away from the optimal split it is not theirs."
    target = "lr"
    inputs = ("flops",)
    within = ("flops",)
    signs = (-1.0,)
    parameters = (
        _factor("1", "learning rate", (0.3118, DEEPSEEK)),
        _exponent("alpha", "compute", (0.1250, DEEPSEEK)),
    )


class DeepseekBatch(BestSetting):
    """B(C) = c C^beta."""

    name = "deepseek_batch"
    title = "DeepSeek's batch size by compute"
    formula = r"B(C) = c\, C^{\beta}"
    citation = "Bi et al. 2024, arXiv:2401.02954, section 3.1"
    use = "A batch size for a budget that is spent near its optimum."
    failure = "The loss is nearly flat in the batch size: the best one of a sweep is mostly noise."
    target = "batch_tokens"
    inputs = ("flops",)
    within = ("flops",)
    signs = (1.0,)
    parameters = (
        _factor("tokens", "batch size", (0.2920, DEEPSEEK)),
        _exponent("beta", "compute", (0.3271, DEEPSEEK)),
    )


class StepLawLearningRate(BestSetting):
    """lr(N, D) = c N^-alpha D^beta."""

    name = "step_law_lr"
    title = "Step Law's learning rate by size and tokens"
    formula = r"\eta(N, D) = c\, N^{-\alpha} D^{\beta}"
    citation = "Li et al. 2025, arXiv:2503.04715"
    use = "A learning rate for any (N, D), from a grid whose best runs lie inside their sweeps."
    failure = "Its constants belong to one recipe and schedule; fit it to your own sweeps."
    target = "lr"
    inputs = ("params", "tokens")
    within = ("params", "tokens")
    signs = (-1.0, 1.0)
    parameters = (
        _factor("1", "learning rate", (1.79, STEP_LAW)),
        _exponent("alpha", "model size", (0.713, STEP_LAW)),
        _exponent("beta", "tokens", (0.307, STEP_LAW)),
    )


class StepLawBatch(BestSetting):
    """B(D) = c D^beta."""

    name = "step_law_batch"
    title = "Step Law's batch size by tokens"
    formula = r"B(D) = c\, D^{\beta}"
    citation = "Li et al. 2025, arXiv:2503.04715"
    use = "A batch size for a token count, whatever the model's size."
    failure = "The loss is nearly flat in the batch size: the best one of a sweep is mostly noise."
    target = "batch_tokens"
    inputs = ("tokens",)
    within = ("params", "tokens")
    signs = (1.0,)
    parameters = (
        _factor("tokens", "batch size", (0.58, STEP_LAW)),
        _exponent("beta", "tokens", (0.571, STEP_LAW)),
    )


KAPLAN_LR, DEEPSEEK_LR, DEEPSEEK_BATCH, STEP_LAW_LR, STEP_LAW_BATCH = (
    KaplanLearningRate(), DeepseekLearningRate(), DeepseekBatch(), StepLawLearningRate(),
    StepLawBatch(),
)  # fmt: skip
