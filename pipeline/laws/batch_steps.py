r"""S(B) = S_min (1 + B_crit / B): the price in steps of a small batch, to one loss.

With E = B S tokens this is (S/S_min - 1)(E/E_min - 1) = 1 with E_min = B_crit S_min (McCandlish et
al. 2018, arXiv:1812.06162, section 2.3; Kaplan et al. 2020, arXiv:2001.08361, eq. 5.1 and 5.2). The
batch is known exactly, so that steps and tokens have one and the same residual in the logarithm.

theta = (log S_min, log B_crit).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Expansion, Floats, Kind, Parameter, Runs, Selection
from pipeline.laws.in_order import InOrder
from pipeline.laws.objective import Objective
from pipeline.laws.selection import every_run


class BatchSteps(InOrder):
    """Steps that one model needs to one loss, by the batch size, each at its own best rate."""

    name = "batch_steps"
    title = "Steps by batch size"
    formula = r"S(B) = S_{\min} \left(1 + \frac{B_{\mathrm{crit}}}{B}\right)"
    citation = (
        "McCandlish et al. 2018, arXiv:1812.06162, section 2.3; Kaplan et al. 2020, "
        "arXiv:2001.08361, eq. 5.1"
    )
    use = "Steps of one model to one loss at several batch sizes, each at its best learning rate."
    failure = (
        "Batch sizes on one side of the critical one give a bound of it; a learning rate kept for "
        "all of them moves it."
    )
    target = "steps"
    inputs = ("batch_tokens",)
    objective = Objective(0.05)
    objective_reason = (
        "Where a curve crosses a loss is known to a few per cent: such scatter counts by its "
        "squares."
    )
    parameters = (
        Parameter("S_min", r"S_{\min}", "fewest steps, of a large batch", "steps", Kind.SCALE),
        Parameter(
            "B_crit", r"B_{\mathrm{crit}}", "batch at twice the fewest steps and tokens",
            "tokens", Kind.SCALE,
        ),
    )  # fmt: skip

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return theta[..., 0, None] + np.logaddexp(0, theta[..., 1, None] - x[0])

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        # The share of the steps that a larger batch would save, and its slope.
        share = np.exp(-np.logaddexp(0, x[0] - theta[..., 1, None]))
        slope = share * (1 - share)

        def curvature(weights: Floats) -> Floats:
            bend = np.zeros((*theta.shape, theta.shape[-1]))
            bend[..., 1, 1] = np.vecdot(weights, slope)
            return bend

        gradient = np.stack([np.ones_like(share), share], axis=-2)
        return Expansion(self.log_target(theta, x), gradient, curvature)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 1] += centre[0]
        return moved

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return np.array([y.min() - 3.0, -5.0]), np.array([y.max(), 5.0])

    def select(self, runs: Runs) -> Selection:
        """All runs."""
        return every_run(runs, "All batch sizes: the law covers both sides of the critical one.")

    def backtest_order(self, runs: Runs) -> Floats:
        """The largest batches are the furthest out."""
        return runs.column("batch_tokens")


LAW = BatchSteps()
