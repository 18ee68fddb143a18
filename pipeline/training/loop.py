"""The training loop: updates, rows of the curve, checkpoints, and the ways it can end."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from pipeline import accounting
from pipeline.cells import Cell, digest
from pipeline.tasks import RECIPE
from pipeline.training import checkpoints, memory, noise, stopping
from pipeline.training.allocation import keep_freed_memory
from pipeline.training.compiled import Compiler
from pipeline.training.data import Batches, TokenStream, end_of_text, open_split
from pipeline.training.evaluation import Score, evaluate, score_row
from pipeline.training.inputs import CorpusFacts
from pipeline.training.interruption import Stopped, StopRequest
from pipeline.training.learner import Learner, resolve_device, resolve_precision
from pipeline.training.progress import Progress, Snapshot
from pipeline.training.questions import Questions
from pipeline.training.schedules import is_evaluated, lr_factor
from pipeline.training.team import Alone
from pipeline.training.turns import Turn

CHECK_STEPS = 32  # steps between looks at the loss: each look waits for the device
QUIET = 30.0  # seconds at least between lines of a log
DIVERGED = 1.0  # nats/token above a uniform guess, after the warmup, that end a run


class Diverged(Exception):  # noqa: N818 - an outcome, recorded as a row
    """The loss is no number, or worse than a uniform guess by DIVERGED nats after the warmup."""


@dataclass(frozen=True)
class Machine:
    """What training runs on and how it behaves there; no part of what a cell means."""

    device: str = "auto"
    threads: int = 1
    checkpoint_seconds: float = 60.0
    patience: float = 0.0  # s to wait for another process's end
    shard: str = "auto"
    team: Alone = field(default_factory=Alone)
    stop: StopRequest = field(default_factory=StopRequest)
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)


class Trainer:
    """One set of parameters and where it stands; goes through a trunk and its branches in turn."""

    learner: Learner

    def __init__(
        self, cell: Cell, corpus: CorpusFacts, machine: Machine,
        texts: Mapping[str, CorpusFacts] = MappingProxyType({}),
    ):  # fmt: skip
        """``texts`` holds those that the cell is scored on along its curve, by key."""
        keep_freed_memory()
        torch.set_num_threads(machine.threads)
        self.machine, self.corpus, self.team = machine, corpus, machine.team
        self.device = resolve_device(machine.device)
        self.precision = resolve_precision(cell.precision, self.device)
        self.cell, self.passes = cell, self._passes(cell)
        self.restart()
        mine = self.team.part(cell.batch_tokens // cell.context)
        self.batches = Batches(open_split(corpus.manifest, "train"), cell, self.device, mine)
        self.end_of_text = end_of_text(corpus.manifest)
        self.validation = open_split(corpus.manifest, "validation", self.end_of_text)
        self.texts = [(texts[key], self.open_text(texts[key])) for key in cell.along]
        self.questions = Questions(corpus.manifest, self.validation, cell.context, cell.vocab_size)
        for name in dict.fromkeys((*cell.tasks, *cell.tasks_along)):
            self.questions.items(name)  # refused before any step
        self.compiler = Compiler(machine.log)
        self.evaluation_seconds, self._said = 0.0, time.monotonic()

    def restart(self) -> None:
        """Go back to step 0."""
        if hasattr(self, "learner"):
            del self.learner  # memory may have no room for two
        self.learner = self._learner()
        self.progress = Progress()
        self.best: list[Tensor] = []  # parameters of least loss, as the first of learner.arrays

    def _passes(self, cell: Cell) -> memory.Passes:
        """How batches go through the smallest GPU: the same in all processes."""
        team, kind = self.team, self.device.type
        known = [found for found in team.gathered(memory.device_bytes(self.device)) if found]
        least = min(known, default=None)
        found = memory.choose(cell, self.precision, kind, least, team.size, self.machine.shard)
        if line := memory.told(cell, found, kind, team.size):
            self.machine.log(line)
        return found

    def _learner(self) -> Learner:
        """A cell's first weights, in the form that the team trains them."""
        if self.team.size == 1:
            return Learner(self.cell, self.device, self.precision, passes=self.passes)
        if self.passes.sharded:
            from pipeline.training.sharded import Sharded, check

            self.team.told(lambda: check(self.cell))
            return Sharded(self.cell, self.device, self.precision, self.team, self.passes)
        from pipeline.training.parallel import DataParallel

        return DataParallel(self.cell, self.device, self.precision, self.team, self.passes)

    def identity(self, training: str) -> dict[str, str]:
        """What a checkpoint must agree in to be continued."""
        texts = {"texts": digest([t.data_sha256 for t, _ in self.texts])} if self.texts else {}
        if self.cell.tasks_along:  # rows before and after it must answer the same questions
            texts["tasks"] = str(RECIPE)
        return {
            "training": training,
            "data_sha256": self.corpus.data_sha256,
            "precision": self.precision,
            **texts,
        }

    def snapshot(self) -> Snapshot:
        return Snapshot(deepcopy(self.progress), self.learner.arrays())

    def restore(self, snapshot: Snapshot) -> None:
        self.progress = deepcopy(snapshot.progress)
        self.learner.load(snapshot.arrays, self.progress.step)

    def resume(self, path: Path, training: str) -> bool:
        """Continue from a checkpoint where a usable one stands; say so where it is not usable."""
        arrays: list[Tensor] = []

        def read() -> Progress | None:
            if not path.exists():
                return None
            try:
                found = checkpoints.load(path, self.identity(training))
            except checkpoints.CheckpointError as error:
                self.machine.log(f"discarding a checkpoint: {error}")
                path.unlink(missing_ok=True)
                return None
            arrays.extend(found.arrays)
            return Progress.of(found.progress)

        progress = self.team.told(read)
        if progress is None:
            return False
        self.progress = progress
        own = max(0, len(arrays) - stopping.keeps(self.cell, progress.rows))
        self.learner.load(arrays[:own], progress.step)
        self.best = arrays[own:]
        self.machine.log(f"resuming from {path} at step {progress.step}")
        return True

    def save(self, path: Path, training: str) -> None:
        arrays, identity = [*self.learner.arrays(), *self.best], self.identity(training)
        self.team.told(lambda: checkpoints.save(path, identity, asdict(self.progress), arrays))

    def advance(self, cell: Cell, until: int, path: Path, training: str) -> None:
        """Train to step ``until`` under the cell's schedule, with rolling checkpoints at ``path``.

        Training ends before where the cell's rule of early stopping says so. The turn stays on
        record beside the checkpoints until the caller closes it. Raises Stopped (after a
        checkpoint) at a signal, and Diverged (after a row).
        """
        progress, machine = self.progress, self.machine
        turn = self._open_turn(path.parent, training)
        pending = torch.tensor(progress.loss_sum, dtype=torch.float64, device=self.device)
        noisy = torch.tensor(progress.noise, dtype=torch.float64, device=self.device)
        self.compiler.consider(self.learner, self.batches, cell.steps - progress.step)
        saved = begun = time.monotonic()
        over = stopping.is_over(cell, progress.rows)
        with _bar(cell, progress.step, until, self.team.first) as bar:
            while progress.step < until and not over:
                step = progress.step
                factor = lr_factor(cell, step)
                loss = self.learner.step(*self.batches(step), factor, step)
                pending += loss
                if self.learner.noise is not None:
                    noisy += functional.pad(self.learner.noise, (0, 1), value=1.0)
                progress.step, progress.loss_steps = step + 1, progress.loss_steps + 1
                turn.note(progress.own_seconds + time.monotonic() - begun)
                looks = progress.step % CHECK_STEPS == 0 or progress.step == until
                diverged = looks and _is_diverged(cell, progress.step, loss)
                stop = self.team.stopping(progress.step, machine.stop.signal)
                if not (looks or stop or is_evaluated(cell, step + 1)):
                    continue
                progress.loss_sum, progress.noise = float(pending), noisy.tolist()
                progress.seconds += time.monotonic() - begun
                bar.update(progress.step - bar.n)
                if diverged or is_evaluated(cell, progress.step):
                    self._add_row(cell, cell.lr * factor, diverged)
                    pending.zero_()
                    noisy.zero_()
                    over = stopping.is_over(cell, progress.rows)
                    bar.set_postfix(loss=f"{progress.rows[-1]['val_loss'] or math.nan:.4f}")
                if self._is_due(saved) or stop:
                    self.save(path, training)
                    turn.save(progress.own_seconds, stop)
                    saved = time.monotonic()
                if stop:
                    raise Stopped(stop)
                begun = time.monotonic()

    def _is_due(self, saved: float) -> bool:
        """Is it time for a checkpoint, by the first process's clock?"""
        return self.team.told(lambda: time.monotonic() - saved > self.machine.checkpoint_seconds)

    def _open_turn(self, folder: Path, training: str) -> Turn:
        progress = self.progress
        identity = self.identity(training)
        recorded = folder if self.team.first else None
        turn = Turn(recorded, identity, progress.interruptions, progress.own_seconds)
        progress.interruptions = turn.interruptions
        return turn

    def _add_row(self, cell: Cell, lr: float, diverged: bool) -> None:
        """Evaluate, and close the stretch of steps since the last row."""
        progress, begun = self.progress, time.monotonic()
        score = None if diverged else self.score(self.validation)
        train_loss = progress.loss_sum / progress.loss_steps
        tokens = progress.step * cell.batch_tokens
        progress.rows.append({
            "step": progress.step, "tokens": tokens,
            "flops": accounting.flops_exact(cell.shape, cell.vocab_size, cell.context, tokens),
            "train_loss": _finite(train_loss), "val_loss": score and _finite(score.loss),
            "val_loss_se": score and _finite(score.se),
            "loss_by_position": score and score.by_position,
            "lr": lr, "grad_norm": _finite(float(self.learner.norm)), "seconds": progress.seconds,
            **noise.columns(progress.noise), "texts": None if diverged else self._texts(),
            "tasks": None if diverged else self.tasks(cell.tasks_along) or None,
        })  # fmt: skip
        progress.loss_sum, progress.loss_steps, progress.noise = 0.0, 0, [0.0] * 3
        self.evaluation_seconds += time.monotonic() - begun
        self._report(cell, train_loss)
        if (
            diverged
            or not math.isfinite(train_loss)
            or not math.isfinite(score.loss if score else 0)
        ):
            raise Diverged(f"diverged at step {progress.step}: train loss {train_loss:.4g}")
        if stopping.is_best(cell, progress.rows):
            self.best = self.learner.arrays()[:1]

    def _texts(self) -> list[dict[str, Any]] | None:
        """Scores on the texts of the curve; None where there are none."""
        return [score_row(text, self.score(stream)) for text, stream in self.texts] or None

    def _report(self, cell: Cell, train_loss: float) -> None:
        """A line now and then for who follows a log; the bar serves who watches a terminal."""
        if not sys.stderr.isatty() and time.monotonic() - self._said > QUIET:
            self._said = time.monotonic()
            self.machine.log(
                f"{cell.key}: step {self.progress.step}, train loss {train_loss:.4f}, "
                f"{self.progress.seconds:.0f} s"
            )

    def score(self, stream: TokenStream) -> Score:
        """The present model's loss on a split."""
        return evaluate(self.learner, stream, self.cell.context, self.team)

    def tasks(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The present model's errors on tasks, in columns of the contracts."""
        return self.questions.scores(names, self.learner, self.team)

    def open_text(self, text: CorpusFacts) -> TokenStream:
        """Another text, to be scored on."""
        return open_split(text.manifest, "evaluation", self.end_of_text)


def _is_diverged(cell: Cell, step: int, loss: Tensor) -> bool:
    value = float(loss)
    limit = math.log(cell.vocab_size) + DIVERGED
    return not math.isfinite(value) or (step > cell.warmup_steps and value > limit)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bar(cell: Cell, step: int, until: int, shown: bool) -> Any:
    """A progress bar in tokens on a terminal; nothing in a log."""
    return tqdm(
        total=until, initial=step, unit="tok", unit_scale=cell.batch_tokens, leave=False,
        desc=cell.key, disable=not (shown and sys.stderr.isatty()),
    )  # fmt: skip
