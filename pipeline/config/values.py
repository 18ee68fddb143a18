"""Single values of a config: names that are known, and numbers, given as such or as text."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.config.schema import ConfigError


def choose(key: str, asked: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """The names asked for, or all known ones; raises ConfigError on one that is not known."""
    known = list(known)
    for index, name in enumerate(asked or ()):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            choices = f"{hint}choose from {', '.join(known)}" if known else "leave it out"
            raise ConfigError(f"{key}[{index}]", name, "is not known here", choices)
    return list(asked) if asked is not None else known


def number(key: str, value: Any) -> float:
    """A config number, given as a number or as text such as 1e18."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ConfigError(key, value, "is not a number", "write it like 1000000 or 1e6") from None
    if not math.isfinite(result):
        raise ConfigError(key, value, "is not finite", "write it like 1000000 or 1e6")
    return result


def positive(key: str, value: Any) -> float:
    """The same of a number that is more than zero."""
    if (found := number(key, value)) <= 0:
        raise ConfigError(key, value, "is not positive", "give a positive number")
    return found
