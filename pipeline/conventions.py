"""Which counts stand for N, C and the loss: the switch behind every fit, and runs under it.

Published exponents differ by what is counted (Pearce and Song 2024, arXiv:2406.12907; Porian et al.
2024, arXiv:2406.19146), so every stage that fits takes the same options, and says them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.laws.base import Runs

PARAMS = ("params", "params_total")
FLOPS = ("flops_6nd", "flops_exact")
TOKENS = ("tokens", "unique_tokens")  # seen, or in the dataset
LOSS = ("loss", "bits_per_byte")
COUNTED = ("params", "tokens", "flops", "loss")  # what every included run has
# Columns that only some laws take, by their name in formulas; there where every included run has
# one, and where none is included, so that a law can say that there are too few.
OPTIONAL = {
    "unique_tokens": "unique_tokens",
    "flops_min": "flops_min",
    "steps": "steps",
    "steps_min": "steps_min",
    "batch_tokens": "batch_tokens",
    "critical_batch": "critical_batch",
    "lr": "lr",
    "bits": "weight_bits",
    "rounded_bits": "rounded_bits",
    "rounding_loss": "rounding_loss",
}


@dataclass(frozen=True)
class Terms:
    """What a table of runs calls its loss and its tokens, and the unit of its column ``loss``."""

    loss: str = "loss"
    of: str = "validation"  # what the loss is measured on
    unit: str = "nats/token"
    tokens: str = "training tokens"

    @classmethod
    def of_table(cls, path: Path) -> Terms:
        """Those that a table's columns tell; the usual ones where they, or the file, tell none."""
        if not path.exists():
            return cls()  # whoever reads it says so
        schema = contracts.read(path, contracts.RUNS).schema
        loss, tokens = (schema.field(name).metadata or {} for name in ("loss", "tokens"))
        usual = cls()
        if b"name" not in loss:
            return usual
        return cls(
            loss[b"name"].decode(), "", loss[b"unit"].decode().partition(",")[0],
            tokens.get(b"name", usual.tokens.encode()).decode(),
        )  # fmt: skip


@dataclass(frozen=True)
class Convention:
    """The columns of runs.parquet that stand for N, C and the loss, and what they are called."""

    params: str = "params"
    flops: str = "flops_6nd"
    loss: str = "loss"
    tokens: str = "tokens"
    terms: Terms = Terms()

    @property
    def columns(self) -> dict[str, str]:
        """Name in formulas -> column of runs.parquet."""
        return {
            "params": self.params, "flops": self.flops, "loss": self.loss, "tokens": self.tokens
        }  # fmt: skip

    @property
    def card(self) -> dict[str, Any]:
        """The convention as it is written on fit cards; ``terms`` where they are not the usual."""
        if self.terms != Terms():
            return {**self.columns, "loss": self.terms.unit, "terms": asdict(self.terms)}
        unit = contracts.RUNS.field(self.loss).metadata[b"unit"].decode().partition(",")[0]
        return {**self.columns, "loss": unit}


def terms(card: Mapping[str, Any]) -> Terms:
    """What a fit card calls the loss and the tokens, the loss with its unit."""
    told = card.get("terms", {"unit": card.get("loss", Terms().unit)})
    return Terms(**told)


def of_card(card: Mapping[str, Any]) -> Convention:
    """The convention of a fit card, which names the loss by its unit.

    Raises ValueError where that is no unit known here.
    """
    own = terms(card) if "terms" in card else Terms()
    for loss in LOSS:
        found = Convention(card["params"], card["flops"], loss, card["tokens"], own)
        if found.card["loss"] == card["loss"]:
            return found
    raise ValueError(f"fit.convention.loss: {card['loss']!r} is no unit of a loss known here")


class Measured(NamedTuple):
    """Numbers beside the loss that a law may predict: of one text, or of one task.

    ``column`` is the law's name for them, ``path`` the table (contract evaluations or tasks) and
    ``of`` the text or the task.
    """

    column: str
    path: Path
    of: str

    def by_cell(self, cells: Collection[str]) -> dict[str, float]:
        """Cell -> number, of those ``cells`` that have one.

        Raises ContractError, naming the file, where none has, and the cell whose number cannot be.
        An error of 0 can: its law leaves that run out, and says so.
        """
        name, of, value = MEASURED[self.column]
        rows = contracts.read(self.path, contracts.SCHEMAS[name]).to_pylist()
        wanted = set(cells)
        rows = [row for row in rows if row["cell"] in wanted]
        found = {row["cell"]: row[value] for row in rows if row[of] == self.of}
        perfect = self.column == "task_error"
        for cell, number in found.items():
            if not (_positive(number) or (perfect and number == 0)):
                raise ContractError(
                    f"{self.path}: cell {cell}: {value} on {self.of} is {number}, but a law of its "
                    "logarithm needs a positive one; leave the run out"
                )
        if not found:
            known = ", ".join(sorted({row[of] for row in rows})) or "none"
            raise ContractError(
                f"{self.path}: no included run was scored on {self.of!r}; known: {known}"
            )
        return found


