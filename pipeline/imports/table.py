"""The definition of an import -> its runs, evaluations and tasks, and a card of what was done.

A run's key tells N, D and a digest of what makes the run that one (N, D, seed, loss), so that the
order of a table's rows changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import contracts
from pipeline.cells import digest, short
from pipeline.imports import ImportRefusedError
from pipeline.imports.checks import checked, refuse, repeated
from pipeline.imports.definition import Import
from pipeline.imports.guess import Chosen, mapping, refuse_unknown
from pipeline.imports.history import last_of_runs
from pipeline.imports.quantities import Draft, Problem, drafted
from pipeline.imports.reading import Table, read
from pipeline.imports.values import same


class Imported(NamedTuple):
    """What an import gives: three tables under their contracts, and its card as JSON values."""

    runs: pa.Table
    evaluations: pa.Table
    tasks: pa.Table
    card: dict[str, Any]


def imported(definition: Import) -> Imported:
    """Read, check and convert one table; raises ImportRefusedError naming file, row and column."""
    path = Path(definition.file)
    whole = read(path, definition.format)
    kept = _chosen_rows(whole, definition)
    columns = mapping(kept, definition)
    last = definition.history == "last"
    ends = last_of_runs(kept, columns, definition.file) if last else kept
    draft = drafted(ends, columns, definition.evaluations, definition.tasks, definition.file)
    problems = checked(draft, definition.accept)
    refuse(draft, problems)
    twice = repeated(draft) if definition.duplicates != "keep" else {}
    if definition.duplicates == "refuse":
        refuse(draft, [_repeat(draft, index, first) for index, first in twice.items()])
    rows = [i for i in range(len(draft)) if i not in twice]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    cells = _keys(definition.name, draft, rows)
    card = {
        "name": definition.name, "file": definition.file, "sha256": sha256,
        "rows": {"file": len(whole), "where": len(kept), "last_of_runs": len(ends),
                 "runs": len(rows)},
        "where": {name: list(values) for name, values in definition.where.items()},
        "columns": {name: _origin(draft, name, found) for name, found in columns.items()},
        "evaluations": {name: source.column for name, source in definition.evaluations.items()},
        "tasks": {name: source.column for name, source in definition.tasks.items()},
        "computed": draft.notes, "accepted": list(definition.accept),
        "duplicates": {"policy": definition.duplicates, "dropped": len(twice)},
    }  # fmt: skip
    return Imported(
        _runs(definition, draft, rows, cells, sha256),
        _measured(draft, rows, cells, "evaluation", contracts.EVALUATIONS, "loss"),
        _measured(draft, rows, cells, "task", contracts.TASKS, "error"),
        card,
    )


def _chosen_rows(table: Table, definition: Import) -> Table:
    """The rows whose columns have the values that the config asks for."""
    wanted = {f"where.{name}": name for name in definition.where}
    refuse_unknown(table, wanted, definition.file)
    rows = list(range(len(table)))
    for name, values in definition.where.items():
        cells = table.columns[name]
        before = rows
        rows = [i for i in rows if any(same(cells[i], value) for value in values)]
        if not rows:
            there = sorted({str(cells[i]) for i in before})[:10]
            raise ImportRefusedError(
                f"{definition.file}: no row is left where {name} is "
                f"{' or '.join(map(str, values))}; it is {', '.join(there)}"
            )
    return table.take(rows) if definition.where else table


def _repeat(draft: Draft, index: int, first: int) -> Problem:
    return Problem(
        index, "N, D, seed and loss", f"repeat {draft.table.place(first)}; duplicates: drop leaves "
        "it out, keep counts both",
    )  # fmt: skip


def _origin(draft: Draft, name: str, found: Chosen) -> dict[str, Any]:
    """Where a column came from, and how many rows have no value of it."""
    if name in draft.values:
        missing = int(np.isnan(draft.values[name]).sum())
    else:
        missing = sum(text is None for text in draft.texts.get(name, ()))
    return {
        "column": found.source.column, "constant": found.source.constant, "unit": found.unit,
        "guessed": found.guessed, "missing": missing,
    }  # fmt: skip


def _keys(name: str, draft: Draft, rows: Sequence[int]) -> list[str]:
    """A key for each row; rows that are the same in all that makes a run are numbered."""
    size, tokens, loss = draft.size, draft.values["tokens"], draft.either("loss", "bits_per_byte")
    seed = draft.values.get("seed", np.full(len(draft), np.nan))
    seen: Counter[str] = Counter()
    keys = []
    for i in rows:
        told = [None if np.isnan(v[i]) else float(v[i]) for v in (size, tokens, seed, loss)]
        part = "" if told[2] is None else f"-s{seed[i]:.0f}"
        key = f"{name}-N{short(size[i])}-D{short(tokens[i])}{part}-{digest(told)}"
        seen[key] += 1
        keys.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    return keys


def _runs(
    definition: Import, draft: Draft, rows: Sequence[int], cells: list[str], sha256: str
) -> pa.Table:
    """The contract runs; a column that the table does not bring is null."""
    given: Mapping[str, Sequence[Any]] = {
        "study": [definition.name] * len(rows), "source": [definition.name] * len(rows),
        "cell": cells, "provenance": _provenance(definition, draft, rows, sha256),
        "included": [True] * len(rows), "exclusion": [None] * len(rows),
    }  # fmt: skip
    index = np.array(rows)
    arrays = []
    for field in contracts.RUNS:
        if field.name in given:
            arrays.append(pa.array(given[field.name], field.type))
        elif field.name in draft.texts:
            texts = draft.texts[field.name]
            arrays.append(pa.array([texts[i] for i in rows], field.type))
        elif field.name in draft.values:
            values = draft.values[field.name][index]
            lacking = np.isnan(values)
            numbers = np.where(lacking, 0, values).astype(field.type.to_pandas_dtype())
            arrays.append(pa.array(numbers, field.type, mask=lacking))
        else:
            arrays.append(pa.nulls(len(rows), field.type))
    return pa.table(arrays, schema=contracts.RUNS)


def _provenance(
    definition: Import, draft: Draft, rows: Sequence[int], sha256: str
) -> list[str]:  # fmt: skip
    """File, digest, row and line of each run, as JSON."""
    table, origin = draft.table, {"file": definition.file, "sha256": sha256}
    return [
        json.dumps(
            {**origin, "row": table.row[i]} | ({"line": table.line[i]} if table.line else {})
        )
        for i in rows
    ]


def _measured(
    draft: Draft, rows: Sequence[int], cells: list[str], kind: str, schema: pa.Schema, value: str
) -> pa.Table:
    """The contract evaluations or tasks: a row for each run and text or task that it has."""
    found = [
        {"cell": cell, schema.names[1]: name.removeprefix(f"{kind}:"), value: float(values[i])}
        for name, values in draft.values.items()
        if name.startswith(f"{kind}:")
        for i, cell in zip(rows, cells, strict=True)
        if not np.isnan(values[i])
    ]
    return contracts.table(schema, found)
