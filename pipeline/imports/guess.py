"""Which column of a table is which of the project: as the config maps it, else by its name.

A guess is printed and recorded, and two columns that could be the same one are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pipeline.imports import ImportRefusedError
from pipeline.imports.columns import COLUMNS
from pipeline.imports.definition import Import, Source
from pipeline.imports.reading import Table
from pipeline.imports.times import instant, unit_of
from pipeline.imports.units import UNITS, Kind, unit
from pipeline.imports.values import is_number

PREFIXES = ("config", "summary", "summarymetrics")
FLOPS = ("flops_6nd", "flops_exact")


class Chosen(NamedTuple):
    """Where a column of the project comes from, and whether its name was guessed."""

    source: Source
    guessed: bool

    @property
    def label(self) -> str:
        """The column as messages name it."""
        return repr(self.source.column or self.source.constant)

    @property
    def unit(self) -> str | None:
        return self.source.unit


def mapping(table: Table, definition: Import) -> dict[str, Chosen]:
    """Project column -> source, those of the config first; raises ImportRefusedError.

    A column that the config maps to null is not looked for, and no compute is taken from the table
    where it is to be computed from N and D.
    """
    named = {name: source for name, source in definition.columns.items() if source}
    refuse_unknown(table, {f"columns.{name}": s.column for name, s in named.items() if s.column},
                   definition.file)  # fmt: skip
    for kind, sources in (("evaluations", definition.evaluations), ("tasks", definition.tasks)):
        wanted = {f"{kind}.{name}": source.column for name, source in sources.items()}
        refuse_unknown(table, wanted, definition.file)
    chosen = {name: Chosen(_with_unit(name, source), False) for name, source in named.items()}
    if definition.guess:
        chosen |= _guessed(table, definition)
    if definition.flops == "compute":
        chosen = {name: found for name, found in chosen.items() if name not in FLOPS}
    if {"loss", "loss_se"} <= set(chosen) and not _has_unit(definition, "loss_se"):
        spread = chosen["loss_se"]
        source = replace(spread.source, unit=chosen["loss"].unit)
        chosen["loss_se"] = spread._replace(source=source)
    return {name: chosen[name] for name in COLUMNS if name in chosen}


def _with_unit(name: str, source: Source) -> Source:
    """A source whose unit is named, the first of its kind where the config names none."""
    return replace(source, unit=source.unit or next(iter(UNITS[COLUMNS[name].kind])))


def _has_unit(definition: Import, name: str) -> bool:
    """Whether the config names the unit of a column."""
    source = definition.columns.get(name)
    return source is not None and source.unit is not None


def refuse_unknown(table: Table, wanted: Mapping[str, str | None], file: str) -> None:
    """Raise ImportRefusedError where a key of the config names a column that is not there."""
    for key, column in wanted.items():
        if column is not None and column not in table.columns:
            known = ", ".join(table.columns)
            raise ImportRefusedError(
                f"{file}: there is no column {column!r} ({key}); it has {known}"
            )


def _guessed(table: Table, definition: Import) -> dict[str, Chosen]:
    """What the names of columns tell of the columns that the config leaves open."""
    sources = [*definition.columns.values(), *definition.evaluations.values(),
               *definition.tasks.values()]  # fmt: skip
    taken = {source.column for source in sources if source}
    found: dict[str, list[tuple[str, str]]] = {}
    for column in table.columns:
        for name, written in () if column in taken else meanings(column):
            if name in definition.columns:
                continue
            held = _unit_held(table.columns[column], COLUMNS[name].kind, written)
            if held is not None:
                found.setdefault(name, []).append((column, held))
    for name, candidates in found.items():
        if len(candidates) > 1:
            told = " and ".join(repr(column) for column, _ in candidates)
            raise ImportRefusedError(
                f"{definition.file}: the columns {told} could all be {name}; map the right one "
                f"(columns.{name}), or null for none"
            )
    return {
        name: Chosen(Source(column=column, unit=written), True)
        for name, ((column, written),) in found.items()
    }


def meanings(column: str) -> Iterable[tuple[str, str]]:
    """(project column, unit) that a column's name stands for, such as tokens_billions.

    Of a dotted name the whole (less config. or summary.) or the last part may be the one.
    """
    parts = [part for part in column.split(".") if part != "value"]
    while parts and re.sub(r"[^a-z]", "", parts[0].lower()) in PREFIXES:
        parts = parts[1:]
    found = {}
    for text in {".".join(parts), parts[-1]} if parts else ():
        words = re.findall(r"[A-Za-z0-9]+", text)
        for end in range(1, len(words) + 1):
            head, tail = "".join(words[:end]), "".join(words[end:])
            for name, known in COLUMNS.items():
                written = unit(known.kind, tail) if tail else next(iter(UNITS[known.kind]))
                if written not in (None, "GPU-hours") and _called(head, known.names):
                    found[name] = written
    return [(name, written) for name, written in found.items() if written]


def _called(head: str, names: tuple[str, ...]) -> bool:
    """Whether a name is one of a column's; N, D, C and U only as capitals."""
    return head.lower() in names and (len(head) > 1 or head.isupper())


def _unit_held(cells: Sequence[Any], kind: Kind, written: str) -> str | None:
    """The unit of a column whose name tells one; None where no cell holds anything of its kind.

    Names of times tell none, mostly: then the cells do.
    """
    if kind is Kind.TEXT or (kind is not Kind.TIME and any(is_number(cell) for cell in cells)):
        return written
    if kind is not Kind.TIME:
        return None
    if written != next(iter(UNITS[kind])):
        return written if any(instant(cell, written) for cell in cells) else None
    return unit_of(cells)
