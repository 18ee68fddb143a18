"""Step Law: learning rate and batch size by N and D (Li et al. 2025, arXiv:2503.04715)."""

from __future__ import annotations

from pipeline.laws.setting import BestSetting, exponent, factor

PAPER = "Li et al. 2025"


class StepLawLearningRate(BestSetting):
    """lr(N, D) = c N^-alpha D^beta."""

    name = "step_law_lr"
    title = "Step Law's learning rate by size and tokens"
    formula = r"\eta(N, D) = c\, N^{-\alpha} D^{\beta}"
    citation = "Li et al. 2025, arXiv:2503.04715"
    use = "A learning rate for any (N, D), from a grid whose best runs lie inside their sweeps."
    failure = "Its constants belong to one recipe and schedule; fit it to your own sweeps."
    target = "lr"
    inputs = ("params", "tokens")
    within = ("params", "tokens")
    signs = (-1.0, 1.0)
    parameters = (
        factor("1", "learning rate", (1.79, PAPER)),
        exponent("alpha", "model size", (0.713, PAPER)),
        exponent("beta", "tokens", (0.307, PAPER)),
    )


class StepLawBatch(BestSetting):
    """B(D) = c D^beta."""

    name = "step_law_batch"
    title = "Step Law's batch size by tokens"
    formula = r"B(D) = c\, D^{\beta}"
    citation = "Li et al. 2025, arXiv:2503.04715"
    use = "A batch size for a token count, whatever the model's size."
    failure = "The loss is nearly flat in the batch size: the best one of a sweep is mostly noise."
    target = "batch_tokens"
    inputs = ("tokens",)
    within = ("params", "tokens")
    signs = (1.0,)
    parameters = (
        factor("tokens", "batch size", (0.58, PAPER)),
        exponent("beta", "tokens", (0.571, PAPER)),
    )


LEARNING_RATE, BATCH = StepLawLearningRate(), StepLawBatch()
