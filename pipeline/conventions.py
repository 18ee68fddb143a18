"""Which counts stand for N, C and the loss: the switch behind every fit, and runs under it.

Published exponents differ by what is counted (Pearce and Song 2024, arXiv:2406.12907; Porian et al.
2024, arXiv:2406.19146), so every stage that fits takes the same options, and says them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.laws.base import Runs

PARAMS = ("params", "params_total")
FLOPS = ("flops_6nd", "flops_exact")
LOSS = ("loss", "bits_per_byte")
# Columns that only some laws take; they are there where every included run has one.
OPTIONAL = ("unique_tokens", "steps", "batch_tokens", "lr")


@dataclass(frozen=True)
class Convention:
    """The columns of runs.parquet that stand for N, C and the loss."""

    params: str = "params"
    flops: str = "flops_6nd"
    loss: str = "loss"

    @property
    def columns(self) -> dict[str, str]:
        """Name in formulas -> column of runs.parquet."""
        return {**asdict(self), "tokens": "tokens"}

    @property
    def card(self) -> dict[str, str]:
        """The convention as it is written on fit cards."""
        unit = contracts.RUNS.field(self.loss).metadata[b"unit"].decode().partition(",")[0]
        return {**self.columns, "loss": unit}


def included_runs(path: Path, convention: Convention) -> Runs:
    """The included rows of runs.parquet under a convention, sorted by cell.

    Raises ContractError naming the cell where a count or a loss is missing or not positive.
    """
    rows = contracts.read(path, contracts.RUNS).to_pylist()
    rows = sorted((row for row in rows if row["included"]), key=lambda row: row["cell"])
    for row in rows:
        for column in convention.columns.values():
            if not _positive(row[column]):
                raise ContractError(
                    f"{path}: cell {row['cell']}: {column} is {row[column]}, but an included run "
                    "needs a positive one; exclude the run or train it again"
                )
    columns = {name: _numbers(rows, column) for name, column in convention.columns.items()}
    for name in OPTIONAL:
        if rows and all(_positive(row[name]) for row in rows):
            columns[name] = _numbers(rows, name)
    return Runs(tuple(row["cell"] for row in rows), columns)


def _positive(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _numbers(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)
