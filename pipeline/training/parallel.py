"""Learners of several processes that each hold the whole model and train on a part of the rows."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.cells import Cell
from pipeline.training.learner import Learner, dropout_seed
from pipeline.training.memory import Passes
from pipeline.training.processes import send, summed
from pipeline.training.team import Alone


def dropout_seed_of(cell: Cell, index: int, rank: int) -> int:
    """As dropout_seed, and different in each process, whose rows are different ones."""
    seed = dropout_seed(cell.seed, index)
    return dropout_seed(seed, rank) if rank else seed


class DataParallel(Learner):
    """A Learner in each process: the gradients of the parts are added up before the update.

    As all processes hold the same sum they do the same update, and stay equal.
    """

    def __init__(
        self, cell: Cell, device: torch.device, precision: str, team: Alone,
        passes: Passes | None = None,
    ):  # fmt: skip
        self.team = team
        super().__init__(cell, device, precision, passes=passes)

    def backward(self, tokens: Tensor, targets: Tensor, whole: int | None = None) -> Tensor:
        """As Learner's, with the gradient and the loss of all processes' rows; may have none."""
        self.sums[-1] = 0.0
        if len(tokens):
            whole = self.cell.batch_tokens // self.cell.context
            self.sums[-1] = super().backward(tokens, targets, whole)
        else:
            self.gradient.zero_()
        return summed(self.sums)[-1].clone()

    def _dropout_seed(self, index: int) -> int:
        return dropout_seed_of(self.cell, index, self.team.rank)

    def _pooled_parts(self) -> tuple[Tensor, float]:
        """As Learner's, of the parts of all processes."""
        small, parts = super()._pooled_parts()
        pooled = summed(torch.stack([small, torch.full_like(small, parts)]))
        return pooled[0], float(pooled[1])

    def arrays(self) -> list[Tensor]:
        """As Learner's in the first process; nothing in the others, which hold the same."""
        return super().arrays() if self.team.first else []

    def load(self, arrays: list[Tensor], step: int) -> None:
        """As Learner's, from the arrays that the first process has."""
        with torch.no_grad():
            super().load(arrays, step)
            for flat in (self.master, *self.state):
                send(flat)
            self._cast()
