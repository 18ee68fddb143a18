"""Every way to state a budget, as training FLOP.

A budget is one amount in one unit. GPU-hours and money become FLOP through the FLOP/s that one GPU
sustains: its peak times the share of it that training uses (model FLOP utilisation, Chowdhery et
al. 2022, arXiv:2204.02311, appendix B), or 6 N times the tokens per second that a model of N
parameters was measured at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pipeline.accounting import PF_DAY
from pipeline.config import ConfigError, number

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

    @property
    def key(self) -> str:
        """The key of a config's section ``plan`` that lists amounts of it."""
        return "budgets" if self is Unit.FLOPS else self.value


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


class Asked(NamedTuple):
    """What a config asks plans for: amounts in one unit, and their FLOP where they have any."""

    unit: Unit
    amounts: list[float]
    flops: list[float]


def asked(plan: Mapping[str, Any]) -> Asked | None:
    """What the section ``plan`` of a completed config lists; None where it lists nothing.

    Raises ConfigError where it lists two units, an amount is not positive, or the machine's speed
    or price is missing or contradicts itself.
    """
    machine = _machine(plan)
    given = [unit for unit in Unit if plan[unit.key]]
    if len(given) > 1:
        first, second = (unit.key for unit in given[:2])
        raise ConfigError(
            f"plan.{second}", plan[second], f"stands beside plan.{first}",
            "keep one of them: a study's plans are asked in one way",
        )  # fmt: skip
    if not given:
        return None
    unit, key = given[0], f"plan.{given[0].key}"
    amounts = [_amount(f"{key}[{i}]", value) for i, value in enumerate(plan[unit.key])]
    if unit is Unit.TARGET_LOSS:
        return Asked(unit, amounts, [])
    if unit in (Unit.GPU_HOURS, Unit.MONEY) and machine.speed is None:
        cure = "add plan.mfu with plan.gpu or plan.peak_flops, or plan.tokens_per_second"
        raise ConfigError(key, plan[unit.key], "needs the speed of a GPU", cure)
    if unit is Unit.MONEY and machine.price is None:
        cure = "add plan.price_per_gpu_hour"
        raise ConfigError(key, plan[unit.key], "needs the price of a GPU", cure)
    return Asked(unit, amounts, [flops(unit, amount, machine) for amount in amounts])


def _machine(plan: Mapping[str, Any]) -> Machine:
    """The machine of a config; raises ConfigError where its keys do not go together."""
    names = ("peak_flops", "mfu", "tokens_per_second", "measured_params", "price_per_gpu_hour")
    given = {n: _amount(f"plan.{n}", plan[n]) for n in names if plan[n] is not None}
    mfu, rate, size = (given.get(n) for n in ("mfu", "tokens_per_second", "measured_params"))
    peak = given.get("peak_flops") or (GPUS[plan["gpu"]].peak if plan["gpu"] else None)
    if rate is not None and mfu is not None:
        fault = "and plan.tokens_per_second both say how fast a GPU is"
        raise ConfigError("plan.mfu", plan["mfu"], fault, "keep one of them")
    if rate is not None and size is None:
        fault, cure = "belongs to a model size", "add plan.measured_params, that model's parameters"
        raise ConfigError("plan.tokens_per_second", plan["tokens_per_second"], fault, cure)
    if mfu is not None and peak is None:
        cure = "add the peak it is a share of: plan.gpu or plan.peak_flops"
        raise ConfigError("plan.mfu", plan["mfu"], "has no peak", cure)
    if mfu is not None and mfu > 1:
        fault, cure = "is more than 1", "give a share of the peak, such as 0.4"
        raise ConfigError("plan.mfu", plan["mfu"], fault, cure)
    return Machine(speed(peak, mfu, rate, size), given.get("price_per_gpu_hour"))


def _amount(key: str, value: Any) -> float:
    """A config number that is positive; raises ConfigError else."""
    if not (found := number(key, value)) > 0:
        raise ConfigError(key, value, "is not positive", "give a positive number")
    return found
