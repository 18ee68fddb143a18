"""The algebra of Kaplan et al. 2020 (arXiv:2001.08361), on its constants or on anybody's fits.

Every function takes numbers or arrays that broadcast together, so that bootstrap replicates of
fitted constants give intervals. N counts parameters without embeddings, D tokens, S optimizer
steps, B tokens per step; C is FLOP (the paper's PF-day is ``PF_DAY`` FLOP); loss is nats/token.

The paper's own numbers disagree here and there: its exponents give 0.052 in eq. 1.8 and B.7 where
eq. 6.4 prints 0.054, and N grows as C^0.68 by this algebra where table 6 measures C^0.73.

``laws`` holds the laws and the paper's constants, ``algebra`` what follows from them, both of which
this package hands on; ``fits`` makes the laws of stored fits.
"""

from pipeline.accounting import PF_DAY
from pipeline.kaplan2020.algebra import (
    Crossing,
    Frontier,
    Growth,
    Ratios,
    compute_exponent,
    convergence,
    crossing,
    earliest_stop,
    excess_of_size,
    fewest_steps,
    flops_to_loss,
    frontier,
    frontier_scale,
    growth,
    least_flops,
    loss_of_budget,
    params_of,
    steps_of,
    tokens_against_overfit,
    tokens_at_steps,
    tokens_of,
)
from pipeline.kaplan2020.laws import (
    PAPER,
    BatchLaw,
    Constants,
    DataLaw,
    Number,
    Power,
    StepsLaw,
    Trend,
    relative_overfit,
)

__all__ = [
    "PAPER",
    "PF_DAY",
    "BatchLaw",
    "Constants",
    "Crossing",
    "DataLaw",
    "Frontier",
    "Growth",
    "Number",
    "Power",
    "Ratios",
    "StepsLaw",
    "Trend",
    "compute_exponent",
    "convergence",
    "crossing",
    "earliest_stop",
    "excess_of_size",
    "fewest_steps",
    "flops_to_loss",
    "frontier",
    "frontier_scale",
    "growth",
    "least_flops",
    "loss_of_budget",
    "params_of",
    "relative_overfit",
    "steps_of",
    "tokens_against_overfit",
    "tokens_at_steps",
    "tokens_of",
]
