"""Finished trainings in the state folder, and their publication as Parquet files.

Standard library only, and pyarrow where tables must be made anew: publishing what a trunk's
process has already rendered is a copy of three files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cells import Cell
from pipeline.files import copy, write_json
from pipeline.tasks import RECIPE
from pipeline.training.inputs import CorpusFacts, InputError, read_json
from pipeline.training.schedules import lr_sum

TABLES = ("run.parquet", "curve.parquet", "evaluation.parquet")

# Columns of contracts.RUN that a cell itself gives, each by its own name.
CELL_COLUMNS = (
    "trunk", "corpus", "family", "n_layer", "d_model", "d_ff", "n_head", "reuse", "context",
    "vocab_size", "params", "params_total", "tokens", "batch_tokens", "steps", "lr",
    "lr_embedding", "schedule", "warmup_steps", "cooldown_steps", "final_lr", "schedule_power",
    "optimizer", "dropout", "seed", "recipe", "flops_6nd", "flops_exact",
)  # fmt: skip

# Raised when the tables' columns change: what was rendered before is then rendered anew.
RENDERING = 4
# Columns that trainings finished before RENDERING 2 lack.
EARLIER: dict[str, Any] = {"lost_seconds": 0.0, "interruptions": "", "processes": 1}


@dataclass(frozen=True)
class Finished:
    """One finished training: state/cells/<cell.state>/done."""

    folder: Path

    @property
    def weights(self) -> Path:
        """The final parameters; not there where the training diverged."""
        return self.folder / "weights.ckpt"

    def training(self) -> dict[str, Any]:
        """{"run": measured columns of contracts.RUN, "curve": rows of contracts.CURVE}.

        Where texts were scored along the curve, "texts": {key: digest of its data}; where tasks
        were, "tasks": the recipe of their questions.
        """
        found = read_json(self.folder / "training.json", "a finished training")
        return {**found, "run": EARLIER | found["run"]}

    def task(self, name: str) -> dict[str, Any] | None:
        """The score on a task; None where it was not scored, or on other questions."""
        path = self.folder / "tasks" / f"{name}.json"
        if not path.exists():
            return None
        found = read_json(path, "a score on a task")
        return found["row"] if found["recipe"] == RECIPE else None

    def add_task(self, row: Mapping[str, Any]) -> None:
        """Keep the score on a task."""
        content = {"recipe": RECIPE, "row": dict(row)}
        write_json(self.folder / "tasks" / f"{row['task']}.json", content)

    def evaluation(self, text: CorpusFacts) -> dict[str, Any] | None:
        """The score on a text; None where it was not scored, or on other data of that name."""
        path = self.folder / "evaluation" / f"{text.key}.json"
        if not path.exists():
            return None
        found = read_json(path, "an evaluation")
        return found["row"] if found["data_sha256"] == text.data_sha256 else None

    def add_evaluation(self, text: CorpusFacts, row: Mapping[str, Any]) -> None:
        """Keep the score on a text."""
        content = {"data_sha256": text.data_sha256, "row": dict(row)}
        write_json(self.folder / "evaluation" / f"{text.key}.json", content)


def place(state: Path, cell: Cell) -> Path:
    """The folder of a cell's training: its rolling checkpoint, its lock and ``done``."""
    return state / "cells" / cell.state


def find(
    state: Path, cell: Cell, corpus: CorpusFacts, texts: Mapping[str, CorpusFacts],
    log: Callable[[str], None],
) -> Finished | None:  # fmt: skip
    """A cell's finished training on this data; discards one that is unreadable or on other data."""
    finished = Finished(place(state, cell) / "done")
    if not finished.folder.exists():
        return None
    try:
        training = finished.training()
        data = training["run"]["data_sha256"]
        fault = None if data == corpus.data_sha256 else f"it was trained on other data ({data})"
        if training.get("texts", {}) != along(cell, texts):
            fault = fault or "it was scored along its curve on other data"
        if training.get("tasks") != _recipe(cell):
            fault = fault or "it was asked other questions along its curve"
    except (InputError, KeyError, TypeError) as error:
        fault = str(error)
    if fault is None:
        return finished
    log(f"discarding the finished training {finished.folder}: {fault}")
    shutil.rmtree(finished.folder)
    return None


