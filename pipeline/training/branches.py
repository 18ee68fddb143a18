"""Short branches from a trunk's checkpoint, each at a batch size and a learning rate of its own.

All start from the same weights and moments of the optimizer, and go on through the text where the
trunk left it, at a constant rate, until their loss has fallen as far as is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.cells import Cell
from pipeline.training import checkpoints
from pipeline.training.data import Batches, TokenStream, end_of_text, open_split
from pipeline.training.evaluation import evaluate
from pipeline.training.inputs import CorpusFacts, InputError
from pipeline.training.learner import Learner, resolve_device, resolve_precision
from pipeline.training.schedules import is_evaluated

PER_OCTAVE = 4  # evaluations of a branch


@dataclass(frozen=True)
class Fan:
    """Which branches there are: batch sizes in tokens, factors of the rate, repeats on other text.

    A branch ends where its loss is at most ``lowest`` times that at the start, at the latest after
    ``steps`` steps and the steps that ``tokens`` more tokens take.
    """

    batches: Sequence[int]
    factors: Sequence[float]
    repeats: int
    lowest: float
    steps: int
    tokens: int

    def limit(self, batch: int) -> int:
        """Steps of a branch, at most."""
        return self.steps + self.tokens // batch

    @property
    def apart(self) -> int:
        """Tokens between the texts of two repeats: no branch takes more."""
        return max(self.limit(batch) * batch for batch in self.batches)


def branch(cell: Cell, batch: int, factor: float) -> Cell:
    """The cell as a branch trains it: rates follow the root of the batch, times the factor."""
    rate = factor * math.sqrt(batch / cell.batch_tokens)
    return replace(
        cell, batch_tokens=batch, lr=rate * cell.lr, lr_embedding=rate * cell.lr_embedding,
        noise_every=0, evaluations_per_octave=PER_OCTAVE, evaluate_every=0,
    )  # fmt: skip


class Start:
    """A trunk where the cooldown of ``cell`` branches off, and what its branches are scored on."""

    def __init__(self, cell: Cell, corpus: CorpusFacts, state: Path, device: str, threads: int):
        """Raises InputError, naming the file, where the checkpoint is missing or of another run."""
        if cell.trunk is None:
            raise InputError(f"{cell.key}: has no trunk (schedule {cell.schedule}); take a wsd run")
        torch.set_num_threads(threads)
        self.cell, self.corpus, self.at = cell, corpus, cell.stable_steps
        self.device = resolve_device(device)
        self.precision = resolve_precision(cell.precision, self.device)
        kept = state / "trunks" / cell.trunk / f"at-{self.at}.ckpt"
        self.arrays: list[Tensor] = checkpoints.load(kept, {
            "training": cell.trunk, "data_sha256": corpus.data_sha256, "precision": self.precision,
        }).arrays  # fmt: skip
        self.text = open_split(corpus.manifest, "train")
        end = end_of_text(corpus.manifest)
        self.validation: TokenStream = open_split(corpus.manifest, "validation", end)
        self.loss = self._scored(self._learner(cell))

    def rows(self, fan: Fan) -> Iterator[dict[str, Any]]:
        """Rows of contracts.BRANCHES, branch by branch."""
        for batch in fan.batches:
            for factor in fan.factors:
                made = branch(self.cell, batch, factor)
                for repeat in range(fan.repeats):
                    for step, loss in self._walk(made, fan, repeat):
                        yield {
                            "cell": self.cell.key, "trunk": self.cell.trunk, "at_step": self.at,
                            "at_loss": self.loss, "batch_tokens": batch, "factor": factor,
                            "lr": made.lr, "lr_embedding": made.lr_embedding, "repeat": repeat,
                            "step": step, "tokens": step * batch, "val_loss": loss,
                        }  # fmt: skip

    def _walk(self, made: Cell, fan: Fan, repeat: int) -> Iterator[tuple[int, float]]:
        """Steps of one branch and the validation loss after them; ends early at no number."""
        learner, limit = self._learner(made), fan.limit(made.batch_tokens)
        batches = Batches(self.text, made, self.device)
        passed = self.at * self.cell.batch_tokens + repeat * fan.apart
        first = -(-passed // made.batch_tokens)
        scored = replace(made, steps=limit, warmup_steps=0)
        for step in range(limit):
            learner.step(*batches(first + step), 1.0, self.at + step)
            if not is_evaluated(scored, step + 1):
                continue
            loss = self._scored(learner)
            if not math.isfinite(loss):
                return
            yield step + 1, loss
            if loss <= fan.lowest * self.loss:
                return

    def _learner(self, made: Cell) -> Learner:
        learner = Learner(made, self.device, self.precision)
        learner.load(self.arrays, self.at)
        return learner

    def _scored(self, learner: Learner) -> float:
        """Validation loss, nats/token."""
        return evaluate(learner, self.validation, self.cell.context).loss
