"""Columns of a table as arrays in the project's units, with everything in them that is no number.

What the table lacks and the rest gives is computed: D from steps and batch or from C and N, N from
C and D, one loss from the other by the bytes per token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pipeline.imports import ImportRefusedError, times
from pipeline.imports.columns import COLUMNS, KEYS, Column
from pipeline.imports.definition import Source
from pipeline.imports.guess import Chosen
from pipeline.imports.reading import Table
from pipeline.imports.units import UNITS, Kind
from pipeline.imports.values import empty, numbers
from pipeline.laws.base import Floats

LN2 = math.log(2)
STATES = {"finished": "finished", "diverged": "diverged", "complete": "finished",
          "completed": "finished"}  # fmt: skip


class Problem(NamedTuple):
    """Something wrong with a row, by its position, or with all (None); ``column`` as shown."""

    at: int | None
    column: str
    message: str


@dataclass
class Draft:
    """What is known of the rows so far: arrays (n,) by project column, NaN where a row has none.

    ``labels`` name each column as the table does, with its ``units`` there; ``notes`` say what was
    computed.
    """

    table: Table
    file: str
    values: dict[str, Floats] = field(default_factory=dict)
    texts: dict[str, list[str | None]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> Floats:
        """N as far as it is counted: non-embedding parameters, else all."""
        return self.either("params", "params_total")

    def either(self, first: str, second: str) -> Floats:
        """One column, and another where that has no value; NaN where neither has."""
        one = self.values.get(first, np.full(len(self), np.nan))
        return np.where(np.isnan(one), self.values.get(second, np.nan), one)

    def label(self, *names: str) -> str:
        """How the table calls the first of some columns that it has."""
        return next((self.labels[name] for name in names if name in self.labels), names[0])


def drafted(
    table: Table, chosen: Mapping[str, Chosen], evaluations: Mapping[str, Source],
    tasks: Mapping[str, Source], file: str,
) -> Draft:  # fmt: skip
    """All columns in the project's units; texts and tasks under evaluation: and task: names."""
    draft = Draft(table, file)
    for name, found in chosen.items():
        if name in KEYS:
            continue
        draft.labels[name], draft.units[name] = found.label, found.unit or ""
        cells = _cells(table, found.source)
        if COLUMNS[name].kind is Kind.TIME:
            draft.texts[name] = _times(draft, cells, found)
        elif COLUMNS[name].kind is Kind.TEXT:
            draft.texts[name] = [None if empty(cell) else str(cell).strip() for cell in cells]
        else:
            draft.values[name] = _quantity(draft, cells, COLUMNS[name], found)
    _states(draft)
    _losses(draft, chosen)
    _complete(draft)
    for name, source in evaluations.items():
        _text(draft, name, source)
    for name, source in tasks.items():
        _task(draft, name, source)
    return draft


def _cells(table: Table, source: Source) -> Sequence[Any]:
    return table.columns[source.column] if source.column else [source.constant] * len(table)


def _quantity(draft: Draft, cells: Sequence[Any], column: Column, found: Chosen) -> Floats:
    """One column as numbers in its unit; every fault becomes a problem, and its value NaN."""
    raw, faults = numbers(cells)
    label = found.label
    draft.problems += [Problem(i, label, f"{cells[i]!r} is not a number") for i in faults]
    factor = UNITS[column.kind].get(found.unit or "", 1.0) * (found.source.per_second or 1.0)
    with np.errstate(over="ignore"):
        values = raw * factor
    low = values <= 0 if column.positive else values < 0
    for i in np.flatnonzero(np.isinf(values) | low):
        draft.problems.append(Problem(int(i), label, _impossible(raw[i], column)))
    if column.whole:
        small, large = (values > 0) & (values < 0.5), np.isfinite(values) & (values >= 2.0**63)
        for mask, than in ((small, "less than one"), (large, "more than a 64-bit integer")):
            for i in np.flatnonzero(mask):
                fault = f"{values[i]:.4g} is {than}; what is its unit?"
                draft.problems.append(Problem(int(i), label, fault))
        values, low = np.rint(values), low | small | large
    return np.where(np.isinf(values) | low, np.nan, values)


def _times(draft: Draft, cells: Sequence[Any], found: Chosen) -> list[str | None]:
    """Times in UTC as text; every fault becomes a problem."""
    unit, texts = found.unit or "", []
    cure = (
        f"name its unit ({', '.join(UNITS[Kind.TIME])}), or take none (columns.finished_at: null)"
    )
    for index, cell in enumerate(cells):
        made = None if empty(cell) else times.instant(cell, unit)
        if made is None and not empty(cell):
            fault = f"{cell!r} is no time in {unit} between {times.FIRST} and {times.LAST}"
            draft.problems.append(Problem(index, found.label, f"{fault}; {cure}"))
        texts.append(times.written(made) if made else None)
    return texts


def _impossible(value: float, column: Column) -> str:
    """Why a number cannot be, and what it may have been."""
    if math.isinf(value):
        return "is infinite"
    fault = f"{value:.17g} is not positive" if column.positive else f"{value:.17g} is negative"
    if value < 0 and column.kind in (Kind.FLOPS, Kind.COUNT) and abs(value) > 1e6:
        bits = 32 if abs(value) <= 2**31 else 64
        fault += f"; it looks like a {bits}-bit integer that overflowed"
        if column.kind is Kind.FLOPS:
            fault += " (flops: compute takes 6 N D instead)"
    return fault


