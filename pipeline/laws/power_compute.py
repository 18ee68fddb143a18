"""L(C): the lowest loss that a budget bought, naive in batch size (Kaplan et al. 2020, eq. 3.3)."""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Runs, Selection
from pipeline.laws.power import PowerLaw, power_parameters


class PowerCompute(PowerLaw):
    """L(C) = (C_c / C)^alpha_C on the efficient frontier."""

    name = "power_compute"
    title = "Power law in compute"
    formula = r"L(C) = \left(\frac{C_c}{C}\right)^{\alpha_C}"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 3.3"
    use = "The best loss that each budget bought, over all sizes and token counts."
    failure = "The ends of a grid are not efficient: a coarse grid bends and flattens the frontier."
    letter = "C"
    inputs = ("flops",)
    parameters = power_parameters("C", "FLOP", "compute", 0.057)

    def select(self, runs: Runs) -> Selection:
        """The efficient frontier: runs that no run of the same or a smaller budget beats."""
        order = np.lexsort((runs.loss, runs.flops))
        best = np.minimum.accumulate(runs.loss[order])
        mask = np.zeros(len(runs), dtype=bool)
        mask[order] = np.r_[True, best[1:] < best[:-1]][: len(runs)]
        return Selection(
            mask, "The efficient frontier: runs whose loss no run of equal or less compute reached."
        )


LAW = PowerCompute()
