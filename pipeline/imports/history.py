"""Rows that are points along a run -> the last one of each run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.imports.guess import Chosen
from pipeline.imports.reading import Table
from pipeline.imports.values import numbers


def last_of_runs(table: Table, chosen: Mapping[str, Chosen]) -> Table:
    """The row with the largest step of each run, among those of its rows that have a loss.

    The table itself where it does not say which run and step a row is of, or has one row for each.
    """
    columns = {name: found.source.column for name, found in chosen.items()}
    runs, steps = columns.get("run"), columns.get("step")
    measure = columns.get("loss") or columns.get("bits_per_byte")
    if runs is None or steps is None or len(set(map(str, table.columns[runs]))) == len(table):
        return table
    step, _ = numbers(table.columns[steps])
    loss = numbers(table.columns[measure])[0] if measure else np.zeros(len(table))
    last: dict[str, int] = {}
    for index, run in enumerate(map(str, table.columns[runs])):
        known = last.get(run)
        if known is None or _rank(loss[index], step[index]) >= _rank(loss[known], step[known]):
            last[run] = index
    return table.take(sorted(last.values()))


def _rank(loss: float, step: float) -> tuple[bool, float]:
    """Rows with a loss come after those without, then by step."""
    return not np.isnan(loss), float(np.nan_to_num(step, nan=-1.0))
