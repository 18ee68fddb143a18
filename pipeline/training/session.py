"""One training: a trunk with its branches, or one cell; all that is missing of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.cells import Cell
from pipeline.cells.trunks import runs
from pipeline.files import write_json
from pipeline.training import checkpoints, finished, turns
from pipeline.training.evaluation import Score, score_row
from pipeline.training.finished import Finished
from pipeline.training.inputs import CorpusFacts, InputError
from pipeline.training.interruption import Stopped, exclusive
from pipeline.training.loop import Diverged, Machine, Trainer
from pipeline.training.measured import forget_peak_memory, measured
from pipeline.training.progress import Progress, Snapshot

ROLLING = "rolling.ckpt"


def train(
    cells: Sequence[Cell], corpus: CorpusFacts, texts: Mapping[str, CorpusFacts], state: Path,
    machine: Machine,
) -> None:  # fmt: skip
    """Train, score and render every cell that is not yet finished; all are of one trunk.

    The processes of the machine's team call it together; the first alone reads and writes. Cells
    without a trunk come alone. Raises InputError where another process trains one of them, and
    Stopped at a signal; in both cases the same call later goes on from the checkpoints.
    """
    team = machine.team

    def hold(place: Path, held: ExitStack) -> None:
        held.enter_context(exclusive(place, machine.patience, machine.stop, machine.log))

    with ExitStack() as locks:
        folder = state / "trunks" / cells[0].trunk if cells[0].trunk else None
        if folder:
            team.told(lambda: hold(folder, locks))
        missing: list[list[Cell]] = []
        for alike in runs(cells):
            own = finished.place(state, alike[0])
            team.told(partial(hold, own, locks))
            done = team.told(partial(finished.find, state, alike[0], corpus, texts, machine.log))
            if done is None:
                missing.append(alike)
                continue
            for cell in alike:
                if team.told(partial(finished.lacks_scores, done, cell, texts)):
                    if number := team.told(lambda: machine.stop.signal):
                        raise Stopped(number)
                    _score(done, cell, _revived(done, cell, corpus, machine), texts)
                team.told(partial(_publish, done, cell, texts, own))
        # Only now, as memory may have no room for the trunk's model beside a finished one.
        if missing:
            forget_peak_memory()
            _train_missing(missing, Trunk(Trainer(missing[0][0], corpus, machine, texts), folder),
                           state, texts)  # fmt: skip
        if folder:
            team.told(lambda: _clear(folder))


def _train_missing(
    missing: Sequence[Sequence[Cell]], trunk: Trunk, state: Path, texts: Mapping[str, CorpusFacts]
) -> None:
    """Train, score and render runs in the order in which they leave their trunk."""
    trainer = trunk.trainer
    for alike in missing:
        done = _train_cell(alike[0], trunk, state, texts)
        for cell in alike:
            _score(done, cell, trainer, texts)
            place = finished.place(state, cell)
            trainer.team.told(partial(_publish, done, cell, texts, place))
    seconds = trainer.evaluation_seconds
    trainer.machine.log(f"evaluations along the way took {seconds:.1f} s")


def _publish(done: Finished, cell: Cell, texts: Mapping[str, CorpusFacts], own: Path) -> None:
    finished.render(done, cell, texts)
    _clear(own)


def _clear(folder: Path) -> None:
    """Remove what only a training under way needs."""
    (folder / ROLLING).unlink(missing_ok=True)
    turns.close(folder)


class Trunk:
    """The stable phase, moved from branch point to branch point; without a folder, nothing."""

    def __init__(self, trainer: Trainer, folder: Path | None):
        self.trainer, self.folder, self.team = trainer, folder, trainer.team
        self._here: Snapshot | None = None

    def reach(self, cell: Cell) -> None:
        """Bring the trainer to the branch point of ``cell``; raises Diverged where none is left.

        The state there is kept for good; training goes on from the nearest one before it.
        """
        folder = self.folder
        if folder is None or cell.trunk is None:
            return
        self._refuse_diverged(cell)
        if self._here:
            self.trainer.restore(self._here)
        else:
            self._resume(cell)
        try:
            self.trainer.advance(cell, cell.stable_steps, folder / ROLLING, cell.trunk)
        except Diverged:
            progress = asdict(self.trainer.progress)
            content = {"identity": self.trainer.identity(cell.trunk), "progress": progress}
            self.team.told(lambda: write_json(folder / "diverged.json", content))
            self.team.told(lambda: turns.close(folder))
            raise
        kept = folder / f"at-{cell.stable_steps}.ckpt"
        if not self.team.told(kept.exists):
            self.trainer.save(kept, cell.trunk)
        self.team.told(lambda: turns.close(folder))
        self._here = self.trainer.snapshot()
        self.trainer.progress.trunk_seconds = self.trainer.progress.seconds

    def _resume(self, cell: Cell) -> None:
        """Take the furthest usable checkpoint at or before the branch point, or start anew."""
        assert cell.trunk is not None
        for path in self.team.told(lambda: self._kept(cell.stable_steps)):
            if self.trainer.resume(path, cell.trunk):
                return
        if self.trainer.progress.step:
            self.trainer.restart()

    def _kept(self, step: int) -> list[Path]:
        """The trunk's checkpoints up to a step, the furthest first."""
        assert self.folder is not None
        steps = {path: int(path.stem[3:]) for path in self.folder.glob("at-*.ckpt")}
        steps[self.folder / ROLLING] = checkpoints.step(self.folder / ROLLING)
        return sorted((path for path in steps if steps[path] <= step), key=lambda p: -steps[p])

    def _refuse_diverged(self, cell: Cell) -> None:
        """Raise Diverged where the trunk is known to have diverged before the branch point."""
        assert cell.trunk is not None
        known = self.team.told(self._divergence)
        if known is None or known["identity"] != self.trainer.identity(cell.trunk):
            return
        if known["progress"]["step"] <= cell.stable_steps:
            self.trainer.progress = Progress.of(known["progress"])
            raise Diverged(f"its trunk diverged at step {self.trainer.progress.step}")

    def _divergence(self) -> dict[str, Any] | None:
        """What is on record of the trunk's divergence, if anything."""
        assert self.folder is not None
        try:
            return json.loads((self.folder / "diverged.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def _train_cell(
    cell: Cell, trunk: Trunk, state: Path, texts: Mapping[str, CorpusFacts]
) -> Finished:
    """Train one cell to its end and keep it as finished, diverged or not.

    With early stopping the model of least validation loss is what is kept.
    """
    trainer, rolling = trunk.trainer, finished.place(state, cell) / ROLLING
    status = "finished"
    try:
        if not trainer.resume(rolling, cell.state):
            trunk.reach(cell)
        trainer.advance(cell, cell.steps, rolling, cell.state)
        if cell.patience:
            trainer.learner.load(trainer.best, trainer.progress.step)
    except Diverged as outcome:
        trainer.machine.log(f"{cell.key}: {outcome}")
        status = "diverged"

    weights = trainer.learner.arrays()[:1]
    found = measured(cell, trainer, status)

    def save_weights(path: Path) -> None:
        checkpoints.save(path, trainer.identity(cell.state), {"step": cell.steps}, weights)

    done = trainer.team.told(lambda: finished.keep(
        state, cell, texts, found, trainer.progress.rows,
        save_weights if status == "finished" else None,
    ))  # fmt: skip
    trainer.machine.log(f"{cell.key}: {status}, kept in {done.folder}")
    return done


def _score(done: Finished, cell: Cell, trainer: Trainer, texts: Mapping[str, CorpusFacts]) -> None:
    """Score the trainer's present model on the cell's texts and tasks that lack a score."""
    begun, team = time.monotonic(), trainer.team
    for text in team.told(lambda: finished.unscored(done, cell, texts)):
        score: Score = trainer.score(trainer.open_text(text))
        row = {**score_row(text, score), "tokens": score.tokens}
        team.told(partial(done.add_evaluation, text, row))
    for row in trainer.tasks(team.told(lambda: finished.unasked(done, cell))):
        team.told(partial(done.add_task, row))
    trainer.evaluation_seconds += time.monotonic() - begun


def _revived(done: Finished, cell: Cell, corpus: CorpusFacts, machine: Machine) -> Trainer:
    """A trainer holding a finished model, in the precision that it was trained in."""
    precision = machine.team.told(lambda: done.training()["run"]["precision"])
    # Nothing is scored along a curve that is already there.
    still = replace(cell, precision=precision, along=(), tasks_along=())
    trainer = Trainer(still, corpus, machine)
    identity = {"training": cell.state, "data_sha256": corpus.data_sha256}
    arrays: list[Tensor] = []

    def read() -> None:
        try:
            arrays.extend(checkpoints.load(done.weights, identity).arrays)
        except checkpoints.CheckpointError as error:
            raise InputError(f"{error}; delete {done.folder} to train {cell.key} anew") from error

    machine.team.told(read)
    trainer.learner.load(arrays, cell.steps)
    return trainer
