"""Every way to state a budget, as training FLOP.

A budget is one amount in one unit. GPU-hours and money become FLOP through the FLOP/s that one GPU
sustains: its peak times the share of it that training uses (model FLOP utilisation, Chowdhery et
al. 2022, arXiv:2204.02311, appendix B), or 6 N times the tokens per second that a model of N
parameters was measured at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pipeline.accounting import PF_DAY
from pipeline.config import ConfigError, positive

HOUR = 3600.0  # s
# What is known of a machine: keys of a config's section ``plan``, options of the command line.
MACHINE = (
    "peak_flops", "mfu", "tokens_per_second", "measured_params", "price_per_gpu_hour",
    "gpu_memory", "gpus",
)  # fmt: skip
Spelling = Callable[[str], str]  # how such a key was written


def option(key: str) -> str:
    """A key of a config's section ``plan`` as the option of the command line."""
    return "--" + key.replace("_", "-")


def in_config(key: str) -> str:
    """The same key as its place in the config."""
    return f"plan.{key}"


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
        return option(self.value)

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


def machine(given: Mapping[str, Any], spelled: Spelling) -> Machine:
    """What trains, by a config's section ``plan``, or by the options of a command line.

    Both have the same keys; ``spelled`` tells how one was written. Raises ConfigError, which names
    them so, where a value is not positive or keys do not go together.
    """
    found = {key: positive(spelled(key), given[key]) for key in MACHINE if given[key] is not None}
    gpu = GPUS.get(given["gpu"])
    peak = found.get("peak_flops") or (gpu and gpu.peak)
    memory = found.get("gpu_memory") or (gpu and gpu.memory)
    speed = _speed(found, peak, spelled)
    return Machine(speed, found.get("price_per_gpu_hour"), memory, given["gpus"])


def _speed(found: Mapping[str, float], peak: float | None, spelled: Spelling) -> float | None:
    """FLOP/s that one GPU sustains; None where nothing is given that tells it."""
    mfu, rate, size = (found.get(key) for key in ("mfu", "tokens_per_second", "measured_params"))
    if rate is not None:
        if mfu is not None:
            fault = f"and {spelled('tokens_per_second')} both say how fast a GPU is"
            raise ConfigError(spelled("mfu"), mfu, fault, "keep one of them")
        if size is None:
            cure = f"add {spelled('measured_params')}, that model's parameters"
            raise ConfigError(spelled("tokens_per_second"), rate, "belongs to a model size", cure)
        return 6.0 * size * rate
    if mfu is None:
        return None
    if peak is None:
        cure = f"add the peak it is a share of: {spelled('gpu')} or {spelled('peak_flops')}"
        raise ConfigError(spelled("mfu"), mfu, "has no peak", cure)
    if mfu > 1:
        raise ConfigError(spelled("mfu"), mfu, "is more than 1", "give a share, such as 0.4")
    return peak * mfu


def flops(
    unit: Unit, amount: float, machine: Machine, key: str | None = None, spelled: Spelling = option
) -> float:
    """Training FLOP of an amount; raises ConfigError where the machine's speed or price is missing.

    The error names ``key``, or the unit's option. A target loss is no amount of compute:
    ``planning.constrained.cheapest`` finds its cost.
    """
    key = key or unit.option
    positive(key, amount)
    if unit is Unit.FLOPS:
        return amount
    if unit is Unit.PF_DAYS:
        return amount * PF_DAY
    if unit is Unit.TARGET_LOSS:
        raise ValueError("a target loss has no FLOP of its own; solve for it")
    if machine.speed is None:
        cure = (
            f"add {spelled('mfu')} with {spelled('gpu')} or {spelled('peak_flops')}, or "
            f"{spelled('tokens_per_second')} with {spelled('measured_params')}"
        )
        raise ConfigError(key, amount, "needs the speed of a GPU", cure)
    if unit is Unit.GPU_HOURS:
        return amount * HOUR * machine.speed
    if machine.price is None:
        cure = f"add {spelled('price_per_gpu_hour')}"
        raise ConfigError(key, amount, "needs the price of a GPU", cure)
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
    trains_on = machine(plan, in_config)
    given = [unit for unit in Unit if plan[unit.key]]
    if len(given) > 1:
        first, second = (unit.key for unit in given[:2])
        raise ConfigError(
            f"plan.{second}", plan[second], f"stands beside plan.{first}",
            "keep one of them: a study's plans are asked in one way",
        )  # fmt: skip
    if not given:
        return None
    unit, key = given[0], in_config(given[0].key)
    amounts = [positive(f"{key}[{i}]", value) for i, value in enumerate(plan[unit.key])]
    if unit is Unit.TARGET_LOSS:
        return Asked(unit, amounts, [])
    costs = [flops(unit, amount, trains_on, key, in_config) for amount in amounts]
    return Asked(unit, amounts, costs)
