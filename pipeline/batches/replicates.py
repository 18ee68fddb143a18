"""Critical batches on resamples of batch sizes, as read from the contract level_replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.laws.batch_steps import LAW
from pipeline.laws.remeasured import Remeasured

Row = Mapping[str, Any]
CARRY = len(LAW.parameters)  # distinct batch sizes that a front needs


def read(path: Path, cells: Sequence[str]) -> Remeasured:
    """The critical batches of some levels on all draws of a table under that contract.

    Raises ValueError, naming the file, where it lacks one of them.
    """
    rows = contracts.read(path, contracts.LEVEL_REPLICATES).to_pylist()
    try:
        return of_levels(rows, cells)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def of_levels(rows: Sequence[Row], cells: Sequence[str]) -> Remeasured:
    """The same of rows; raises ValueError naming the level that lacks a draw."""
    by_level: dict[str, dict[int, Row]] = {cell: {} for cell in cells}
    for row in rows:
        if row["cell"] in by_level:
            by_level[row["cell"]][row["replicate"]] = row
    count = max((len(own) for own in by_level.values()), default=0)
    for cell, own in by_level.items():
        if not count or set(own) != set(range(count)):
            raise ValueError(
                f"level {cell} has {len(own)} of {count} replicates; make levels and their "
                "replicates in one run of pipeline.critical_batch, with --bootstraps above 0"
            )
    logs = np.array(
        [[own[i]["critical_batch"] or np.nan for i in range(count)] for own in by_level.values()]
    )
    first = [own[0] for own in by_level.values()]
    models = {row["model"]: row["batch_sizes"] for row in first}
    numbers = {model: number for number, model in enumerate(models)}
    model = np.array([numbers[row["model"]] for row in first], dtype=np.intp)
    return Remeasured(
        tuple(by_level),
        np.log(logs.reshape(len(first), count)).T,
        model,
        tuple(models.values()),
        CARRY,
    )
