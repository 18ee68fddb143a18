"""A file of runs as columns: CSV, Parquet, JSON, JSON Lines; nested values by dotted names.

Exports of experiment trackers nest a run's settings and its results, as JSON objects or as text of
Python dictionaries in a cell of a CSV; both come out as ``config.lr`` and ``summary.loss``.
"""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.imports import ImportRefusedError

FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".json": "json",
           ".jsonl": "jsonl", ".ndjson": "jsonl"}  # fmt: skip
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Table:
    """Columns of equal length with, for each row, its number (from 1) and its line in the file."""

    columns: Mapping[str, list[Any]]
    row: list[int]
    line: list[int] | None  # None where the file has no lines of rows

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: Sequence[int]) -> Table:
        """The rows at these positions."""
        return Table(
            {name: [values[i] for i in rows] for name, values in self.columns.items()},
            [self.row[i] for i in rows],
            [self.line[i] for i in rows] if self.line else None,
        )

    def place(self, index: int) -> str:
        """Where a row stands in the file."""
        line = f" (line {self.line[index]})" if self.line else ""
        return f"row {self.row[index]}{line}"


def read(path: Path, format_: str) -> Table:
    """The whole file; raises ImportRefusedError naming it where it is none of its format."""
    kind = FORMATS.get(path.suffix.lower(), "") if format_ == "auto" else format_
    if kind not in READERS:
        endings = ", ".join(FORMATS)
        raise ImportRefusedError(
            f"{path}: the ending {path.suffix!r} tells no format ({endings}); name it with format"
        )
    try:
        table = READERS[kind](path)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid, csv.Error) as error:
        raise ImportRefusedError(f"{path}: not readable as {kind}: {error}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ImportRefusedError(f"{path}: not valid JSON: {error}") from error
    if not len(table):
        raise ImportRefusedError(f"{path}: holds no rows")
    return table


def _csv(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        lines = csv.reader(file, delimiter=max(DELIMITERS, key=head.count))
        names = [name.strip() for name in next(lines, [])]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ImportRefusedError(f"{path}: two columns are called {twice!r}; rename one")
        rows: list[list[str]] = []
        places: list[int] = []
        for fields in lines:
            if not any(fields):
                continue
            if len(fields) != len(names):
                raise ImportRefusedError(
                    f"{path}: row {len(rows) + 1} (line {lines.line_num}) has {len(fields)} "
                    f"fields, the head has {len(names)}"
                )
            rows.append(fields)
            places.append(lines.line_num)
    columns = {name: list(values) for name, values in zip(names, zip(*rows))}
    return _opened(columns, list(range(1, len(rows) + 1)), places)


def _opened(columns: Mapping[str, list[Any]], row: list[int], line: list[int] | None) -> Table:
    """A table whose cells that hold dictionaries as text became columns of their own."""
    found: dict[str, list[Any]] = {}
    for name, values in columns.items():
        first = next((value for value in values if value), "")
        if not (isinstance(first, str) and first.startswith("{")):
            found[name] = values
            continue
        found |= _columns([_flat({name: _dictionary(value)}) for value in values])
    return Table(found, row, line)


def _dictionary(text: str) -> Any:
    """A cell that shows a JSON object or a Python dictionary; any other stays text."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return text


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, their keys joined by dots."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = inner
    return found


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _parquet(path: Path) -> Table:
    table = pq.read_table(path, partitioning=None)
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return _opened(columns, list(range(1, len(table) + 1)), None)


def _json(path: Path) -> Table:
    value = json.loads(path.read_text(encoding="utf-8"))
    return _of_objects(path, _rows(path, value), None)


def _rows(path: Path, value: Any) -> list[Any]:
    """A list of objects, an object of columns, or an object that holds one of them."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and value:
        inner = list(value.values())
        if len(inner) == 1 and isinstance(inner[0], list | Mapping):
            return _rows(path, inner[0])
        if all(isinstance(column, list) for column in inner):
            if len({len(column) for column in inner}) == 1:
                return [dict(zip(value, row)) for row in zip(*inner)]
        elif all(isinstance(column, Mapping) for column in inner):
            index = dict.fromkeys(key for column in inner for key in column)
            return [{name: value[name].get(key) for name in value} for key in index]
    raise ImportRefusedError(f"{path}: holds neither a list of runs nor columns of equal length")


def _jsonl(path: Path) -> Table:
    objects, places = [], []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                objects.append(json.loads(line))
            except ValueError as error:
                raise ImportRefusedError(f"{path}: line {number}: not JSON ({error})") from error
            places.append(number)
    return _of_objects(path, objects, places)


def _of_objects(path: Path, objects: Iterable[Any], places: list[int] | None) -> Table:
    rows = []
    for number, value in enumerate(objects, 1):
        if not isinstance(value, Mapping):
            raise ImportRefusedError(f"{path}: row {number} is {value!r:.40}, not an object")
        rows.append(_flat(value))
    return Table(_columns(rows), list(range(1, len(rows) + 1)), places)


READERS = {"csv": _csv, "parquet": _parquet, "json": _json, "jsonl": _jsonl}
