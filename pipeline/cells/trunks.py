"""Trainings of cells: trunks with the branches that leave them, and cells without a trunk.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.cells.cell import Cell


def by_trunk(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Trunk key -> the cells that share it, fewest tokens first."""
    shared: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: c.tokens):
        if cell.trunk:
            shared.setdefault(cell.trunk, []).append(cell)
    return shared


def trainings(cells: Iterable[Cell]) -> list[list[Cell]]:
    """What is trained by itself, in the cells' order: all that share a trunk, or a lone cell."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.training, []).append(cell)
    return list(found.values())
