"""GPU-hours, money and memory of a training run."""

from __future__ import annotations

import math
from typing import NamedTuple

from pipeline.accounting import Shape
from pipeline.planning.budget import HOUR, Machine

# Bytes per parameter of mixed precision with AdamW: 2 for weights, 2 for gradients, 12 for the
# 32-bit copy and both moments (Rajbhandari et al. 2020, arXiv:1910.02054, section 3.1). A trainer
# that keeps 32-bit weights and gradients and casts on the fly holds 4 + 4 + 8, the same.
STATE_BYTES = 16.0
LOGIT_BYTES = 4.0  # 32-bit logits of each token (Korthikanti et al. 2022, section 4)


class Bill(NamedTuple):
    """What training costs: GPU-hours, days on all GPUs, money; NaN where not known."""

    gpu_hours: float
    days: float
    money: float


class Memory(NamedTuple):
    """Bytes of one GPU: its share of weights, gradients and AdamW's state, and activations.

    ``least_gpus`` is the smallest number of GPUs among which a shared state fits, NaN where the
    memory of a GPU is not known, infinite where activations alone are too large.
    """

    states: float
    activations: float
    least_gpus: float

    @property
    def total(self) -> float:
        return self.states + self.activations


def bill(flops: float, machine: Machine) -> Bill:
    """The cost of ``flops`` of training on a machine."""
    if machine.speed is None:
        return Bill(math.nan, math.nan, math.nan)
    hours = flops / machine.speed / HOUR
    money = math.nan if machine.price is None else hours * machine.price
    return Bill(hours, hours / machine.gpus / 24.0, money)


def activations(shape: Shape, vocab_size: int, context: int, sequences: int = 1) -> float:
    """Bytes of activations of a step on some sequences, 16-bit, nothing computed twice.

    Korthikanti et al. 2022 (arXiv:2205.05198), eq. 1, without the scores of attention (a fused
    kernel keeps none): s b h (18 + 4 d_ff/h) per layer, which is 34 s b h at d_ff = 4 h, for each
    use of a layer. Taken for an LSTM's layers, too, whose gates and states are nearly as many.
    """
    layer = 18.0 + 4.0 * shape.d_ff / shape.d_model
    tokens = float(sequences) * context
    return tokens * (shape.depth * shape.d_model * layer + LOGIT_BYTES * vocab_size)


def memory(
    shape: Shape, params_total: float, vocab_size: int, context: int, machine: Machine
) -> Memory:
    """Memory of one GPU where all GPUs share the states evenly and each takes one sequence."""
    states = STATE_BYTES * params_total
    used = activations(shape, vocab_size, context)
    least = math.nan
    if machine.memory is not None:
        room = machine.memory - used
        least = math.ceil(states / room) if room > 0 else math.inf
    return Memory(states / machine.gpus, used, least)
