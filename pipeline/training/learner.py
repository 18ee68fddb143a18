"""One model being trained: flat parameters, and the update that changes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pipeline import provenance
from pipeline.cells import Cell
from pipeline.models import FAMILIES
from pipeline.models.operations import PLAIN, fastest
from pipeline.training import memory
from pipeline.training.inputs import InputError
from pipeline.training.memory import Passes
from pipeline.training.noise import PART, estimates, squared_norm
from pipeline.training.optimizers import Factored, Group, factored, factors


def resolve_device(wanted: str) -> torch.device:
    """auto, cpu or cuda as a device; raises InputError where there is no such device."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "training.device: a GPU is asked for but PyTorch sees none; set gpus to 0 (in the "
            "profile) or training.device to cpu, or install a build of PyTorch with CUDA"
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def resolve_precision(wanted: str, device: torch.device) -> str:
    """fp32 or bf16; auto takes bf16 where the hardware multiplies in it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return provenance.cpu_precision()


def dropout_seed(seed: int, step: int) -> int:
    """A seed in [0, 2^63), within PyTorch's range whatever the cell's seed; differs by step."""
    digest = hashlib.blake2b(f"{seed} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % 2**63


class Learner:
    """Parameters of one cell and the state of its optimizer as flat float32 tensors.

    All weights are views of one tensor, the matrices first, then embeddings and gains: the cast to
    bfloat16, the clipping and each group's AdamW are one operation each, however many layers there
    are. In bf16 the model computes on a cast copy; the parameters stay float32.

    ``state`` holds AdamW's first and second moments, or Adafactor's factors.
    """

    sharded = False  # is every forward pass one of all processes together?

    def __init__(
        self, cell: Cell, device: torch.device, precision: str, fast: bool = True,
        passes: Passes | None = None,
    ):  # fmt: skip
        """``passes`` says how batches go through; by itself as the device's memory has room."""
        self.cell, self.device, self.precision = cell, device, precision
        self.passes = passes or memory.choose(
            cell, precision, device.type, memory.device_bytes(device)
        )
        operations = fastest(device.type, precision) if fast else PLAIN
        self.module = FAMILIES[cell.family](
            cell.shape, cell.vocab_size, cell.context, cell.dropout, operations
        )
        self.module.recomputed = self.passes.recomputed
        self.module.initialise(torch.Generator().manual_seed(cell.seed))
        matrices = self.module.matrices()
        known = {id(weight) for weight in matrices}
        self.weights = matrices + [w for w in self.module.parameters() if id(w) not in known]
        self.norm = torch.zeros((), device=device)
        self.noise: Tensor | None = None
        self._parts: list[Tensor] | None = None  # squared norms of a batch's parts, by their share
        self._place(len(matrices))

    def _place(self, matrices: int) -> None:
        """Move the weights, of which the first are ``matrices``, to where they are trained."""
        device = self.device
        self.master = torch.cat([w.detach().reshape(-1) for w in self.weights]).to(device)
        # The gradient, and behind it the loss.
        self.sums = torch.zeros(len(self.master) + 1, device=device)
        self.gradient = self.sums[:-1]
        self.working = self.master
        if self.precision == "bf16":
            self.working = self.master.to(torch.bfloat16)
        self.module.to(device, self.working.dtype)
        self._split = [w.shape for w in self.weights]
        with torch.no_grad():
            for weight, view in zip(self.weights, self._views(self.working)):
                weight.data = view
        self._gradients = self._views(self.gradient)
        self.groups: tuple[Group, ...] | tuple[Factored, ...]
        if self.cell.optimizer == "adafactor":
            self.state = [torch.zeros(factors(self._split), device=device)]
            self.groups = self._factored(matrices)
        else:
            self.state = [torch.zeros_like(self.master), torch.zeros_like(self.master)]
            self.groups = self._groups(sum(shape.numel() for shape in self._split[:matrices]))

    def _views(self, flat: Tensor) -> list[Tensor]:
        parts = flat.split([shape.numel() for shape in self._split])
        return [part.view(shape) for part, shape in zip(parts, self._split)]

    def _rates(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Learning rate and decay of the matrices, and of embeddings and gains."""
        return (self.cell.lr, self.cell.weight_decay), (self.cell.lr_embedding, 0.0)

    def _groups(self, matrices: int) -> tuple[Group, ...]:
        """AdamW's groups, of which the first is the first ``matrices`` numbers."""
        first, second = self.state
        return tuple(
            Group(lr, decay, [self.master[part]], [self.gradient[part]], [first[part]],
                  [second[part]], [torch.zeros((), device=self.device)])
            for part, (lr, decay) in zip((slice(0, matrices), slice(matrices, None)), self._rates())
        )  # fmt: skip

    def _factored(self, matrices: int) -> tuple[Factored, ...]:
        """Adafactor's groups, of which the first is the first ``matrices`` weights."""
        [flat], masters = self.state, self._views(self.master)
        behind = factors(self._split[:matrices])
        parts = ((slice(0, matrices), flat[:behind]), (slice(matrices, None), flat[behind:]))
        return tuple(
            factored(lr, decay, masters[part], self._gradients[part], own)
            for (part, own), (lr, decay) in zip(parts, self._rates())
        )

    def step(self, tokens: Tensor, targets: Tensor, factor: float, index: int) -> Tensor:
        """One update at ``factor`` times the peak rates; returns the batch's mean loss (0-d).

        ``index`` is the step's number: dropout draws from (seed, index), so that it is the same
        after a resume. The gradient norm before clipping is left in ``norm``, and at steps where
        the cell asks for it the estimates of the gradient's noise in ``noise``.
        """
        if self.cell.dropout:
            torch.manual_seed(self._dropout_seed(index))
        measured = self.cell.noise_every and index % self.cell.noise_every == 0
        self._parts = [] if measured else None
        loss = self.backward(tokens, targets)
        self.noise = self._noise(tokens, targets) if measured else None
        with torch.no_grad():
            self._measure()
            if self.cell.clip:
                self._scale((self.cell.clip / (self.norm + 1e-6)).clamp(max=1.0))
            for group in self.groups:
                group.update(self.cell, factor)
            self._cast()
        return loss

    def _dropout_seed(self, index: int) -> int:
        return dropout_seed(self.cell.seed, index)

    def _measure(self) -> None:
        self.norm = torch.linalg.vector_norm(self.gradient)

    def _scale(self, factor: Tensor) -> None:
        self.gradient *= factor

    def backward(self, tokens: Tensor, targets: Tensor, whole: int | None = None) -> Tensor:
        """Leave the batch's mean gradient in ``gradient``; returns its mean loss (0-d).

        Where the rows are part of a batch of ``whole`` rows, their share of both.
        """
        rows = self.passes.rows(tokens.shape[1])
        whole = len(tokens) if whole is None else whole
        total = None
        for first in range(0, len(tokens), rows):
            part = slice(first, first + rows)
            share = len(tokens[part]) / whole
            loss = self.module(tokens[part], targets[part]) * share
            found = torch.autograd.grad(loss, self.weights)
            if self._parts is not None:
                self._parts.append(squared_norm(found) / share)
            for view, gradient in zip(self._gradients, found):
                if total is None:
                    view.copy_(gradient)
                else:
                    view.add_(gradient)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    def _noise(self, tokens: Tensor, targets: Tensor) -> Tensor | None:
        """Estimates of the gradient's noise (noise.estimates) from the batch just gone through.

        Where it went through in several parts, from these. Else from one more gradient, of its
        first rows: as the batch contains them, the squared distance between the two gradients has
        the expectation of the difference of their squared norms, and varies less.
        """
        whole, large = self.cell.batch_tokens, squared_norm([self.gradient])
        small, parts = self._pooled_parts()
        if parts > 1:
            return estimates(small, large, whole / parts, whole)
        rows = max(1, len(tokens) // PART)
        if rows >= len(tokens):
            return None
        found = torch.autograd.grad(self.module(tokens[:rows], targets[:rows]), self.weights)
        apart = squared_norm(one - other for one, other in zip(found, self._gradients))
        return estimates(large + apart, large, rows * self.cell.context, whole)

    def _pooled_parts(self) -> tuple[Tensor, float]:
        """Mean squared norm of the gradients of a batch's parts, and how many there are.

        Parts count by their rows, so that the mean is that of parts of the mean size.
        """
        parts = self._parts or []
        return sum(parts, torch.zeros((), dtype=torch.float64, device=self.device)), len(parts)

    def _cast(self) -> None:
        if self.working is not self.master:
            self.working.copy_(self.master)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without gradients and dropout."""
        self.module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.module.train()

    def arrays(self) -> list[Tensor]:
        """Copies of the parameters and the optimizer's state, float32 on the CPU."""
        return [flat.detach().to("cpu", copy=True) for flat in (self.master, *self.state)]

    def load(self, arrays: list[Tensor], step: int) -> None:
        """Continue from ``arrays`` (as arrays gives; or parameters alone) after ``step``."""
        with torch.no_grad():
            for flat, values in zip((self.master, *self.state), arrays):
                flat.copy_(values)
            self._count(step)
            self._cast()

    def _count(self, step: int) -> None:
        for group in self.groups:
            for count in group.steps:
                count.fill_(float(step))
