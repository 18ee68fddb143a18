"""What schemas are made of: columns with their units, and the name and version of a table."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

VERSION = 1


def _field(name: str, type_: pa.DataType, unit: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, type_, nullable=nullable, metadata={"unit": unit})


def _later(name: str, type_: pa.DataType, unit: str, meant: Any = None) -> pa.Field:
    """A column that tables written before it lack: there it reads as ``meant``.

    It reads as null where nothing is meant, or where the schema that has it lets it be null.
    """
    tells = {"unit": unit, "later": json.dumps(meant)}
    return pa.field(name, type_, nullable=meant is None, metadata=tells)


def _schema(name: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"contract": name, "version": str(VERSION)})


_text, _i64, _f64, _bool = pa.string(), pa.int64(), pa.float64(), pa.bool_()
