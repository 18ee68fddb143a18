"""Learners that share out one model between processes, where it does not fit into each (FSDP2).

Rajbhandari et al. (2020), ZeRO, stage 3; Zhao et al. (2023), PyTorch FSDP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from pipeline.cells import Cell
from pipeline.training.inputs import InputError
from pipeline.training.learner import Learner
from pipeline.training.memory import Passes
from pipeline.training.optimizers import Group
from pipeline.training.parallel import dropout_seed_of
from pipeline.training.processes import summed
from pipeline.training.team import Alone, share


def check(cell: Cell) -> None:
    """Refuse a cell that cannot be shared out."""
    if cell.optimizer == "adafactor":
        raise InputError(
            f"{cell.key}: adafactor needs whole matrices, of which processes that share out a "
            "model hold parts; give --shard never, or set training.optimizer to adamw"
        )


class Sharded(Learner):
    """Each process keeps its part of every weight, and of its gradient and moments, in float32.

    The parts of a layer are gathered, in the precision of the arithmetic, when it computes.
    """

    sharded = True

    def __init__(
        self, cell: Cell, device: torch.device, precision: str, team: Alone,
        passes: Passes | None = None,
    ):  # fmt: skip
        """``passes`` must be the same in all processes: each pass is one of all together."""
        self.team = team
        super().__init__(cell, device, precision, passes=passes)

    def _place(self, matrices: int) -> None:
        names = {id(weight): name for name, weight in self.module.named_parameters()}
        order = [names[id(weight)] for weight in self.weights]
        mesh = init_device_mesh(self.device.type, (self.team.size,))
        policy = MixedPrecisionPolicy()
        if self.precision == "bf16":
            policy = MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32)
        for block in self.module.blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(self.module, mesh=mesh, mp_policy=policy)
        register_fsdp_forward_method(self.module, "losses")
        register_fsdp_forward_method(self.module, "logits")
        found = dict(self.module.named_parameters())
        self.weights = [found[name] for name in order]
        self._own = [_local(weight) for weight in self.weights]
        self._gradients = [torch.zeros_like(own) for own in self._own]
        self._firsts = [torch.zeros_like(own) for own in self._own]
        self._seconds = [torch.zeros_like(own) for own in self._own]
        self.groups = (
            self._group(slice(0, matrices), self.cell.lr, self.cell.weight_decay),
            self._group(slice(matrices, None), self.cell.lr_embedding, 0.0),
        )

    def _group(self, part: slice, lr: float, decay: float) -> Group:
        kept = [i for i in range(len(self._own))[part] if self._own[i].numel()]
        own, gradients, firsts, seconds = (
            [tensors[i] for i in kept]
            for tensors in (self._own, self._gradients, self._firsts, self._seconds)
        )
        steps = [torch.zeros((), device=self.device) for _ in kept]
        return Group(lr, decay, own, gradients, firsts, seconds, steps)

    def backward(self, tokens: Tensor, targets: Tensor, whole: int | None = None) -> Tensor:
        """As Learner's, of all processes' rows; leaves each its own part of the gradient."""
        whole = self.cell.batch_tokens // self.cell.context
        most = len(share(whole, 0, self.team.size))
        pieces = -(-most // self.passes.rows(self.cell.context))
        total = torch.zeros((), device=self.device)
        for weight in self.weights:
            weight.grad = None
        for index in range(pieces):
            part = share(len(tokens), index, pieces)
            chosen = slice(part.start, part.stop)
            ids, wanted = tokens[chosen], targets[chosen]
            if not part:  # computes with the others, who need its part of the weights
                ids = wanted = torch.zeros((1, self.cell.context), dtype=torch.int64,
                                           device=self.device)  # fmt: skip
            loss = self.module(ids, wanted) * (len(part) / whole)
            (loss * self.team.size).backward()  # gradients are averaged over the processes
            total += loss.detach()
        for gradient, weight in zip(self._gradients, self.weights):
            assert weight.grad is not None
            gradient.copy_(_local(weight.grad))
            weight.grad = None
        return summed(total)

    def _noise(self, _tokens: Tensor, _targets: Tensor) -> None:
        """Not measured: no process has the gradient of a part of the batch."""

    def _dropout_seed(self, index: int) -> int:
        return dropout_seed_of(self.cell, index, self.team.rank)

    def _measure(self) -> None:
        norms = torch.stack([torch.linalg.vector_norm(part) for part in self._gradients])
        self.norm = summed(norms.square().sum()).sqrt()

    def _scale(self, factor: Tensor) -> None:
        for part in self._gradients:
            part *= factor

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without gradients and dropout; afterwards every process holds its part alone again."""
        with super().evaluating():
            yield
        self.module.reshard()  # type: ignore[operator]

    def arrays(self) -> list[Tensor]:
        """As Learner's in the first process, gathered weight by weight; nothing in the others."""
        found = [self._whole(parts) for parts in (self._own, self._firsts, self._seconds)]
        return found if self.team.first else []

    def _whole(self, parts: list[Tensor]) -> Tensor:
        pieces = []
        for part, weight in zip(parts, self.weights):
            spread = _distributed(weight)
            piece = DTensor.from_local(
                part, spread.device_mesh, spread.placements, shape=weight.shape,
                stride=weight.stride(),
            ).full_tensor()  # fmt: skip
            if self.team.first:
                pieces.append(piece.reshape(-1).cpu())
        return torch.cat(pieces) if pieces else torch.empty(0)

    def load(self, arrays: list[Tensor], step: int) -> None:
        """As Learner's, from the arrays that the first process has, handed out by weight."""
        kinds = (self._own, self._firsts, self._seconds)
        lengths = [weight.numel() for weight in self.weights]
        with torch.no_grad():
            given = self.team.told(lambda: len(arrays))
            for index, parts in enumerate(kinds[:given]):
                pieces = arrays[index].split(lengths) if self.team.first else ()
                for place, (part, weight) in enumerate(zip(parts, self.weights)):
                    part.copy_(_handed(pieces[place] if pieces else None, weight))
            self._count(step)

    def _cast(self) -> None:
        """Nothing: weights are cast when they are gathered."""


def _distributed(weight: Tensor) -> DTensor:
    assert isinstance(weight, DTensor)
    return weight


def _local(weight: Tensor) -> Tensor:
    """This process's part, sharing memory with it."""
    return _distributed(weight.detach()).to_local()


def _handed(piece: Tensor | None, weight: nn.Parameter | Tensor) -> Tensor:
    """This process's part of a whole that the first process has."""
    spread = _distributed(weight)
    device = spread.to_local().device
    whole = (
        torch.empty(weight.shape, device=device)
        if piece is None
        else piece.to(device).view(weight.shape)
    )
    return _local(distribute_tensor(whole, spread.device_mesh, spread.placements))