def _states(draft: Draft) -> None:
    """The states of runs as the project calls them; runs that did not end are refused."""
    known = draft.texts.get("status", [None] * len(draft))
    found: list[str | None] = []
    for index, written in enumerate(known):
        state = STATES.get((written or "finished").lower())
        if state is None:
            draft.problems.append(Problem(
                index, draft.label("status"), f"{written!r} is neither finished nor diverged; "
                "leave such runs out with where, or take none of it with columns.status: null",
            ))  # fmt: skip
        found.append(state or "finished")
    draft.texts["status"] = found


def _losses(draft: Draft, chosen: Mapping[str, Chosen]) -> None:
    """The loss in nats/token and its standard error, and bits/byte, each from what there is."""
    ratio = draft.values.get("bytes_per_token", np.full(len(draft), np.nan))
    if "loss" in draft.values:
        raw, unit = draft.values["loss"], chosen["loss"].unit or ""
        draft.values["loss"] = nats(raw, unit, ratio)
        if "loss_se" in draft.values:
            slope = nats(raw, unit, ratio) / raw if unit != "perplexity" else 1 / raw
            draft.values["loss_se"] = draft.values["loss_se"] * slope
        if unit.endswith("/byte"):
            given = raw / (LN2 if unit == "nats/byte" else 1.0)
            known = draft.values.get("bits_per_byte", given)
            draft.values["bits_per_byte"] = np.where(np.isnan(known), given, known)
            draft.labels.setdefault("bits_per_byte", draft.labels["loss"])
    _fill(draft, "loss", draft.values.get("bits_per_byte", np.nan) * LN2 * ratio,
          "bits_per_byte x ln 2 x bytes_per_token")  # fmt: skip
    _fill(draft, "bits_per_byte", draft.values["loss"] / (LN2 * ratio),
          "loss / (ln 2 x bytes_per_token)")  # fmt: skip


def nats(raw: Floats, unit: str, bytes_per_token: Floats | float) -> Floats:
    """A loss in nats/token; NaN where it is per byte and bytes/token are not known."""
    if unit == "perplexity":
        return np.log(raw)
    factor = LN2 if unit.startswith("bits") else 1.0
    return raw * factor * (bytes_per_token if unit.endswith("/byte") else 1.0)


def _fill(draft: Draft, name: str, values: Any, formula: str) -> None:
    """Complete a column where it has no value; a note says from what."""
    there = draft.values.get(name, np.full(len(draft), np.nan))
    filled = np.where(np.isnan(there), values, there)
    if (count := int((np.isnan(there) & ~np.isnan(filled)).sum())) > 0:
        draft.notes.append(f"{name} = {formula} in {count} of {len(draft)} rows")
    if COLUMNS[name].whole:
        filled = np.rint(filled)
    draft.values[name] = filled


def _complete(draft: Draft) -> None:
    """N, D and C from one another; raises ImportRefusedError where a table tells N or D nowhere."""
    nothing = np.full(len(draft), np.nan)
    flops = draft.either("flops_6nd", "flops_exact")
    steps, batch = (draft.values.get(name, nothing) for name in ("steps", "batch_tokens"))
    if "tokens" not in draft.values:
        _fill(draft, "tokens", steps * batch, "steps x batch_tokens")
    if np.isnan(draft.size).all() and not np.isnan(draft.values["tokens"]).all():
        _fill(draft, "params", flops / (6 * draft.values["tokens"]), "flops / (6 tokens)")
    if np.isnan(draft.values["tokens"]).all():
        _fill(draft, "tokens", flops / (6 * draft.size), "flops / (6 params)")
    counted = 6.0 * draft.size * draft.values["tokens"]
    _fill(draft, "flops_6nd", counted, "6 x params x tokens")
    for key, there in (("params", draft.size), ("tokens", draft.values["tokens"]),
                       ("loss", draft.either("loss", "bits_per_byte"))):  # fmt: skip
        if np.isnan(there).all() and not draft.problems:
            names = ", ".join(draft.table.columns)
            raise ImportRefusedError(
                f"{draft.file}: no column holds {key}; map one (columns.{key}); it has {names}"
            )


def _text(draft: Draft, name: str, source: Source) -> None:
    """The loss on another text, as evaluation:<name>, in nats/token."""
    unit = source.unit or "nats/token"
    found = Chosen(source, False)
    raw = _quantity(draft, _cells(draft.table, source), COLUMNS["loss"], found)
    draft.values[f"evaluation:{name}"] = nats(raw, unit, source.bytes_per_token or np.nan)
    draft.labels[f"evaluation:{name}"] = found.label


def _task(draft: Draft, name: str, source: Source) -> None:
    """The error on a task, as task:<name>: a share of wrong answers."""
    unit, found = source.unit or "error", Chosen(source, False)
    cells = _cells(draft.table, source)
    raw, faults = numbers(cells)
    draft.problems += [Problem(i, found.label, f"{cells[i]!r} is not a number") for i in faults]
    share = raw / (100.0 if unit.endswith("%") else 1.0)
    draft.values[f"task:{name}"] = 1 - share if unit.startswith("accuracy") else share
    draft.labels[f"task:{name}"] = found.label
