"""Parts: which trainings one process carries out, one after another. Standard library only.

A part is the cells that were missing of one or several trainings when it was planned; its ledger,
written when they are trained, records them. Reading the ledgers keeps every finished cell with the
part that made it, so that a new token count is a new part and leaves the others alone.

How trainings are packed depends on all cells that are wanted and on nothing else: not on what is
finished, nor on the machine. A run that goes on with another plans the parts that this one planned.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.cells import durations
from pipeline.cells.cell import Cell, digest
from pipeline.cells.trunks import trainings

Training = Sequence[Cell]

# Up to how many predicted seconds of one core are packed into a process: 16 times its start of
# 2.5 s, which is then a 17th of its time. More would save little, and make a longer tail.
PACK_SECONDS = 16 * durations.START
# A pack is at most one of so many equal shares of all seconds, so that 16 cores have something to
# do until the end, and nothing is packed in a study of few trainings.
SHARES = 16
PRECISION = "fp32"  # of the prediction, also where machines compute in another


@dataclass(frozen=True)
class Part:
    """Cells that one process trains; ``key`` names its ledger."""

    cells: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        return digest(sorted(self.cells))


def planned(cells: Iterable[Cell], results: Path) -> dict[str, Part]:
    """Cell key -> the part that has trained it, or that will train it with others of its pack."""
    wanted = list(cells)
    made = _recorded(results, {cell.key for cell in wanted})
    for pack in packed(wanted):
        keys = (cell.key for training in pack for cell in training)
        if missing := tuple(key for key in keys if key not in made):
            made |= dict.fromkeys(missing, Part(missing))
    return {cell.key: made[cell.key] for cell in wanted}


def _recorded(results: Path, wanted: Collection[str]) -> dict[str, Part]:
    """Wanted cell -> the part whose ledger holds it; a damaged ledger is no record.

    Neither is one whose cells were deleted: it could not be made again.
    """
    found: dict[str, Part] = {}
    for ledger in sorted((results / "trainings").glob("*.json")):
        try:
            part = Part(tuple(json.loads(ledger.read_text(encoding="utf-8"))["cells"]))
        except (ValueError, KeyError, TypeError, OSError):
            continue
        held = [key for key in part.cells if key in wanted]
        specs = (results / "cells" / key / "spec.json" for key in part.cells)
        if held and part.key == ledger.stem and all(spec.exists() for spec in specs):
            found = dict.fromkeys(held, part) | found
    return found


def packed(cells: Iterable[Cell]) -> list[list[Training]]:
    """All trainings of some cells, those that share a process together, the longest first.

    Together come only trainings of the same inputs and the same precision, each of them shorter
    than all that a process may take: the first process that has room for it (first fit).
    """
    found = trainings(sorted(cells, key=lambda cell: cell.key))
    timed = sorted(((_seconds(one), one) for one in found), key=lambda t: (-t[0], t[1][0].key))
    limit = min(PACK_SECONDS, math.fsum(time for time, _ in timed) / SHARES)
    alone: list[list[Training]] = []
    shared: dict[tuple[object, ...], list[tuple[float, list[Training]]]] = {}
    for time, training in timed:
        if time >= limit:
            alone.append([training])
            continue
        packs = shared.setdefault(_common(training), [])
        for index, (taken, pack) in enumerate(packs):
            if taken + time <= limit:
                packs[index] = (taken + time, [*pack, training])
                break
        else:
            packs.append((time, [training]))
    return [*alone, *(pack for packs in shared.values() for _, pack in packs)]


def _seconds(training: Training) -> float:
    """Predicted seconds of one core for all of a training, without a process's start."""
    return math.fsum(durations.seconds(*stage, PRECISION) for stage in durations.stages(training))


def _common(training: Training) -> tuple[object, ...]:
    """What trainings of one process share: no job waits for what one of them alone needs."""
    texts = {text for cell in training for text in (*cell.evaluate, *cell.along)}
    tasks = any(cell.tasks for cell in training)
    return training[0].corpus, training[0].precision, frozenset(texts), tasks
