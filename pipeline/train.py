"""Stage 2: tokens -> trained cells.

    python -m pipeline.train part --specs SPEC... --corpus MANIFEST --state DIR --out LEDGER
    python -m pipeline.train cell --spec SPEC --corpus MANIFEST --state DIR --out DIR

``part`` trains what is missing of some cells, one training after another: the stable phase that
cells share with every missing branch, and cells that share none. ``cell`` publishes a finished
training as run, curve and evaluation.parquet, and trains it first where that is needed.
Ends with 0 when done (a diverged run is a result, too), 2 at an error (behind the other trainings
of a part), 128 + n at signal n after writing a checkpoint: run the same command again to go on. The
end of the process that JOB_PARENT names in the environment counts as SIGHUP. --processes and
--nodes train in several processes, which a run may change in number each time it is gone on with.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import provenance
from pipeline.cells import Cell
from pipeline.cells.trunks import trainings
from pipeline.files import write_json
from pipeline.training import finished, launch
from pipeline.training.inputs import CorpusFacts, InputError, check, read_cell, read_corpus
from pipeline.training.inputs import read_texts as texts_of
from pipeline.training.interruption import Stopped, StopRequest, end_with_parent, parent
from pipeline.training.team import Alone, Ended


def log(line: str) -> None:
    """A line for people, on stderr."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Work:
    """What a command is about: cells, the corpus, the texts they are scored on; when it began."""

    cells: list[Cell]
    corpus: CorpusFacts
    texts: Mapping[str, CorpusFacts]
    begun: float

    def is_done(self, training: Sequence[Cell], state: Path) -> bool:
        """Is every cell of a training trained and scored?"""
        for cell in training:
            done = finished.find(state, cell, self.corpus, self.texts, log)
            if done is None or finished.lacks_scores(done, cell, self.texts):
                return False
        return True


def write_ledger(arguments: argparse.Namespace, work: Work, cpu_seconds: float) -> None:
    """Write which cells of a part are trained, in which trainings, and in what time."""
    write_json(arguments.out, {
        "part": arguments.out.stem, "cells": [cell.key for cell in work.cells],
        "trainings": [training[0].training for training in trainings(work.cells)],
        "seconds": round(time.monotonic() - work.begun, 3),
        "cpu_seconds": round(cpu_seconds, 3), "finished_at": provenance.now(),
    })  # fmt: skip


def publish_cell(arguments: argparse.Namespace, work: Work, _cpu_seconds: float) -> None:
    """Publish a cell's tables."""
    [cell] = work.cells
    done = finished.find(arguments.state, cell, work.corpus, work.texts, log)
    if done is None:
        raise InputError(f"{arguments.state}: the training of {cell.key} vanished; run this again")
    finished.publish(done, cell, work.texts, arguments.out)


def train(arguments: argparse.Namespace) -> int:
    """Train what is missing and leave what is asked for; returns the exit status.

    Where several processes are asked for and there is something to do, they do it. A training that
    is refused keeps no other from being carried out; then the last refusal is raised.
    """
    launch.check(arguments)
    begun, corpus = time.monotonic(), read_corpus(arguments.corpus)
    cells = [read_cell(path) for path in arguments.specs]
    work = Work(cells, corpus, texts_of(corpus, cells), begun)
    refusals, missing = Refusals(arguments), []
    for training in trainings(cells):
        with refusals:
            for cell in training:
                check(cell, corpus)
            if launch.is_launched() or not work.is_done(training, arguments.state):
                missing.append(training)
    cpu_seconds = 0.0
    if missing:
        if launch.is_wanted(arguments):
            return launch.run(arguments, log)
        cpu_seconds = _train_here(arguments, work, missing, refusals)
    refusals.end()
    if launch.is_first():
        arguments.finish(arguments, work, cpu_seconds)
    return 0


