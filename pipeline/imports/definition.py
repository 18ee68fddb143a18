"""What a study's config asks of a table of runs, checked as far as it goes without reading it.

Standard library only, as every parse of the Snakefile does this.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import ConfigError, positive
from pipeline.imports.columns import COLUMNS
from pipeline.imports.units import UNITS, Kind, unit

# Names that stand for runs made here.
RESERVED = {
    "native": "is the name of trained runs", "regression": "is the name of a regression's runs",
}  # fmt: skip
SUSPICIONS = {
    "flops": "the table's compute and 6 N D differ by more than a factor three",
    "units": "counts look like thousands, millions or billions",
    "swapped": "N and D look like one another",
    "loss": "the loss looks like bits, bits/byte or perplexity",
}


@dataclass(frozen=True)
class Source:
    """Where a column comes from: a column of the table, or one number or word for every row."""

    column: str | None = None
    constant: float | str | None = None
    unit: str | None = None  # None: the first of its kind
    per_second: float | None = None  # of one GPU, for GPU-hours
    bytes_per_token: float | None = None  # of another text, for its loss per byte


@dataclass(frozen=True)
class Import:
    """One table of runs. ``columns`` maps columns of the project; None keeps one from a guess."""

    name: str
    file: str
    format: str = "auto"
    columns: Mapping[str, Source | None] = field(default_factory=dict)
    evaluations: Mapping[str, Source] = field(default_factory=dict)
    tasks: Mapping[str, Source] = field(default_factory=dict)
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    guess: bool = True
    history: str = "last"
    duplicates: str = "refuse"
    flops: str = "given"
    accept: tuple[str, ...] = ()

    @property
    def card(self) -> dict[str, Any]:
        """The definition as JSON values."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Import:
        """The inverse of ``card``."""
        sources = {
            key: {name: source and Source(**source) for name, source in card[key].items()}
            for key in ("columns", "evaluations", "tasks")
        }
        where = {name: tuple(values) for name, values in card["where"].items()}
        return cls(**{**card, **sources, "where": where, "accept": tuple(card["accept"])})


def imports(config: Mapping[str, Any]) -> tuple[Import, ...]:
    """The tables of a completed config; ConfigError naming the key of what cannot be."""
    found = tuple(table(item, f"runs[{i}]") for i, item in enumerate(config["runs"]))
    names = [item.name for item in found]
    for index, name in enumerate(names):
        if name in names[:index] or name in RESERVED:
            fault = RESERVED.get(name, "is given twice")
            raise ConfigError(f"runs[{index}].name", name, fault, "take another name")
    return found


def table(item: Mapping[str, Any], key: str) -> Import:
    """One item of ``runs``, complete; ``key`` is its place in the config."""
    if not Path(item["file"]).is_file():
        raise ConfigError(
            f"{key}.file", item["file"], "is no file", "paths start in the working directory"
        )
    for name in item["columns"]:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(COLUMNS)}"
            fault = "is no column of the project"
            raise ConfigError(f"{key}.columns.{name}", item["columns"][name], fault, hint)
    for index, name in enumerate(item["accept"]):
        if name not in SUSPICIONS:
            choices = f"choose from {', '.join(SUSPICIONS)}"
            raise ConfigError(f"{key}.accept[{index}]", name, "is no check", choices)
    where = {name: _several(value) for name, value in item["where"].items()}
    kinds = {name: column.kind for name, column in COLUMNS.items()}
    return Import(
        name=item["name"], file=item["file"], format=item["format"],
        columns=_sources(item["columns"], kinds, f"{key}.columns"),
        evaluations=_named(item["evaluations"], Kind.LOSS, f"{key}.evaluations"),
        tasks=_named(item["tasks"], Kind.SHARE, f"{key}.tasks"),
        where=where, guess=item["guess"], history=item["history"],
        duplicates=item["duplicates"], flops=item["flops"], accept=tuple(item["accept"]),
    )  # fmt: skip


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _named(given: Mapping[str, Any], kind: Kind, key: str) -> dict[str, Source]:
    """The sources of texts or tasks, which all must have one."""
    found = _sources(given, dict.fromkeys(given, kind), key)
    for name, source in found.items():
        if source is None or source.column is None:
            raise ConfigError(f"{key}.{name}", given[name], "names no column", "name one")
        if (source.unit or "").endswith("/byte") and source.bytes_per_token is None:
            raise ConfigError(
                f"{key}.{name}.bytes_per_token", None, f"is needed for {source.unit}",
                "give the bytes per token of this text, or a column in nats/token",
            )  # fmt: skip
    return {name: source for name, source in found.items() if source}


def _sources(given: Mapping[str, Any], kinds: Mapping[str, Kind], key: str) -> dict[str, Any]:
    return {name: _source(value, kinds[name], f"{key}.{name}") for name, value in given.items()}


def _source(value: Any, kind: Kind, key: str) -> Source | None:
    """A column's name, a constant, a mapping of them, or null; units by their one spelling."""
    if value is None:
        return None
    if isinstance(value, str):
        return Source(column=value)
    if not isinstance(value, Mapping):
        return Source(constant=value)
    if ("column" in value) == ("constant" in value):
        raise ConfigError(key, dict(value), "needs either column or constant", "give one of them")
    source = Source(**value)
    if source.unit is None and source.per_second is source.bytes_per_token is None:
        return source
    if source.unit is None:
        source = Source(**{**value, "unit": next(iter(UNITS[kind]))})
    known = unit(kind, str(source.unit))
    if known is None:
        choices = f"choose from {', '.join(UNITS[kind])}"
        raise ConfigError(f"{key}.unit", source.unit, f"is no unit of a {kind}", choices)
    if (known == "GPU-hours") != (source.per_second is not None):
        raise ConfigError(
            f"{key}.per_second", source.per_second, "does not go with this unit",
            "GPU-hours need it, and only they: what one GPU does in a second (tokens, or FLOP)",
        )  # fmt: skip
    return Source(
        source.column, source.constant, known,
        _rate(source.per_second, f"{key}.per_second"),
        _rate(source.bytes_per_token, f"{key}.bytes_per_token"),
    )  # fmt: skip


def _rate(value: Any, key: str) -> float | None:
    """A positive number, or None where there is none."""
    return None if value is None else positive(key, value)
