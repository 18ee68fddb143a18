"""The loss that a given run would reach, and what holds it up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.planning.answer import ROUNDING, loss_of
from pipeline.planning.calculators import Bottleneck, bottleneck
from pipeline.planning.evidence import Evidence
from pipeline.planning.support import Estimate, Reach


@dataclass(frozen=True)
class Outcome:
    """A run of N parameters on D tokens, with its loss; ``refusal`` stands in place of the loss."""

    params: float
    tokens: float
    loss: Estimate
    bottleneck: Bottleneck
    sentence: str
    extrapolation: float
    refusal: str | None = None


def predict_loss(
    evidence: Evidence, params: float | None = None, tokens: float | None = None,
    flops: float | None = None, reach: Reach | None = None,
    fixed: Mapping[str, float] | None = None,
) -> Outcome:  # fmt: skip
    """The loss of a run given by two or three of N, D and C, with its interval and bottleneck.

    Two of them give the third by C = 6 N D. Of three, C counts where it is less than 6 N D: the run
    then ends after C / 6N tokens and is limited by compute. Raises ValueError on fewer than two.
    """
    given = {"params": params, "tokens": tokens, "flops": flops}
    for name, value in given.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} {value:g}: take a positive number")
    if sum(value is not None for value in given.values()) < 2:
        raise ValueError("a run is given by two or three of --params, --tokens and --flops")
    reach, fixed = reach or Reach(), fixed or {}
    n = params if params is not None else flops / (6.0 * tokens)  # type: ignore[operator]
    d = tokens if tokens is not None else flops / (6.0 * n)  # type: ignore[operator]
    whole = 6.0 * n * d
    short = flops is not None and flops < whole * (1 - ROUNDING)
    spare = flops is not None and flops > whole * (1 + ROUNDING)
    if short:
        wanted, d = d, flops / (6.0 * n)  # type: ignore[operator]
    limit = bottleneck(evidence.law, evidence.values, n, d, fixed, spare)
    sentence = limit.sentence
    if short:
        sentence = f"The compute ends training after {d:.3g} of the {wanted:.3g} tokens."
        limit = Bottleneck.COMPUTE
    far = max(evidence.support.factors(n, d).values())
    if far > reach.refused * (1 + ROUNDING):
        refusal = (
            f"The run lies {far:.3g} times beyond those behind {evidence.law.name}, more than "
            f"{reach.refused:g} times: train larger ones first, or raise --refuse-beyond"
        )
        return Outcome(n, d, Estimate(math.nan), limit, sentence, far, refusal)
    return Outcome(n, d, loss_of(evidence, n, d, reach, fixed), limit, sentence, far)
