"""Early stopping: when a run ends before its last step, and which of its evaluations counts.

Rules on the rows of the curve alone, so that a resumed run ends where it would have ended. Standard
library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cells import Cell

Row = Mapping[str, Any]


def best(rows: Sequence[Row]) -> int:
    """Index of the row of least validation loss, the first of equal ones."""
    return min(range(len(rows)), key=lambda index: rows[index]["val_loss"])


def is_over(cell: Cell, rows: Sequence[Row]) -> bool:
    """Have the last ``patience`` evaluations brought no better loss than those before?"""
    return 0 < cell.patience < len(rows) and best(rows) < len(rows) - cell.patience


def is_best(cell: Cell, rows: Sequence[Row]) -> bool:
    """Is the last row the one to keep so far, in a run that may end before its last step?"""
    return cell.patience > 0 and best(rows) == len(rows) - 1


def keeps(cell: Cell, rows: Sequence[Row]) -> bool:
    """Is there a model to keep beside the present one?"""
    return cell.patience > 0 and len(rows) > 0


def counted(cell: Cell, rows: Sequence[Row]) -> Row:
    """The row whose loss is the run's: the best one with early stopping, else the last."""
    return rows[best(rows)] if cell.patience else rows[-1]
