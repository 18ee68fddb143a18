"""The registry of scaling laws. A new law is one module and one line here.

Importing this package loads no law and nothing outside the standard library, because the
workflow reads the registry each time it is parsed.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.laws.base import Law

# What a law can take or predict: the column of a table of runs, its meaning and unit.
COLUMNS: dict[str, str] = {
    "params": "N, parameters",
    "tokens": "D, tokens seen",
    "unique_tokens": "U, distinct training tokens",
    "flops": "C, FLOP",
    "flops_min": "C_min, FLOP that a batch far below the critical one would need",
    "steps": "S, optimizer steps",
    "steps_min": "S_min, steps that a batch far above the critical one would need",
    "batch_tokens": "B, tokens per optimizer step",
    "critical_batch": "B_crit, tokens per step at twice the fewest steps and tokens",
    "lr": "peak learning rate",
    "bits": "P, bits of the weights in training",
    "rounded_bits": "P, bits that the weights are rounded to after training",
    "loss": "nats/token",
    "evaluation_loss": "nats/token on another text",
    "rounding_loss": "nats/token that rounding the weights after training adds",
    "task_error": "share of a task's answers that are wrong",
}
ALLOCATION = "allocation"  # the exponent a of N* ~ C^a, beside the parameters of a law


class Entry(NamedTuple):
    """Where a law stands, the columns that it needs and predicts, and how many numbers it fits.

    ``surface`` marks laws of N and D, which have a compute optimum and can be planned with.
    """

    module: str
    parameters: int
    inputs: tuple[str, ...]
    target: str = "loss"
    surface: bool = False
    attribute: str = "LAW"


def _curve(
    module: str, parameters: int, column: str, target: str = "loss", attribute: str = "LAW"
) -> Entry:
    return Entry(f"{__name__}.{module}", parameters, (column,), target, False, attribute)


def _surface(module: str, parameters: int, *further: str) -> Entry:
    columns = ("params", "tokens", *further)
    return Entry(f"{__name__}.{module}", parameters, columns, surface=True)


LAWS: dict[str, Entry] = {
    "power_params": _curve("power_params", 2, "params"),
    "power_tokens": _curve("power_tokens", 2, "tokens"),
    "power_compute": _curve("power_compute", 2, "flops"),
    "power_compute_min": _curve("power_compute", 2, "flops_min", attribute="MIN"),
    "power_floor_params": _curve("power_floor", 3, "params", attribute="OVER_PARAMS"),
    "power_floor_tokens": _curve("power_floor", 3, "tokens", attribute="OVER_TOKENS"),
    "power_floor_compute": _curve("power_floor", 3, "flops", attribute="OVER_COMPUTE"),
    "log_params": _curve("log_law", 2, "params", attribute="OVER_PARAMS"),
    "log_tokens": _curve("log_law", 2, "tokens", attribute="OVER_TOKENS"),
    "log_compute": _curve("log_law", 2, "flops", attribute="OVER_COMPUTE"),
    "broken_params": _curve("broken", 6, "params", attribute="OVER_PARAMS"),
    "broken_tokens": _curve("broken", 6, "tokens", attribute="OVER_TOKENS"),
    "broken_compute": _curve("broken", 6, "flops", attribute="OVER_COMPUTE"),
    "m3_tokens": _curve("m3", 3, "tokens"),
    "m4_tokens": _curve("m4", 5, "tokens"),
    "kaplan": _surface("kaplan", 4),
    "chinchilla": _surface("chinchilla", 5),
    "kaplan_symmetric": _surface("kaplan_symmetric", 5),
    "additive": _surface("additive", 4),
    "overtraining": _surface("overtraining", 4),
    "farseer": _surface("farseer", 9),
    "muennighoff": _surface("muennighoff", 7, "unique_tokens"),
    "overfit_penalty": _surface("overfit_penalty", 8, "unique_tokens"),
    "bounded": _surface("bounded", 9, "unique_tokens"),
    "precision": _surface("precision", 6, "bits"),
    "post_precision": Entry(
        f"{__name__}.post_precision", 4, ("params", "tokens", "rounded_bits"), "rounding_loss"
    ),
    "kaplan_steps": Entry(f"{__name__}.kaplan_steps", 4, ("params", "steps_min")),
    "transfer": _curve("transfer", 2, "loss", "evaluation_loss"),
    "gadre_error": _curve("gadre_error", 3, "loss", "task_error"),
    "task_sigmoid": _curve("task_sigmoid", 4, "loss", "task_error"),
    "critical_batch": _curve("critical_batch", 2, "loss", "critical_batch"),
    "kaplan_lr": _curve("kaplan_lr", 2, "params", "lr"),
    "deepseek_lr": _curve("deepseek", 2, "flops", "lr", "LEARNING_RATE"),
    "deepseek_batch": _curve("deepseek", 2, "flops", "batch_tokens", "BATCH"),
    "step_law_lr": Entry(
        f"{__name__}.step_law", 3, ("params", "tokens"), "lr", attribute="LEARNING_RATE"
    ),
    "step_law_batch": _curve("step_law", 2, "tokens", "batch_tokens", "BATCH"),
    "batch_steps": _curve("batch_steps", 2, "batch_tokens", "steps"),
}
CURVES = tuple(name for name, entry in LAWS.items() if not entry.surface)
SURFACES = tuple(name for name, entry in LAWS.items() if entry.surface)


def named(key: str) -> str:
    """The name of the law that a fit's key begins with: transfer of transfer@code.

    What follows @ is the text or the task whose numbers the law is fitted to.
    """
    return key.partition("@")[0]


def law(key: str) -> Law:
    """The law of a fit's key; raises KeyError, with the nearest known name, if there is none."""
    name = named(key)
    if name not in LAWS:
        near = difflib.get_close_matches(name, LAWS, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(LAWS)}"
        raise KeyError(f"law: {name!r} is not in the registry; {hint}")
    found: Law = getattr(importlib.import_module(LAWS[name].module), LAWS[name].attribute)
    return found
