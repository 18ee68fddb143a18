r"""L(N, S_min) of Kaplan et al. 2020 (arXiv:2001.08361), eq. 1.6 = 5.6.

theta = (k_N, alpha_N, k_S, alpha_S) with k = alpha log X_c, the logarithms of the two terms at the
centre of the inputs. S_min is eq. 5.4: the steps that a batch far above the critical one would
have needed (``pipeline.kaplan2020.fewest_steps``).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.additive import TwoPowers
from pipeline.laws.base import Floats, Kind, Parameter, Runs, Selection, Values, scale

PAPER = "Kaplan et al. 2020"  # of the published values, table 3


class KaplanSteps(TwoPowers):
    """The loss along training: what the size leaves, and what the steps have not yet learned."""

    name = "kaplan_steps"
    title = "Kaplan's law of size and steps"
    formula = (
        r"L(N, S_{\min}) = \left(\frac{N_c}{N}\right)^{\alpha_N}"
        r" + \left(\frac{S_c}{S_{\min}}\right)^{\alpha_S}"
    )
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.6"
    use = "Losses along training on plentiful data, with steps corrected to a large batch."
    failure = "Leave out warmup and decay: it describes neither, nor overfitting on few data."
    inputs = ("params", "steps_min")
    parameters = (
        Parameter("Nc", "N_c", "size at which training to the end leaves a loss of 1",
                  "parameters", Kind.SCALE, (6.5e13, PAPER)),
        Parameter("alpha_N", r"\alpha_N", "exponent of model size", "1", Kind.EXPONENT,
                  (0.077, PAPER)),
        Parameter("Sc", "S_c", "steps that leave a loss of 1 to an unlimited model", "steps",
                  Kind.SCALE, (2.1e3, PAPER)),
        Parameter("alpha_S", r"\alpha_S", "exponent of steps", "1", Kind.EXPONENT, (0.76, PAPER)),
    )  # fmt: skip

    def values(self, theta: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return {
                "Nc": scale(theta[..., 0] / theta[..., 1]), "alpha_N": theta[..., 1],
                "Sc": scale(theta[..., 2] / theta[..., 3]), "alpha_S": theta[..., 3],
            }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        alpha_n, alpha_s = (np.asarray(values[name], float) for name in ("alpha_N", "alpha_S"))
        columns = alpha_n * np.log(values["Nc"]), alpha_n, alpha_s * np.log(values["Sc"]), alpha_s
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.mean() - 2.5, 0.02, y.mean() - 2.5, 0.1]
        high = [y.mean(), 0.5, y.mean(), 1.5]
        return np.array(low), np.array(high)

    def select(self, runs: Runs) -> Selection:
        return Selection(
            np.ones(len(runs), dtype=bool), "All included runs: the law covers every (N, S_min)."
        )

    def backtest_order(self, runs: Runs) -> Floats:
        return runs.params * runs.column("steps_min")


LAW = KaplanSteps()
