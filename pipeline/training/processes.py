"""A team of several processes, over torch.distributed: NCCL between GPUs, gloo between CPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.training.inputs import InputError
from pipeline.training.learner import resolve_device
from pipeline.training.team import Alone, Ended

T = TypeVar("T")

LOOK_SECONDS = 1.0  # between looks at whether any process was asked to stop, about
LOOK_STEPS = 32  # and at most so many steps
STEP_PATIENCE = timedelta(hours=1)  # for the others within a step: evaluations, checkpoints
PATIENCE = timedelta(days=7)  # for the first process's decisions: it may wait for a lock


class Processes(Alone):
    """The processes that a launcher started together, by its environment (RANK, WORLD_SIZE, ...).

    Decisions go over gloo on the CPU, so that a GPU never waits for them.
    """

    def __init__(self, wanted: str):
        device = resolve_device(wanted)
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if device.type == "cuda":
            local, visible = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
            if local >= visible:
                raise InputError(
                    f"--processes: process {local} of this node (from 0) has no GPU, {visible} are "
                    "visible; give at most one process for each GPU"
                )
            torch.cuda.set_device(local)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=STEP_PATIENCE)
        self._decisions = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._looked, self._seen, self._next = time.monotonic(), -1, 0

    def told(self, find: Callable[[], T]) -> T:
        message: list[Any] = [None, None]
        error: Exception | None = None
        if self.first:
            try:
                message = [find(), None]
            except Exception as raised:
                error, message = raised, [None, str(raised)]
        dist.broadcast_object_list(message, src=0, group=self._decisions)
        if message[1] is not None:
            self.agreed = True
            raise error or Ended(message[1])
        return message[0]

    def stopping(self, step: int, signal: int | None) -> int | None:
        if self._seen < step < self._next:
            return None
        now, gone = time.monotonic(), step - self._seen
        pace = 1
        if gone > 0 and self._seen >= 0:
            pace = int(LOOK_SECONDS * gone / max(now - self._looked, 1e-9))
        # The largest of all: of the signals, and of the first process's pace.
        asked = torch.tensor([signal or 0, min(max(pace, 1), LOOK_STEPS) if self.first else 0])
        dist.all_reduce(asked, dist.ReduceOp.MAX, group=self._decisions)
        number, steps = asked.tolist()
        self._looked, self._seen, self._next = now, step, step + steps
        return number or None

    def gathered(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value, group=self._decisions)
        return found

    def close(self) -> None:
        dist.barrier(self._decisions)  # none leaves before all have heard the last word
        dist.destroy_process_group()


def summed(values: Tensor) -> Tensor:
    """Replace a tensor by its sum over all processes, the same bits in each."""
    dist.all_reduce(values)
    return values


def send(values: Tensor) -> None:
    """Replace a tensor by that of the first process."""
    dist.broadcast(values, 0)
