"""Reading and writing tables under their contracts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.columns import VERSION
from pipeline.files import atomic


class ContractError(ValueError):
    """A table breaks its contract; the message names the file, the column and the cure."""


def table(schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a table of ``schema``; ContractError on a missing, foreign or ill-typed column."""
    rows = list(rows)
    name = schema.metadata[b"contract"].decode()
    known = set(schema.names)
    for row in rows:
        if foreign := set(row) - known:
            raise ContractError(f"{name}: unknown column {sorted(foreign)[0]!r}")
        for field in schema:
            if row.get(field.name) is None and not field.nullable:
                raise ContractError(f"{name}: column {field.name!r} is missing from a row")
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ContractError(f"{name}: {error}") from error


def told(schema: pa.Schema, columns: Mapping[str, Mapping[str, str]]) -> pa.Schema:
    """The same contract, some of whose columns tell another ``unit``, or a ``name`` in figures.

    They are written into the file, so that what a table measures is known wherever it is read.
    """
    for column, tells in columns.items():
        index = schema.get_field_index(column)
        field = schema.field(index)
        own = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        schema = schema.set(index, field.with_metadata({**own, **tells}))
    return schema


def write(path: str | Path, data: pa.Table | Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Write a table atomically: a reader sees the whole file or none.

    Raises ContractError when the data break the schema, OSError (naming the file) when the disk
    refuses; neither leaves a half-written file behind.
    """
    path = Path(path)
    if not isinstance(data, pa.Table):
        data = table(schema, data)
    elif not data.schema.equals(schema):
        raise ContractError(f"{path}: the table's columns differ from its contract's")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        pq.write_table(data.replace_schema_metadata(schema.metadata), temporary)


def read(path: str | Path, schema: pa.Schema) -> pa.Table:
    """Read a table and hold it to its contract; raise ContractError naming file and fault."""
    path = Path(path)
    name = schema.metadata[b"contract"].decode()
    cure = "delete it and run snakemake again to make it anew"
    if not path.exists():
        raise ContractError(f"{path}: there is no such file (expected a {name} table)")
    try:
        with pq.ParquetFile(path) as file:  # read_table imports pandas, for a third of a second
            found = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise ContractError(f"{path}: not a readable Parquet file ({error}); {cure}") from error
    stamp = (found.schema.metadata or {}).get(b"contract", b"none").decode()
    if stamp != name:
        raise ContractError(f"{path}: holds the contract {stamp!r}, expected {name!r}; {cure}")
    version = found.schema.metadata.get(b"version", b"?").decode()
    if version != str(VERSION):
        raise ContractError(f"{path}: {name} version {version}, expected {VERSION}; {cure}")
    for field in schema:
        if field.name not in found.schema.names and b"later" in field.metadata:
            meant = None if field.nullable else json.loads(field.metadata[b"later"])
            found = found.append_column(field, [pa.array([meant] * len(found), field.type)])
        if field.name not in found.schema.names:
            raise ContractError(f"{path}: the column {field.name!r} is missing; {cure}")
        if found.schema.field(field.name).type != field.type:
            raise ContractError(
                f"{path}: the column {field.name!r} is {found.schema.field(field.name).type}, "
                f"expected {field.type}; {cure}"
            )
    return found.select(schema.names)