def unscored(finished: Finished, cell: Cell, texts: Mapping[str, CorpusFacts]) -> list[CorpusFacts]:
    """The texts that a finished cell has yet to be scored on; none where it diverged."""
    if not finished.weights.exists():
        return []
    return [texts[key] for key in cell.evaluate if finished.evaluation(texts[key]) is None]


def unasked(finished: Finished, cell: Cell) -> list[str]:
    """The tasks that a finished cell has yet to be scored on; none where it diverged."""
    if not finished.weights.exists():
        return []
    return [name for name in cell.tasks if finished.task(name) is None]


def lacks_scores(finished: Finished, cell: Cell, texts: Mapping[str, CorpusFacts]) -> bool:
    """Is a finished cell yet to be scored on a text or a task?"""
    return bool(unscored(finished, cell, texts) or unasked(finished, cell))


def _recipe(cell: Cell) -> int | None:
    """What tells the questions asked along the curve; None without any."""
    return RECIPE if cell.tasks_along else None


def along(cell: Cell, texts: Mapping[str, CorpusFacts]) -> dict[str, str]:
    """The texts that a cell is scored on along its curve, by key, and the digests of their data."""
    return {key: texts[key].data_sha256 for key in cell.along}


def keep(
    state: Path, cell: Cell, texts: Mapping[str, CorpusFacts], run: Mapping[str, Any],
    curve: Iterable[Mapping[str, Any]], save_weights: Callable[[Path], None] | None,
) -> Finished:  # fmt: skip
    """Keep a training as finished: its folder appears whole or not at all."""
    target = place(state, cell) / "done"
    building = target.with_name(f".done.{os.getpid()}.tmp")
    building.mkdir(parents=True)
    content: dict[str, Any] = {"run": dict(run), "curve": list(curve)}
    content["texts"] = along(cell, texts)
    if cell.tasks_along:
        content["tasks"] = RECIPE
    write_json(building / "training.json", content)
    if save_weights:
        save_weights(building / "weights.ckpt")
    return Finished(building.replace(target))


def run_row(cell: Cell, measured: Mapping[str, Any]) -> dict[str, Any]:
    """A row of contracts.RUN; what was measured counts where the cell was to be something else."""
    row = {"cell": cell.key, **{c: getattr(cell, c) for c in CELL_COLUMNS}, **measured}
    if row["status"] == "finished":
        # Trainings finished before RENDERING 3 all went to their last step.
        row = {"best_step": row["steps"], "lr_sum": lr_sum(cell, row["steps"]), **row}
    return row


def render(finished: Finished, cell: Cell, texts: Mapping[str, CorpusFacts]) -> Path:
    """Write a cell's three tables into the state folder, with their digests; returns the folder."""
    from pipeline import contracts  # imports pyarrow, which a mere copy can do without

    folder, training = finished.folder / "published" / cell.key, finished.training()
    rows = [finished.evaluation(texts[key]) for key in cell.evaluate]
    scores = [{"cell": cell.key, **row} for row in rows if row is not None]
    tasks = [row for row in map(finished.task, cell.tasks) if row is not None]
    run = {**run_row(cell, training["run"]), "tasks": tasks or None}
    contracts.write(folder / TABLES[0], [run], contracts.RUN)
    contracts.write(folder / TABLES[1], training["curve"], contracts.CURVE)
    contracts.write(folder / TABLES[2], scores, contracts.EVALUATION)
    write_json(folder / "digests.json", _digests(folder) | _origin(cell, texts))
    return folder


def publish(finished: Finished, cell: Cell, texts: Mapping[str, CorpusFacts], out: Path) -> None:
    """Copy a finished cell's tables into ``out``, rendering them where they are not in order."""
    folder = finished.folder / "published" / cell.key
    try:
        recorded = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
        in_order = recorded == _digests(folder) | _origin(cell, texts)
    except (OSError, ValueError):
        in_order = False
    if not in_order:
        folder = render(finished, cell, texts)
    for name in TABLES:
        copy(folder / name, out / name)


def _digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}


def _origin(cell: Cell, texts: Mapping[str, CorpusFacts]) -> dict[str, str]:
    scored = {key: texts[key].data_sha256 for key in cell.evaluate}
    asked = {"tasks": f"{RECIPE}: {', '.join(cell.tasks)}"} if cell.tasks else {}
    return {"rendering": str(RENDERING), **scored, **asked}
