"""lr(N) = a - b ln N (Kaplan et al. 2020, arXiv:2001.08361, eq. D.1); theta = (a, b)."""

from __future__ import annotations

from pipeline.laws.base import Floats, Kind, Parameter, Runs, Selection
from pipeline.laws.log_law import FallingLine
from pipeline.laws.selection import SWEPT, SWEPT_REASON, best_setting

PAPER = "Kaplan et al. 2020"


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
    objective = SWEPT
    objective_reason = SWEPT_REASON
    parameters = (
        Parameter(
            "a", "a", "learning rate at N = 1", "1", Kind.OFFSET, (0.003239, PAPER)
        ),
        Parameter(
            "b", "b", "learning rate lost by each e-fold of N", "1", Kind.SLOPE,
            (0.0001395, PAPER),
        ),
    )  # fmt: skip

    def select(self, runs: Runs) -> Selection:
        """The best learning rate of each size."""
        return best_setting(runs, self.target, ("params",))

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.params


LAW = KaplanLearningRate()
