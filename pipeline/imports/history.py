"""Rows that are points along a run -> the last one of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.imports import ImportRefusedError
from pipeline.imports.guess import Chosen
from pipeline.imports.reading import Table
from pipeline.imports.values import empty, numbers

FIXED = ("params", "params_total", "lr", "seed")  # what no run changes on its way


def last_of_runs(table: Table, chosen: Mapping[str, Chosen], file: str) -> Table:
    """The row with the largest step of each run, among those of its rows that have a loss.

    A row without a run's name is a run of its own. The table itself where it does not say which run
    and step a row is of, or has one row for each. Raises ImportRefusedError, naming rows and
    column, where rows of one name differ in what makes a run.
    """
    columns = {name: found.source.column for name, found in chosen.items()}
    runs, steps = columns.get("run"), columns.get("step")
    measure = columns.get("loss") or columns.get("bits_per_byte")
    if runs is None or steps is None:
        return table
    members = _members(table.columns[runs])
    if len(members) == len(table):
        return table
    for name in FIXED:
        if (column := columns.get(name)) is not None:
            _refuse_change(table, file, runs, (name, column), members)
    step, _ = numbers(table.columns[steps])
    loss = numbers(table.columns[measure])[0] if measure else np.zeros(len(table))
    return table.take(
        sorted(
            max(rows, key=lambda i: (*_rank(float(loss[i]), float(step[i])), i)) for rows in members
        )
    )


def _members(names: Sequence[object]) -> list[list[int]]:
    """The rows of each run."""
    found: dict[str | int, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(index if empty(name) else str(name), []).append(index)
    return list(found.values())


def _refuse_change(
    table: Table, file: str, runs: str, changing: tuple[str, str], members: Sequence[list[int]]
) -> None:
    """Raise ImportRefusedError where a column, (its meaning, its name), changes within a run."""
    meaning, column = changing
    values, _ = numbers(table.columns[column])
    for rows in members:
        known = [i for i in rows if not np.isnan(values[i])]
        other = next((i for i in known if values[i] != values[known[0]]), None)
        if other is None:
            continue
        one, told = known[0], table.columns[column]
        raise ImportRefusedError(
            f"{file}: {table.place(one)} and {table.place(other)} have one {runs!r}, "
            f"{table.columns[runs][one]}, but {meaning} ({column!r}) {told[one]} and "
            f"{told[other]}: a run has one. If {runs!r} names sweeps, map what names runs "
            f"(columns.run), or null and take all rows (history: all); if {column!r} changes "
            f"along a run, it is no {meaning} (columns.{meaning}: null)"
        )


def _rank(loss: float, step: float) -> tuple[bool, float]:
    """Rows with a loss come after those without, then by step."""
    return not np.isnan(loss), float(np.nan_to_num(step, nan=-1.0))