# Column of a law -> contract, column that names the text or task, column of the numbers.
MEASURED = {
    "evaluation_loss": ("evaluations", "corpus", "loss"),
    "task_error": ("tasks", "task", "error"),
}


def measured(
    key: str, columns: Collection[str], evaluations: Path | None, tasks: Path | None
) -> Measured | None:
    """What the law of a fit's key is fitted to beside the runs' own columns, if anything.

    ``columns`` are those the law takes and predicts. Raises ValueError where the key names no text
    or task, or its table is not given.
    """
    name, _, of = key.partition("@")
    further = [column for column in MEASURED if column in columns]
    if not further:
        if of:
            raise ValueError(f"--law {key}: {name} is fitted to the runs alone; leave out @{of}")
        return None
    table = MEASURED[further[0]][0]
    path = evaluations if table == "evaluations" else tasks
    if not of or path is None:
        cure = f"write --law {name}@NAME and give --{table}"
        raise ValueError(f"--law {key}: {name} is fitted to one of the {table}; {cure}")
    return Measured(further[0], path, of)


def included_runs(path: Path, convention: Convention, measured: Measured | None = None) -> Runs:
    """The included rows of runs.parquet under a convention, sorted by cell.

    With ``measured``, those of them that have such a number, and its column. A run beside points
    along curves is a curve of its own. Raises ContractError naming the column and the key of the
    study where no run has a count or a loss, or the cell where it is missing or not positive.
    """
    table = contracts.read(path, contracts.RUNS)
    table = table.filter(table["included"]).sort_by("cell")
    further: dict[str, np.ndarray] = {}
    if measured:
        numbers = measured.by_cell(table["cell"].to_pylist())
        scored = [cell in numbers for cell in table["cell"].to_pylist()]
        table = table.filter(pa.array(scored, pa.bool_()))
        own = [numbers[cell] for cell in table["cell"].to_pylist()]
        further[measured.column] = np.array(own, dtype=float)
    for name, column in convention.columns.items():
        _refuse_missing(path, table, name, column)
    columns = {name: _numbers(table, column) for name, column in convention.columns.items()}
    for name, column in OPTIONAL.items():
        values = _numbers(table, column)
        if _positive(values).all():
            columns[name] = values
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = _numbers(table, "loss_se") / _numbers(table, "loss")
    if len(relative) and _positive(relative).all():
        columns["loss_se"] = relative * columns["loss"]  # in the unit of the loss that is fitted
    cells, curves = table["cell"].to_pylist(), table["curve"].to_pylist()
    named = tuple(curve or cell for curve, cell in zip(curves, cells, strict=True))
    return Runs(tuple(cells), columns | further, named if any(curves) else None)


def repeats(run: Mapping[str, Any]) -> bool:
    """Whether a run saw tokens of its dataset more than once; not known, it did not."""
    unique = run["unique_tokens"]
    return unique is not None and bool(run["tokens"] > unique)


def digest(runs: Runs) -> str:
    """A digest of which runs there are and what is counted of them, whatever is fitted to them."""
    found = hashlib.sha256()
    for i in np.argsort(runs.cell):
        row = (runs.cell[i], *(runs.columns[name][i].item() for name in sorted(COUNTED)))
        found.update(repr(row).encode())
    return found.hexdigest()


def _refuse_missing(path: Path, table: pa.Table, name: str, column: str) -> None:
    """Raise ContractError where runs lack what the convention takes for ``name``."""
    lacking = np.flatnonzero(~_positive(_numbers(table, column)))
    if not len(lacking):
        return
    if table[column].null_count == len(table):
        unit = contracts.RUNS.field(column).metadata[b"unit"].decode()
        raise ContractError(
            f"{path}: no run has {column} ({unit}), which fit.{name}: {column} takes; map it in "
            f"runs[].columns, or choose another fit.{name}"
        )
    row = table.slice(int(lacking[0]), 1).to_pylist()[0]
    cure = "train it again" if row["source"] == "native" else f"mend its row in {row['source']}"
    raise ContractError(
        f"{path}: cell {row['cell']}: {column} is {row[column]}, but an included run needs a "
        f"positive one (fit.{name}); exclude the run or {cure}"
    )


def _positive(values: np.ndarray | float) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.isfinite(values) & (np.asarray(values) > 0)


def _numbers(table: pa.Table, column: str) -> np.ndarray:
    """A column as float64 (n,), NaN where it is null."""
    return table[column].cast(pa.float64()).to_numpy()
