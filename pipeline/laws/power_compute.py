"""L(C) and L(C_min): the lowest loss that a budget bought (Kaplan et al. 2020, eq. 3.3 and 1.3)."""

from __future__ import annotations

from pipeline.laws.axis import COMPUTE, Axis
from pipeline.laws.base import Kind, Parameter, Runs, Selection
from pipeline.laws.power import PAPER, PowerLaw, power_parameters
from pipeline.laws.selection import efficient


class PowerCompute(PowerLaw):
    """L(C) = (C_c / C)^alpha_C on the efficient frontier, naive in batch size."""

    name = "power_compute"
    title = "Power law in compute"
    formula = r"L(C) = \left(\frac{C_c}{C}\right)^{\alpha_C}"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 3.3"
    use = "The best loss that each budget bought, over all sizes and token counts."
    failure = "The ends of a grid are not efficient: a coarse grid bends and flattens the frontier."
    axis = COMPUTE
    inputs = ("flops",)
    parameters = power_parameters("C", "FLOP", "compute", 0.057)


def _efficient_in_least_compute(runs: Runs) -> Selection:
    return efficient(runs, "flops_min")


class PowerComputeMin(PowerLaw):
    """L(C_min) = (C_c^min / C_min)^alpha_C^min on the efficient frontier of C_min.

    C_min = C / (1 + B / B_crit) is what a batch far below the critical one would need (eq. 5.5).
    """

    name = "power_compute_min"
    title = "Power law in the least compute"
    formula = r"L(C_{\min}) = \left(\frac{C_c^{\min}}{C_{\min}}\right)^{\alpha_C^{\min}}"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.3"
    use = "The best loss of each budget, where batches were not small against the critical one."
    failure = "Needs a measured critical batch size; the frontier's ends are not efficient."
    axis = Axis("flops_min", r"C_{\min}", "FLOP", "the least compute", _efficient_in_least_compute)
    inputs = ("flops_min",)
    parameters = (
        Parameter("Cc_min", r"C_c^{\min}", "least compute at loss 1", "FLOP", Kind.SCALE),
        Parameter(
            "alpha_C_min", r"\alpha_C^{\min}", "exponent of the least compute", "1",
            Kind.EXPONENT, (0.050, PAPER),
        ),
    )  # fmt: skip


LAW = PowerCompute()
MIN = PowerComputeMin()
