"""L(D): loss against tokens where model size does not limit it (Kaplan et al. 2020, eq. 1.2)."""

from __future__ import annotations

from pipeline.laws.axis import TOKENS
from pipeline.laws.power import PowerLaw, power_parameters


class PowerTokens(PowerLaw):
    """L(D) = (D_c / D)^alpha_D."""

    name = "power_tokens"
    title = "Power law in tokens"
    formula = r"L(D) = \left(\frac{D_c}{D}\right)^{\alpha_D}"
    citation = (
        "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.2; M1 of Alabdulmohsin et al. 2022, "
        "arXiv:2209.06640"
    )
    use = "One large model trained on several token counts."
    failure = "Bends up where the model is too small for the tokens; has no floor."
    axis = TOKENS
    inputs = ("tokens",)
    parameters = power_parameters("D", "tokens", "tokens seen", 0.095)


LAW = PowerTokens()
