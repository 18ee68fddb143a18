"""L(D): loss against tokens where model size does not limit it (Kaplan et al. 2020, eq. 1.2)."""

from __future__ import annotations

from pipeline.laws.base import Runs, Selection
from pipeline.laws.power import PowerLaw, at_largest, power_parameters


class PowerTokens(PowerLaw):
    """L(D) = (D_c / D)^alpha_D."""

    name = "power_tokens"
    title = "Power law in tokens"
    formula = r"L(D) = \left(\frac{D_c}{D}\right)^{\alpha_D}"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.2"
    use = "One large model trained on several token counts."
    failure = "Bends up where the model is too small for the tokens; has no floor."
    letter = "D"
    inputs = ("tokens",)
    parameters = power_parameters("D", "tokens", "tokens seen", 0.095)

    def select(self, runs: Runs) -> Selection:
        """Runs at the largest N, the nearest to a model that size does not limit."""
        mask = at_largest(runs.params)
        largest = f"{runs.params.max():.4g}" if len(runs) else "none"
        return Selection(
            mask, f"Runs of the largest model (N = {largest}), where size limits D least."
        )


LAW = PowerTokens()
