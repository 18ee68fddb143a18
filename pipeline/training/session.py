"""One process's work: a trunk with its branches, or one cell; all that is missing of it."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from pipeline import provenance
from pipeline.cells import Cell
from pipeline.files import write_json
from pipeline.training import checkpoints, finished, turns
from pipeline.training.data import open_split
from pipeline.training.evaluation import Score
from pipeline.training.finished import Finished
from pipeline.training.inputs import CorpusFacts, InputError
from pipeline.training.interruption import exclusive
from pipeline.training.loop import Diverged, Machine, Progress, Snapshot, Trainer

ROLLING = "rolling.ckpt"


def train(
    cells: Sequence[Cell], corpus: CorpusFacts, texts: Mapping[str, CorpusFacts], state: Path,
    machine: Machine,
) -> None:  # fmt: skip
    """Train, score and render every cell that is not yet finished; all are of one trunk.

    Cells without a trunk come alone. Raises InputError where another process trains one of them,
    and Stopped at a signal; in both cases the same call later goes on from the checkpoints.
    """
    with ExitStack() as locks:
        folder = state / "trunks" / cells[0].trunk if cells[0].trunk else None
        if folder:
            locks.enter_context(exclusive(folder, machine.patience, machine.stop, machine.log))
        trunk: Trunk | None = None
        for cell in sorted(cells, key=lambda cell: cell.stable_steps):
            own = finished.place(state, cell)
            with exclusive(own, machine.patience, machine.stop, machine.log):
                done = finished.find(state, cell, corpus, machine.log)
                if done is None:
                    trunk = trunk or Trunk(Trainer(cell, corpus, machine), folder)
                    done = _train_cell(cell, trunk, state)
                    _score(done, cell, trunk.trainer, texts)
                elif finished.unscored(done, cell, texts):
                    _score(done, cell, _revived(done, cell, corpus, machine), texts)
                finished.render(done, cell, texts)
                _clear(own)
        if folder:
            _clear(folder)
        if trunk:
            seconds = trunk.trainer.evaluation_seconds
            machine.log(f"evaluations along the way took {seconds:.1f} s")


def _clear(folder: Path) -> None:
    """Remove what only a training under way needs."""
    (folder / ROLLING).unlink(missing_ok=True)
    turns.close(folder)


class Trunk:
    """The stable phase, moved from branch point to branch point; without a folder, nothing."""

    def __init__(self, trainer: Trainer, folder: Path | None):
        self.trainer, self.folder = trainer, folder
        self._here: Snapshot | None = None

    def reach(self, cell: Cell) -> None:
        """Bring the trainer to the branch point of ``cell``; raises Diverged where none is left.

        The state there is kept for good; training goes on from the nearest one before it.
        """
        if self.folder is None or cell.trunk is None:
            return
        self._refuse_diverged(cell)
        if self._here:
            self.trainer.restore(self._here)
        else:
            self._resume(cell)
        try:
            self.trainer.advance(cell, cell.stable_steps, self.folder / ROLLING, cell.trunk)
        except Diverged:
            progress = asdict(self.trainer.progress)
            content = {"identity": self.trainer.identity(cell.trunk), "progress": progress}
            write_json(self.folder / "diverged.json", content)
            turns.close(self.folder)
            raise
        kept = self.folder / f"at-{cell.stable_steps}.ckpt"
        if not kept.exists():
            self.trainer.save(kept, cell.trunk)
        turns.close(self.folder)
        self._here = self.trainer.snapshot()
        self.trainer.progress.trunk_seconds = self.trainer.progress.seconds

    def _resume(self, cell: Cell) -> None:
        """Take the furthest usable checkpoint at or before the branch point, or start anew."""
        assert self.folder is not None
        assert cell.trunk is not None
        steps = {path: int(path.stem[3:]) for path in self.folder.glob("at-*.ckpt")}
        steps[self.folder / ROLLING] = checkpoints.step(self.folder / ROLLING)
        for path in sorted(steps, key=lambda path: -steps[path]):
            if steps[path] <= cell.stable_steps and self.trainer.resume(path, cell.trunk):
                return
        self.trainer.restart()

    def _refuse_diverged(self, cell: Cell) -> None:
        """Raise Diverged where the trunk is known to have diverged before the branch point."""
        assert self.folder is not None
        assert cell.trunk is not None
        try:
            known = json.loads((self.folder / "diverged.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if known["identity"] != self.trainer.identity(cell.trunk):
            return
        if known["progress"]["step"] <= cell.stable_steps:
            self.trainer.progress = Progress.of(known["progress"])
            raise Diverged(f"its trunk diverged at step {self.trainer.progress.step}")


def _train_cell(cell: Cell, trunk: Trunk, state: Path) -> Finished:
    """Train one cell to its end and keep it as finished, diverged or not."""
    trainer, rolling = trunk.trainer, finished.place(state, cell) / ROLLING
    status = "finished"
    try:
        if not trainer.resume(rolling, cell.state):
            trunk.reach(cell)
        trainer.advance(cell, cell.steps, rolling, cell.state)
    except Diverged as outcome:
        trainer.machine.log(f"{cell.key}: {outcome}")
        status = "diverged"

    def save_weights(path: Path) -> None:
        identity = trainer.identity(cell.state)
        checkpoints.save(path, identity, {"step": cell.steps}, trainer.learner.arrays()[:1])

    done = finished.keep(
        state, cell, _measured(cell, trainer, status), trainer.progress.rows,
        save_weights if status == "finished" else None,
    )  # fmt: skip
    trainer.machine.log(f"{cell.key}: {status}, kept in {done.folder}")
    return done


def _measured(cell: Cell, trainer: Trainer, status: str) -> dict[str, Any]:
    """The columns of contracts.RUN that training found out."""
    progress, corpus = trainer.progress, trainer.corpus
    last = progress.rows[-1] if status == "finished" else {}
    loss = last.get("val_loss")
    speed = progress.step * cell.batch_tokens / max(progress.seconds, 1e-9)
    commit, dirty = provenance.git_commit()
    if loss is not None:
        trainer.machine.log(
            f"{cell.key}: loss {loss:.4f} nats/token after {cell.steps} steps, "
            f"{progress.seconds:.1f} s, {speed:.0f} tokens/s"
        )
    return {
        "unique_tokens": cell.unique_tokens or corpus.tokens["train"],
        "loss": loss, "loss_se": last.get("val_loss_se"),
        "bits_per_byte": None if loss is None else corpus.bits_per_byte(loss, "validation"),
        "status": status, "seconds": progress.seconds,
        "own_seconds": progress.own_seconds,
        "tokens_per_second": speed, "peak_memory": _peak_memory(trainer.device),
        "restarts": len(progress.interruptions),
        "lost_seconds": math.fsum(i["lost_seconds"] for i in progress.interruptions),
        "interruptions": ",".join(i["cause"] for i in progress.interruptions),
        "device": _device_name(trainer.device),
        "precision": trainer.precision, "threads": trainer.machine.threads,
        "host": provenance.host(), "finished_at": provenance.now(), "git_commit": commit,
        "git_dirty": dirty, "packages": json.dumps(provenance.packages(), sort_keys=True),
        "data_sha256": corpus.data_sha256,
    }  # fmt: skip


def _score(done: Finished, cell: Cell, trainer: Trainer, texts: Mapping[str, CorpusFacts]) -> None:
    """Score the trainer's present model on the cell's texts that lack a score."""
    begun = time.monotonic()
    for text in finished.unscored(done, cell, texts):
        stream = open_split(text.manifest, "evaluation", trainer.end_of_text)
        score: Score = trainer.score(stream)
        row = {
            "corpus": text.name, "loss": score.loss, "loss_se": score.se, "tokens": score.tokens,
            "bits_per_byte": text.bits_per_byte(score.loss, "evaluation"),
        }  # fmt: skip
        done.add_evaluation(text, row)
    trainer.evaluation_seconds += time.monotonic() - begun


def _revived(done: Finished, cell: Cell, corpus: CorpusFacts, machine: Machine) -> Trainer:
    """A trainer holding a finished model, in the precision that it was trained in."""
    precision = done.training()["run"]["precision"]
    trainer = Trainer(replace(cell, precision=precision), corpus, machine)
    identity = {"training": cell.state, "data_sha256": corpus.data_sha256}
    try:
        found = checkpoints.load(done.weights, identity)
    except checkpoints.CheckpointError as error:
        raise InputError(f"{error}; delete {done.folder} to train {cell.key} anew") from error
    trainer.learner.load(found.arrays, cell.steps)
    return trainer


def _peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's memory where training ran on one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return provenance.processor()
