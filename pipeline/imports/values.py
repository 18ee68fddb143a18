"""Cells of a table as numbers: 1e9, 410M, 1,000,000; what is neither number nor empty is named."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.laws.base import Floats

EMPTY = {"", "-", "na", "n/a", "nan", "none", "null"}
SUFFIXES = {"k": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
_SUFFIXED = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s?([kMBGT])")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


def number(value: Any) -> float | None:
    """A cell as a number, NaN where it is empty, None where it is something else."""
    if value is None:
        return math.nan
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | float | np.number):
        return float(value)
    text = str(value).strip()
    if text.lower() in EMPTY:
        return math.nan
    if matched := _SUFFIXED.fullmatch(text):
        return float(matched[1]) * SUFFIXES[matched[2]]
    try:
        return float(text.replace(",", "") if _GROUPED.fullmatch(text) else text)
    except (ValueError, OverflowError):
        return None


def is_number(value: Any) -> bool:
    """Whether a cell holds a number."""
    found = number(value)
    return found is not None and not math.isnan(found)


def numbers(cells: Sequence[Any]) -> tuple[Floats, list[int]]:
    """Cells as an array (n,), NaN where empty, and the positions of those that are no number."""
    if not any(isinstance(cell, bool) for cell in cells):
        try:
            return np.array(cells, dtype=float), []
        except (ValueError, TypeError, OverflowError):
            pass  # some cell needs a closer look
    found = [number(cell) for cell in cells]
    faults = [index for index, value in enumerate(found) if value is None]
    return np.array([math.nan if value is None else value for value in found]), faults


def empty(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or str(value).strip().lower() in EMPTY


def same(cell: Any, wanted: Any) -> bool:
    """Whether a cell holds a value of the config: equal as text in any case, or as a number."""
    if str(cell).strip().lower() == str(wanted).strip().lower():
        return True
    one, other = number(cell), number(wanted)
    return one is not None and other is not None and one == other
