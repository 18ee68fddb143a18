"""When a run finished: dates as text or as seconds since 1970 -> UTC, as trained runs tell it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from pipeline.imports.units import TIMES
from pipeline.imports.values import empty, number

FIRST, LAST = 1990, 2200  # years between which a date is believed
MILLISECONDS = 1e11  # as seconds this is the year 5138, as milliseconds 1973


def instant(value: Any, unit: str) -> datetime | None:
    """A cell as a time in UTC, which it is taken to be in where it names no zone.

    None where it is no time in that unit, or none between 1990 and 2200.
    """
    try:
        if unit != "ISO 8601":
            seconds = number(value)
            found = None if seconds is None else datetime.fromtimestamp(seconds * TIMES[unit], UTC)
        elif isinstance(value, date):
            found = value if isinstance(value, datetime) else datetime.combine(value, time())
        else:
            found = datetime.fromisoformat(str(value).strip())
        if found is None or not FIRST <= found.year < LAST:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def written(found: datetime) -> str:
    """A time in UTC as text, ISO 8601."""
    return found.isoformat(timespec="seconds")


def unit_of(cells: Sequence[Any]) -> str | None:
    """The unit that the first cell with a time looks written in; None where none has one."""
    for cell in cells:
        told = None if empty(cell) else number(cell)
        likely = "ISO 8601"
        if told is not None:
            likely = "unix seconds" if told < MILLISECONDS else "unix milliseconds"
        if not empty(cell) and instant(cell, likely):
            return likely
    return None
