r"""B_crit(L) = B* / L^(1/alpha_B) (Kaplan et al. 2020, arXiv:2001.08361, eq. 5.3 = 1.4).

theta = (log B*, 1/alpha_B), in which the logarithm is linear.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Floats, Kind, Parameter, Runs, Selection, Values, scale
from pipeline.laws.loglinear import LogLinearLaw
from pipeline.laws.objective import Objective
from pipeline.laws.selection import every_run

PAPER = "Kaplan et al. 2020"


class CriticalBatch(LogLinearLaw):
    """The critical batch size grows as the loss falls, whatever the model's size."""

    name = "critical_batch"
    title = "Critical batch size"
    formula = r"B_{\mathrm{crit}}(L) = \frac{B_*}{L^{1/\alpha_B}}"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 5.3"
    use = "The batch size beyond which more tokens per step are wasted, at a loss."
    failure = (
        "A far power of the loss; for later recipes the critical batch follows the tokens seen "
        "rather than the loss (Zhang et al. 2024, arXiv:2410.21676)."
    )
    target = "critical_batch"
    inputs = ("loss",)
    objective = Objective(0.5)
    objective_reason = (
        "A critical batch is known to some ten per cent at best: such scatter counts by its "
        "squares."
    )
    signs = (-1.0,)
    parameters = (
        Parameter("B", "B_*", "critical batch at loss 1", "tokens", Kind.SCALE, (2.1e8, PAPER)),
        Parameter(
            "alpha_B", r"\alpha_B", "inverse exponent of the loss", "1", Kind.EXPONENT,
            (0.21, PAPER),
        ),
    )  # fmt: skip

    def values(self, theta: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore"):
            return {"B": scale(theta[..., 0]), "alpha_B": 1 / theta[..., 1]}

    def theta(self, values: Values) -> Floats:
        batch, alpha = (np.asarray(values[p.name], dtype=float) for p in self.parameters)
        return np.stack(np.broadcast_arrays(np.log(batch), 1 / alpha), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        return np.array([y.min(), 1.0]), np.array([y.max(), 10.0])

    def select(self, runs: Runs) -> Selection:
        """All measurements."""
        return every_run(runs, "All measurements: the critical batch depends on the loss alone.")

    def backtest_order(self, runs: Runs) -> Floats:
        """The lowest losses are the furthest out."""
        return 1 / runs.loss


LAW = CriticalBatch()
