"""From loss to the error on a task: what the laws of tasks share.

They take the loss itself, not its logarithm x, so theta holds them at the centre of the runs, where
the loss is L_c and L / L_c - 1 = exp(x - x_c) - 1.
"""

from __future__ import annotations

from pipeline.laws.base import Floats, Law, Runs, Selection
from pipeline.laws.objective import Objective

REASON = "All included runs: their losses and errors make the curve, whatever their N and D."


class TaskLaw(Law):
    """The error on a task as a function of the loss alone."""

    target = "task_error"
    inputs = ("loss",)
    objective = Objective(0.1)
    objective_reason = (
        "A task has few questions, so that its error scatters by some per cent: such scatter "
        "counts by its squares."
    )

    def select(self, runs: Runs) -> Selection:
        """All runs with a wrong answer: fits are to logarithms, and an error of 0 has none."""
        wrong = runs.column(self.target) > 0
        solved = len(runs) - int(wrong.sum())
        without = f" {solved} of {len(runs)} left out: their error is 0, which has no logarithm."
        return Selection(wrong, REASON + without if solved else REASON)

    def backtest_order(self, runs: Runs) -> Floats:
        """The lowest losses are the furthest out."""
        return 1 / runs.loss
