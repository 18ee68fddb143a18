"""Errors of a model on tasks: their questions in batched forward passes."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.tasks import TASKS
from pipeline.tasks.items import Items, Material, TaskError
from pipeline.training.data import TokenStream
from pipeline.training.evaluation import rows_at_once
from pipeline.training.inputs import InputError
from pipeline.training.learner import Learner
from pipeline.training.team import Alone


class Questions:
    """The questions of tasks on one corpus, made when they are first asked for."""

    def __init__(self, manifest: Path, text: TokenStream, context: int, vocab_size: int):
        tokenizer = manifest.with_name("tokenizer.json")
        self._material = Material(text, tokenizer, context, vocab_size)
        self._items: dict[str, Items] = {}

    def items(self, name: str) -> Items:
        """The questions of a task; raises InputError where they cannot be put."""
        if name not in self._items:
            module = importlib.import_module(f"pipeline.tasks.{TASKS[name].module}")
            try:
                self._items[name] = module.items(name, self._material)
            except TaskError as error:
                raise InputError(
                    f"evaluation.tasks: {name}: {error}, or leave the task out"
                ) from error
        return self._items[name]

    def scores(
        self, names: Sequence[str], learner: Learner, team: Alone | None = None
    ) -> list[dict[str, Any]]:
        """A row of each task in columns of the contracts.

        Tasks that ask of the same windows share the passes through them.
        """
        asked = [self.items(name) for name in names]
        together: dict[int, list[Items]] = {}
        for items in asked:
            together.setdefault(id(items.windows), []).append(items)
        found = {
            place: outcomes(learner, shared, team or Alone()) for place, shared in together.items()
        }
        rows = []
        for name, items in zip(names, asked):
            wrong = errors(items, found[id(items.windows)])
            rows.append({
                "task": name, "error": float(wrong.mean()), "error_se": spread(wrong),
                "chance": items.chance, "items": items.count,
            })  # fmt: skip
        return rows


def outcomes(learner: Learner, shared: Sequence[Items], team: Alone) -> NDArray[np.float64]:
    """What became of the targets that some items ask about, (rows, length); 0 of the others.

    1 where a target is not the likeliest token; where there are choices its loss in nats. The items
    have their windows in common, and are all with choices or all without.
    """
    windows, choices = shared[0].windows, shared[0].choices > 1
    asked = np.any([items.question >= 0 for items in shared], axis=0)
    mine, length = team.part(len(windows)), windows.shape[1] - 1
    rows = rows_at_once(learner, length)
    passes = -(-max(team.gathered(len(mine))) // rows)
    found = np.zeros((len(mine), length))
    with learner.evaluating():
        for first in range(0, passes * rows, rows):
            here = slice(mine.start + first, min(mine.start + first + rows, mine.stop))
            # Others may have more to score, and need this process's part of the weights.
            batch = torch.from_numpy(windows[here] if here.start < here.stop else windows[:1])
            batch = batch.to(learner.device)
            logits = learner.module.logits(batch[:, :-1])
            if here.start >= here.stop:
                continue
            kept = torch.from_numpy(asked[here]).to(learner.device)
            logits, targets = logits[kept.reshape(-1)], batch[:, 1:][kept]
            if choices:
                value = functional.cross_entropy(logits, targets, reduction="none").double()
            else:
                value = logits.argmax(-1) != targets
            found[first : first + len(batch)][asked[here]] = value.cpu().numpy()
    return np.concatenate(team.gathered(found))


def errors(items: Items, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each question adds to the error: 1 where it is answered wrongly, else 0.

    Of several choices that are equally likely one is taken blindly.
    """
    asked = items.question >= 0
    if items.choices == 1:
        failed = np.bincount(items.question[asked], found[asked], minlength=items.count)
        return (failed > 0).astype(float)
    totals = np.where(asked, found, 0.0).sum(1).reshape(-1, items.choices)
    best = totals == totals.min(1, keepdims=True)
    return 1 - best[:, 0] / best.sum(1)


def spread(wrong: NDArray[np.float64]) -> float:
    """Standard error of the share of wrong answers, of questions drawn anew.

    The standard deviation of the share behind them when every share is equally likely beforehand
    (a beta distribution): with many questions sqrt(p (1 - p) / n), and above zero even where all
    answers are alike.
    """
    failed, passed = float(wrong.sum()) + 1, float((1 - wrong).sum()) + 1
    count = failed + passed
    return math.sqrt(failed * passed / (count**2 * (count + 1)))
