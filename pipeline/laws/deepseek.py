"""DeepSeek's learning rate and batch size as powers of compute (Bi et al. 2024, arXiv:2401.02954).

Their C counts the FLOP of attention too, 6 N D does not: the constants are for theirs.
"""

from __future__ import annotations

from pipeline.laws.setting import BestSetting, exponent, factor

PAPER = "Bi et al. 2024"


class DeepseekLearningRate(BestSetting):
    """lr(C) = c C^-alpha."""

    name = "deepseek_lr"
    title = "DeepSeek's learning rate by compute"
    formula = r"\eta(C) = c\, C^{-\alpha}"
    citation = "Bi et al. 2024, arXiv:2401.02954, section 3.1"
    use = "A learning rate for a budget that is spent near its optimum."
    failure = "Size and tokens count only through C: away from the optimal split it is not theirs."
    target = "lr"
    inputs = ("flops",)
    within = ("flops",)
    signs = (-1.0,)
    parameters = (
        factor("1", "learning rate", (0.3118, PAPER)),
        exponent("alpha", "compute", (0.1250, PAPER)),
    )


class DeepseekBatch(BestSetting):
    """B(C) = c C^beta."""

    name = "deepseek_batch"
    title = "DeepSeek's batch size by compute"
    formula = r"B(C) = c\, C^{\beta}"
    citation = "Bi et al. 2024, arXiv:2401.02954, section 3.1"
    use = "A batch size for a budget that is spent near its optimum."
    failure = "The loss is nearly flat in the batch size: the best one of a sweep is mostly noise."
    target = "batch_tokens"
    inputs = ("flops",)
    within = ("flops",)
    signs = (1.0,)
    parameters = (
        factor("tokens", "batch size", (0.2920, PAPER)),
        exponent("beta", "compute", (0.3271, PAPER)),
    )


LEARNING_RATE, BATCH = DeepseekLearningRate(), DeepseekBatch()
