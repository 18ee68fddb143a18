"""The updates: AdamW, and Adafactor, which keeps two vectors for each matrix instead of moments.

Each is PyTorch's own function on tensors that the learner holds flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim._adafactor import adafactor
from torch.optim.adamw import adamw

from pipeline.cells import Cell

EPSILON = 1e-8  # AdamW's, added to the root of the second moment
# Adafactor's (Shazeer and Stern 2018), as PyTorch has them: the smallest root of a variance, the
# smallest root mean square of a weight, the power of the step in the decay, the largest update.
EPSILONS, DECAY, LARGEST = (torch.finfo(torch.float32).eps, 1e-3), -0.8, 1.0


@dataclass(frozen=True)
class Group:
    """Parameters with one learning rate and decay, their gradients, moments and step counts."""

    lr: float
    weight_decay: float
    parameters: list[Tensor]
    gradients: list[Tensor]
    firsts: list[Tensor]
    seconds: list[Tensor]
    steps: list[Tensor]

    def update(self, cell: Cell, factor: float) -> None:
        """One step of AdamW at ``factor`` times the peak rate."""
        adamw(
            self.parameters, self.gradients, self.firsts, self.seconds, [], self.steps, fused=True,
            amsgrad=False, maximize=False, beta1=cell.betas[0], beta2=cell.betas[1],
            lr=self.lr * factor, weight_decay=self.weight_decay, eps=EPSILON,
        )  # fmt: skip


@dataclass(frozen=True)
class Factored:
    """Weights with one learning rate and decay, gradients, and the factors of their variances.

    A matrix has a column and a row of factors, anything else all of its variance.
    """

    lr: float
    weight_decay: float
    parameters: list[Tensor]
    gradients: list[Tensor]
    rows: list[Tensor | None]
    columns: list[Tensor | None]
    variances: list[Tensor | None]
    steps: list[Tensor]

    def update(self, _cell: Cell, factor: float) -> None:
        """One step of Adafactor at ``factor`` times the peak rate.

        The rate is relative to a weight's root mean square, and 1 / sqrt(step) at most.
        """
        adafactor(
            self.parameters, self.gradients, self.rows, self.columns, self.variances, self.steps,
            d=LARGEST, lr=self.lr * factor, beta2_decay=DECAY, weight_decay=self.weight_decay,
            eps1=EPSILONS[0], eps2=EPSILONS[1], maximize=False,
        )  # fmt: skip


def factors(shapes: Sequence[torch.Size]) -> int:
    """How many numbers Adafactor keeps for weights of these shapes."""
    return sum(part.numel() for shape in shapes for part in _kept(shape))


def factored(
    lr: float, weight_decay: float, parameters: list[Tensor], gradients: list[Tensor], flat: Tensor
) -> Factored:
    """The group of some weights, its factors views of ``flat``."""
    rows: list[Tensor | None] = []
    columns: list[Tensor | None] = []
    variances: list[Tensor | None] = []
    shapes = [part for weight in parameters for part in _kept(weight.shape)]
    pieces = flat.split([shape.numel() for shape in shapes])
    views = iter([piece.view(shape) for piece, shape in zip(pieces, shapes)])
    for weight in parameters:
        is_matrix = weight.dim() > 1
        rows.append(next(views) if is_matrix else None)
        columns.append(next(views) if is_matrix else None)
        variances.append(None if is_matrix else next(views))
    steps = [torch.zeros(()) for _ in parameters]  # on the CPU, where the update reads them
    return Factored(lr, weight_decay, parameters, gradients, rows, columns, variances, steps)


def _kept(shape: torch.Size) -> list[torch.Size]:
    """Shapes of what Adafactor keeps for a weight: a column and a row, or for a vector itself."""
    if len(shape) < 2:
        return [shape]
    return [torch.Size((*shape[:-1], 1)), torch.Size((*shape[:-2], 1, shape[-1]))]
