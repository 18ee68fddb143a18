"""Stage 2: tokens -> trained cells.

    python -m pipeline.train trunk --specs SPEC... --corpus MANIFEST --state DIR --out LEDGER
    python -m pipeline.train cell --spec SPEC --corpus MANIFEST --state DIR --out DIR

``trunk`` trains the stable phase that cells share and every missing branch; ``cell`` publishes a
finished training as run, curve and evaluation.parquet, and trains it first where that is needed.
Ends with 0 when done (a diverged run is a result, too), 2 at an error, 128 + n at signal n after
writing a checkpoint: run the same command again to go on.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline import provenance
from pipeline.cells import Cell
from pipeline.files import write_json
from pipeline.training import finished
from pipeline.training.inputs import CorpusFacts, InputError, check, read_cell, read_corpus
from pipeline.training.inputs import read_texts as texts_of
from pipeline.training.interruption import Stopped, StopRequest


def log(line: str) -> None:
    """A line for people, on stderr."""
    print(line, file=sys.stderr, flush=True)


def train_trunk(arguments: argparse.Namespace, corpus: CorpusFacts) -> None:
    """Train what is missing of a trunk's cells, then write the ledger."""
    begun, cells = time.monotonic(), [read_cell(path) for path in arguments.specs]
    trunks = sorted({str(cell.trunk) for cell in cells})
    if len(trunks) > 1 or cells[0].trunk is None:
        raise InputError(
            f"--specs: the cells belong to the trunks {trunks}; give cells of one trunk, and "
            "train a cell without one (schedule other than wsd) by the cell command"
        )
    _, cpu_seconds = _ensure(cells, corpus, arguments)
    write_json(arguments.out, {
        "trunk": cells[0].trunk, "part": arguments.out.stem, "cells": [c.key for c in cells],
        "stable_steps": [c.stable_steps for c in cells],
        "seconds": round(time.monotonic() - begun, 3),
        "cpu_seconds": round(cpu_seconds, 3), "finished_at": provenance.now(),
    })  # fmt: skip


def train_cell(arguments: argparse.Namespace, corpus: CorpusFacts) -> None:
    """Publish a cell's tables, training it first where it is not finished."""
    cell = read_cell(arguments.spec)
    texts, _ = _ensure([cell], corpus, arguments)
    done = finished.find(arguments.state, cell, corpus, log)
    if done is None:
        raise InputError(f"{arguments.state}: the training of {cell.key} vanished; run this again")
    finished.publish(done, cell, texts, arguments.out)


def _ensure(
    cells: Sequence[Cell], corpus: CorpusFacts, arguments: argparse.Namespace
) -> tuple[dict[str, CorpusFacts], float]:
    """Train and score the cells where that is missing.

    Returns the texts they are scored on and the CPU seconds of training and scoring.
    """
    for cell in cells:
        check(cell, corpus)
    texts = texts_of(corpus, cells)
    for cell in cells:
        done = finished.find(arguments.state, cell, corpus, log)
        if done is None or finished.unscored(done, cell, texts):
            break
    else:
        return texts, 0.0
    stop = StopRequest()
    stop.listen()
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))
    # PyTorch costs seconds to import: only where something must be trained or scored.
    from pipeline.training.loop import Machine
    from pipeline.training.session import train

    machine = Machine(
        arguments.device, arguments.threads, arguments.checkpoint_seconds, arguments.patience,
        stop, log,
    )  # fmt: skip
    begun = time.process_time()
    train(cells, corpus, texts, arguments.state, machine)
    return texts, time.process_time() - begun


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="trunk | cell")
    trunk = commands.add_parser("trunk", help="train a trunk and its branches")
    trunk.add_argument("--specs", type=Path, nargs="+", required=True, help="spec.json files")
    trunk.add_argument("--out", type=Path, required=True, help="ledger to write")
    trunk.set_defaults(run=train_trunk)
    cell = commands.add_parser("cell", help="publish one cell, training it where needed")
    cell.add_argument("--spec", type=Path, required=True, help="spec.json of the cell")
    cell.add_argument("--out", type=Path, required=True, help="folder for the three tables")
    cell.set_defaults(run=train_cell)
    for command in (trunk, cell):
        command.add_argument("--corpus", type=Path, required=True, help="manifest.parquet")
        command.add_argument("--state", type=Path, required=True, help="checkpoints and results")
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        command.add_argument("--threads", type=int, default=1, help="CPU threads")
        command.add_argument("--checkpoint-seconds", type=float, default=60.0)
        command.add_argument(
            "--patience", type=float, default=0.0, metavar="SECONDS",
            help="wait so long for another process that still holds this training",
        )  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments, read_corpus(arguments.corpus))
    except Stopped as stopped:
        log(str(stopped))
        return stopped.code
    except (InputError, OSError) as error:
        log(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
