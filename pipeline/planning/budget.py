"""Every way to state a budget, as training FLOP.

A budget is one amount in one unit. GPU-hours and money become FLOP through the FLOP/s that one GPU
sustains: its peak times the share of it that training uses (model FLOP utilisation, Chowdhery et
al. 2022, arXiv:2204.02311, appendix B), or 6 N times the tokens per second that a model of N
parameters was measured at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pipeline.accounting import PF_DAY

HOUR = 3600.0  # s


class Unit(StrEnum):
    """What an amount counts."""

    FLOPS = "flops"
    PF_DAYS = "pf_days"
    GPU_HOURS = "gpu_hours"
    MONEY = "money"
    TARGET_LOSS = "target_loss"

    @property
    def option(self) -> str:
        """The option of the command line that gives it."""
        return "--" + self.value.replace("_", "-")


class Gpu(NamedTuple):
    """A GPU as its maker describes it: dense bf16 peak in FLOP/s, memory in bytes."""

    name: str
    peak: float
    memory: float


# From NVIDIA's datasheets (A100 of 2021, H100 and H200 of 2024), which print the bf16 rate of the
# last two with 2:4 sparsity: twice the dense rate that stands here.
GPUS = {
    "a100": Gpu("NVIDIA A100 SXM 80 GB", 312e12, 80e9),
    "h100": Gpu("NVIDIA H100 SXM 80 GB", 989e12, 80e9),
    "h200": Gpu("NVIDIA H200 SXM 141 GB", 989e12, 141e9),
}


@dataclass(frozen=True)
class Machine:
    """What trains: ``speed`` in FLOP/s of one GPU, ``price`` of an hour of it, ``memory`` in bytes.

    None stands for what is not known; ``gpus`` work on one training.
    """

    speed: float | None = None
    price: float | None = None
    memory: float | None = None
    gpus: int = 1


def speed(
    peak: float | None, mfu: float | None, tokens_per_second: float | None, params: float | None
) -> float | None:
    """FLOP/s that one GPU sustains; None where nothing is given that tells it.

    Raises ValueError where the pieces given contradict or do not suffice.
    """
    if tokens_per_second is not None:
        if mfu is not None:
            raise ValueError("--tokens-per-second and --mfu both say how fast a GPU is; give one")
        if params is None:
            raise ValueError(
                f"--tokens-per-second {tokens_per_second:g}: a speed belongs to a model size; give "
                "--measured-params, the parameters of the model it was measured on"
            )
        return 6.0 * params * tokens_per_second
    if mfu is None:
        return None
    if peak is None:
        raise ValueError(f"--mfu {mfu:g}: give the peak it is a share of, --gpu or --peak-flops")
    if not mfu <= 1:
        raise ValueError(f"--mfu {mfu:g}: a share of the peak is at most 1")
    return peak * mfu


def positive(option: str, amount: float) -> float:
    """The amount; raises ValueError naming the option where it is not positive and finite."""
    if not (math.isfinite(amount) and amount > 0):
        raise ValueError(f"{option} {amount:g}: take a positive number")
    return amount


def flops(unit: Unit, amount: float, machine: Machine) -> float:
    """Training FLOP of an amount; raises ValueError where the machine's speed or price is missing.

    A target loss is no amount of compute: ``planning.constrained.cheapest`` finds its cost.
    """
    positive(unit.option, amount)
    if unit is Unit.FLOPS:
        return amount
    if unit is Unit.PF_DAYS:
        return amount * PF_DAY
    if unit is Unit.TARGET_LOSS:
        raise ValueError("a target loss has no FLOP of its own; solve for it")
    if machine.speed is None:
        raise ValueError(
            f"{unit.option} {amount:g}: how fast is a GPU? give --tokens-per-second with "
            "--measured-params, or --mfu with --gpu or --peak-flops"
        )
    if unit is Unit.GPU_HOURS:
        return amount * HOUR * machine.speed
    if machine.price is None:
        raise ValueError(f"--money {amount:g}: give --price-per-gpu-hour")
    return amount / machine.price * HOUR * machine.speed
