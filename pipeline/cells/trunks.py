"""Trainings of cells: trunks with the branches that leave them, and cells without a trunk.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.cells.cell import Cell


def by_trunk(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Trunk key -> the cells that share it, fewest tokens first."""
    ordered = sorted(cells, key=lambda c: c.tokens)
    return _sharing((c for c in ordered if c.trunk), lambda c: c.trunk or "")


def trainings(cells: Iterable[Cell]) -> list[list[Cell]]:
    """What is trained by itself, in the cells' order: all that share a trunk, or a lone cell."""
    return list(_sharing(cells, lambda c: c.training).values())


def runs(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells in the order in which they leave their trunk, those together that are one run.

    Cells of one run differ in the texts and tasks that its end is scored on.
    """
    ordered = sorted(cells, key=lambda c: c.stable_steps)
    return list(_sharing(ordered, lambda c: c.state).values())


def _sharing(cells: Iterable[Cell], key: Callable[[Cell], str]) -> dict[str, list[Cell]]:
    """Key -> the cells that have it, both in the cells' order."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(key(cell), []).append(cell)
    return found