class Refusals:
    """Collects what trainings are refused for or fail at, as a context of each; others go on.

    Several processes, which must stay in step, do not go on behind one. Words are kept and no
    exception, which would keep the model that it came from in memory.
    """

    def __init__(self, arguments: argparse.Namespace):
        self._together = launch.is_launched() or launch.is_wanted(arguments)
        self._last = ""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if error is None:
            return False
        if self._last:
            log(f"error: {self._last}")
        if self._together or not isinstance(error, InputError | RuntimeError | OSError):
            return False
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return False  # no other would fare better
        if isinstance(error, RuntimeError):
            log("".join(traceback.format_exception(error)))
        self._last = str(error) or type(error).__name__
        return True

    def end(self) -> None:
        """Raise InputError for what was collected last, of which nothing was said yet."""
        if self._last:
            raise InputError(self._last)


def _train_here(
    arguments: argparse.Namespace, work: Work, missing: Sequence[Sequence[Cell]], refusals: Refusals
) -> float:
    """Train and score in this process, perhaps as one of several; returns CPU seconds of all."""
    shared = arguments.launch and arguments.launch / launch.STOP
    # Other machines do not see the process that is to be ended with.
    stop = StopRequest(shared, parent=parent() if arguments.nodes == 1 else None)
    stop.listen()
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))
    # What one process compiles the next ones find.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(arguments.state.resolve() / "compiled"))
    # PyTorch costs seconds to import: only where something must be trained or scored.
    from pipeline.training.loop import Machine
    from pipeline.training.session import train as train_cells

    team = arguments.team
    if launch.is_launched():
        from pipeline.training.processes import Processes

        end_with_parent()
        team = arguments.team = Processes(arguments.device)
    say = log if team.first else _silent
    machine = Machine(
        arguments.device, arguments.threads, arguments.checkpoint_seconds, arguments.patience,
        arguments.shard, team, stop, say,
    )  # fmt: skip
    begun = time.process_time()
    for training in missing:
        with refusals:
            if number := team.told(lambda: stop.signal):
                raise Stopped(number)  # before a training that has not begun
            train_cells(training, work.corpus, work.texts, arguments.state, machine)
    return sum(team.gathered(time.process_time() - begun))


def _silent(_line: str) -> None:
    """Processes but the first say nothing."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="part | cell")
    part = commands.add_parser("part", help="train cells, one training after another")
    part.add_argument("--specs", type=Path, nargs="+", required=True, help="spec.json files")
    part.add_argument("--out", type=Path, required=True, help="ledger to write")
    part.set_defaults(finish=write_ledger)
    cell = commands.add_parser("cell", help="publish one cell, training it where needed")
    cell.add_argument(
        "--spec", type=Path, nargs=1, required=True, dest="specs", metavar="SPEC",
        help="spec.json of the cell",
    )  # fmt: skip
    cell.add_argument("--out", type=Path, required=True, help="folder for the three tables")
    cell.set_defaults(finish=publish_cell)
    for command in (part, cell):
        command.add_argument("--corpus", type=Path, required=True, help="manifest.parquet")
        command.add_argument("--state", type=Path, required=True, help="checkpoints and results")
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        command.add_argument("--threads", type=int, default=1, help="CPU threads")
        command.add_argument("--checkpoint-seconds", type=float, default=60.0)
        command.add_argument(
            "--patience", type=float, default=0.0, metavar="SECONDS",
            help="wait so long for another process that still holds this training",
        )  # fmt: skip
        launch.add_options(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    command = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(command, argparse.Namespace(command=command, team=Alone()))
    together = True  # do all processes know of the end?
    try:
        status = train(arguments)
    except Stopped as stopped:
        if launch.is_first():
            log(str(stopped))
        status = stopped.code
    except Ended:
        status = 0
    except (InputError, OSError) as error:
        log(f"error: {error}")
        status, together = 2, arguments.team.agreed
    if together:
        arguments.team.close()
    return launch.leave(arguments.launch, status, together) if arguments.launch else status


if __name__ == "__main__":
    sys.exit(main())
