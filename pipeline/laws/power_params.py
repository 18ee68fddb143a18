"""L(N): loss against model size where data do not limit it (Kaplan et al. 2020, eq. 1.1)."""

from __future__ import annotations

from pipeline.laws.axis import PARAMS
from pipeline.laws.power import PowerLaw, power_parameters


class PowerParams(PowerLaw):
    """L(N) = (N_c / N)^alpha_N."""

    name = "power_params"
    title = "Power law in model size"
    formula = r"L(N) = \left(\frac{N_c}{N}\right)^{\alpha_N}"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.1"
    use = "Sizes trained on one large token count, when only size varies."
    failure = "Bends up where the largest sizes are short of tokens; has no floor."
    axis = PARAMS
    inputs = ("params",)
    parameters = power_parameters("N", "parameters", "model size", 0.076)


LAW = PowerParams()
