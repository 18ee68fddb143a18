"""Parts of trunks: which cells one process trains together. Standard library only.

A part is the set of a trunk's cells that were missing when it was planned; its ledger, written
when it is trained, records them. Reading the ledgers keeps every finished cell with the part that
made it, so that a new token count is a new part and leaves the others alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.cells import Cell, digest


@dataclass(frozen=True)
class Part:
    """Cells of one trunk that one process trains; ``key`` names its ledger."""

    trunk: str
    cells: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        return digest(sorted(self.cells))


def _recorded(folder: Path) -> list[Part]:
    """The parts whose ledgers stand in a trunk's folder; a damaged one is no record.

    Neither is one whose cells were deleted: it could not be made again.
    """
    found = []
    for ledger in sorted(folder.glob("*.json")):
        try:
            part = Part(folder.name, tuple(json.loads(ledger.read_text(encoding="utf-8"))["cells"]))
        except (ValueError, KeyError, TypeError, OSError):
            continue
        specs = [folder.parents[1] / "cells" / cell / "spec.json" for cell in part.cells]
        if part.key == ledger.stem and all(spec.exists() for spec in specs):
            found.append(part)
    return found


def planned(trunk: str, cells: list[Cell], results: Path) -> dict[str, Part]:
    """Cell key -> the part that has trained it, or that will train all cells not yet trained."""
    wanted = [cell.key for cell in cells]
    made: dict[str, Part] = {}
    for part in _recorded(results / "trunks" / trunk):
        for key in part.cells:
            made.setdefault(key, part)
    if missing := tuple(key for key in wanted if key not in made):
        made |= dict.fromkeys(missing, Part(trunk, missing))
    return {key: made[key] for key in wanted}


def by_trunk(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Trunk key -> the cells that share it, fewest tokens first."""
    shared: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: c.tokens):
        if cell.trunk:
            shared.setdefault(cell.trunk, []).append(cell)
    return shared


def parts(cells: Iterable[Cell], results: str | Path) -> dict[str, Part]:
    """Cell key -> part, for every cell that has a trunk."""
    found: dict[str, Part] = {}
    for trunk, sharing in by_trunk(cells).items():
        found |= planned(trunk, sharing, Path(results))
    return found
