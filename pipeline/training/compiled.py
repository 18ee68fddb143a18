"""Compiled layers on a GPU (torch.compile, Inductor), where the training left repays compiling.

One program serves all layers of a model: they have one shape. It is tried, held to the loss and
gradients of the layers as they are, and kept if it is faster. The loss and what is scored stay as
they are.

Never on the CPU: compiling costs tens of seconds for each shape, for little or no gain
(docs/training.md), which no training at that scale repays; and a program that is there in one
process and not in another would break the equality, bit for bit, of a cell trained alone and as a
branch.

Not with dropout, whose draws a program makes in another way, so that nothing could be compared;
not where activations are computed anew or a model is shared out, which hook into layers
themselves; not for LSTMs, whose layer is one kernel of the library already.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline import accounting
from pipeline.training.data import Batches
from pipeline.training.learner import Learner

# Assumptions, none of them measured here. A GPU is taken to reach the peak of a data sheet (NVIDIA
# H100 SXM), so that what a training lasts is rather under- than overestimated.
RATES = {"fp32": 6.7e13, "bf16": 9.89e14}  # FLOP/s
LAUNCH_SECONDS = 5e-6  # between starts of two kernels
KERNELS = 60  # of one layer, forward and backward
GAIN = 1.2  # speed with compiled layers over that without
COMPILE_SECONDS = 60.0  # of the program, with the comparison

TOLERANCE = {"fp32": 1e-4, "bf16": 1e-2}  # relative, of the loss and of the gradients' norms
REPEATS = 3  # timed passes, of which the fastest counts


class CompiledLayers:
    """Runs a layer compiled at one number of rows, and as it is at any other.

    So there is one program: the last pass of a batch may have fewer rows, and so has the pass
    that measures the gradient's noise.
    """

    def __init__(self, tokens: int):
        self.tokens = tokens
        self._program = torch.compile(_apply, fullgraph=True, dynamic=False)

    def __call__(self, layer: nn.Module, *inputs: Tensor | int) -> Tensor:
        first = inputs[0]
        assert isinstance(first, Tensor)
        return self._program(layer, *inputs) if len(first) == self.tokens else layer(*inputs)


def _apply(layer: nn.Module, *inputs: Tensor | int) -> Tensor:
    return layer(*inputs)


class Compiler:
    """Decides of each learner that it is shown whether its layers run compiled."""

    def __init__(self, log: Callable[[str], None]):
        self.log = log
        self.refused = False  # once is enough: all learners of a training are of one shape

    def consider(self, learner: Learner, batches: Batches, steps: int) -> None:
        """Compile where ``steps`` more steps on this process's rows repay it."""
        if self.refused or learner.module.faster or not batches.rows:
            return
        rows = len(batches.rows)
        if is_possible(learner) and pays(learner, rows, steps):
            self.start(learner, *batches(0))

    def start(self, learner: Learner, tokens: Tensor, targets: Tensor) -> None:
        """Let the layers run compiled from now on, if that works, agrees and is faster.

        ``tokens`` and ``targets`` are a batch's. Changes no parameter and no gradient.
        """
        part = slice(0, learner.passes.rows(tokens.shape[1]))
        tokens, targets = tokens[part], targets[part]
        plain, begun = _measured(learner, tokens, targets), time.monotonic()
        learner.module.faster = CompiledLayers(tokens.numel())
        try:
            with _compiling():
                found = _measured(learner, tokens, targets)
        except Exception as error:  # whatever a compiler raises: training goes on without it
            said = str(error).strip() or type(error).__name__
            why: str | None = f"compiling failed: {said.splitlines()[0]}"
        else:
            why = refusal(plain, found, TOLERANCE[learner.precision])
            took = f"compiled in {time.monotonic() - begun:.0f} s: {found} instead of {plain}"
        if why:
            learner.module.faster, self.refused = None, True
        self.log(f"{learner.cell.key}: layers {f'as they are: {why}' if why else took}")


def is_possible(learner: Learner) -> bool:
    """Can the layers be compiled where this learner trains?"""
    cell, passes = learner.cell, learner.passes
    as_they_are = not (cell.dropout or passes.recomputed or learner.sharded)
    return learner.device.type == "cuda" and cell.family != "lstm" and as_they_are


def pays(learner: Learner, rows: int, steps: int) -> bool:
    """Would compiling pay over ``steps`` steps of ``rows`` windows in this process?"""
    cell = learner.cell
    pieces = -(-rows // learner.passes.rows(cell.context))
    started = pieces * cell.shape.depth * KERNELS * LAUNCH_SECONDS
    each = accounting.exact_flops_per_token(cell.shape, cell.vocab_size, cell.context)
    computed = rows * cell.context * each / RATES[learner.precision]
    return steps * max(started, computed) * (1 - 1 / GAIN) > COMPILE_SECONDS


@dataclass(frozen=True)
class Pass:
    """One pass: its loss, the norm of each weight's gradient, and the seconds that it takes."""

    loss: Tensor
    norms: Tensor
    seconds: float

    def __str__(self) -> str:
        return f"{1e3 * self.seconds:.2f} ms a pass"


def _measured(learner: Learner, tokens: Tensor, targets: Tensor) -> Pass:
    passes = []
    for _ in range(1 + REPEATS):  # the first compiles
        begun = time.perf_counter()
        loss = learner.module(tokens, targets)
        found = torch.autograd.grad(loss, learner.weights)
        norms = torch.stack([torch.linalg.vector_norm(g, dtype=torch.float32) for g in found])
        loss, norms = loss.detach().cpu(), norms.cpu()  # waits for the device
        passes.append(Pass(loss, norms, time.perf_counter() - begun))
    return min(passes, key=lambda one: one.seconds)


def refusal(plain: Pass, found: Pass, tolerance: float) -> str | None:
    """Why compiled layers are not to be trained with; None where they are."""
    for name, one, other in (
        ("loss", found.loss, plain.loss),
        ("gradients' norms", found.norms, plain.norms),
    ):
        apart = float(torch.linalg.vector_norm(one - other) / torch.linalg.vector_norm(other))
        if not apart < tolerance:  # no number is not less
            return f"compiled ones differ in the {name} by {apart:.1g}"
    if found.seconds >= plain.seconds:
        return f"compiled ones take {found}, these {plain}"
    return None


@contextmanager
def _compiling() -> Iterator[None]:
    """No more processes than this one; the compiler's warnings unheard."""
    from torch._inductor import config

    config.compile_threads = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
