"""A Cell: one training run, defined before anything is run. Standard library only.

Its ``spec`` is the one definition of it. Its key is readable (N98k-D2.0M-s0-...) and ends in a
digest of the spec: for eyes and for the DAG, never parsed back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from pipeline import accounting
from pipeline.accounting import Shape


def digest(value: Any, length: int = 10) -> str:
    """A short digest of a JSON value, the same on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def short(value: float) -> str:
    """A count as eyes read it: 1536 -> 1.5k, 98304 -> 98k, 2e6 -> 2.0M."""
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "k")):
        scaled = value / 10**power
        if scaled >= 0.9995:
            return f"{scaled:.1f}{letter}" if scaled < 9.95 else f"{scaled:.0f}{letter}"
    return f"{value:.0f}"


@dataclass(frozen=True)
class Cell:
    """One training run. Counts are in tokens and optimizer steps; learning rates are peaks.

    Fields with a default came later than the others: at the default they are no part of the spec,
    so that a cell that does not use them keeps the key it had before them.
    """

    corpus: str
    family: str
    n_layer: int
    d_model: int
    d_ff: int
    n_head: int
    context: int
    vocab_size: int
    dropout: float
    tokens: int
    unique_tokens: int | None
    batch_tokens: int
    steps: int
    lr: float
    lr_embedding: float
    schedule: str
    warmup_steps: int
    cooldown_steps: int
    final_lr: float
    betas: tuple[float, float]
    weight_decay: float
    clip: float
    precision: str
    seed: int
    recipe: int
    evaluations_per_octave: int
    evaluate: tuple[str, ...]
    optimizer: str = "adamw"
    schedule_power: float = 1.0  # of the polynomial schedule
    evaluate_every: int = 0  # steps; 0 leaves it at those of each octave
    patience: int = 0  # evaluations without a better loss that end the run; 0 never does
    noise_every: int = 0  # steps between measurements of the gradient's noise; 0 is never
    along: tuple[str, ...] = ()  # texts scored at every evaluation
    tasks: tuple[str, ...] = ()  # tasks that the finished model is scored on
    tasks_along: tuple[str, ...] = ()  # tasks scored at every evaluation
    reuse: int = 1  # times that a recurrent transformer applies its layers

    @property
    def shape(self) -> Shape:
        return Shape(self.n_layer, self.d_model, self.d_ff, self.n_head, self.family, self.reuse)

    @property
    def params(self) -> int:
        return accounting.non_embedding_params(self.shape)

    @property
    def params_total(self) -> int:
        return accounting.total_params(self.shape, self.vocab_size, self.context)

    @property
    def flops_6nd(self) -> float:
        return accounting.flops_6nd(self.shape, self.tokens)

    @property
    def flops_exact(self) -> float:
        return accounting.flops_exact(self.shape, self.vocab_size, self.context, self.tokens)

    @property
    def stable_steps(self) -> int:
        """The step at which the cooldown branches off; all steps where there is none."""
        return self.steps - self.cooldown_steps

    def spec(self) -> dict[str, Any]:
        """The definition of the run as JSON values, without fields at their default."""
        kept = json.loads(json.dumps(asdict(self)))
        for field in fields(self):
            if field.default is not MISSING and getattr(self, field.name) == field.default:
                del kept[field.name]
        return kept

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Cell:
        """The cell that ``spec`` defines; raises TypeError on foreign or missing fields."""
        values = dict(spec)
        for name in ("betas", "evaluate", "along", "tasks", "tasks_along"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    @cached_property
    def key(self) -> str:
        """Folder name of the cell."""
        name = f"N{short(self.params)}-D{short(self.tokens)}-s{self.seed}"
        return f"{name}-{digest(self.spec())}"

    @cached_property
    def state(self) -> str:
        """Key of the training itself: what is evaluated afterwards does not retrain a model."""
        return digest(replace(self, evaluate=(), tasks=()).spec(), 16)

    @property
    def training(self) -> str:
        """Key of what is trained by itself: the trunk, or without one the cell's own training."""
        return self.trunk or self.state

    @cached_property
    def trunk(self) -> str | None:
        """Key of the stable phase that cells of all token counts share; None without one."""
        if self.schedule != "wsd":
            return None
        spec = replace(self, evaluate=(), tasks=()).spec()
        for own in ("tokens", "steps", "cooldown_steps", "final_lr"):
            del spec[own]
        return f"N{short(self.params)}-s{self.seed}-{digest(spec)}"
