"""Stage 2 of a study without training: a table of runs that others made -> runs.parquet.

Beside it are written evaluations.parquet, tasks.parquet and import.json, which says what every
column was taken to be. docs/import.md describes tables, units and checks.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline import contracts
from pipeline.config import ConfigError
from pipeline.files import write_json
from pipeline.imports import ImportRefusedError, definition
from pipeline.imports.definition import Import
from pipeline.imports.reading import FORMATS
from pipeline.imports.table import Imported, imported

UNNAMED = ("one", "text", None)  # units that go without saying
# Column that a law takes -> columns of the runs that can give it.
GIVEN_BY = {
    "params": ("params", "params_total"),
    "flops": ("flops_6nd", "flops_exact"),
    "loss": ("loss", "bits_per_byte"),
    "bits": ("weight_bits",),
}


def refuse_laws(found: Imported, needs: Sequence[str]) -> None:
    """Raise ImportRefusedError where no run has what a law takes; ``needs`` are law:column."""
    for need in needs:
        law, _, column = need.rpartition(":")
        columns = GIVEN_BY.get(column, (column,))
        if all(found.runs[name].null_count == len(found.runs) for name in columns):
            raise ImportRefusedError(
                f"{found.card['file']}: the law {law} takes {' or '.join(columns)}, which no row "
                f"has; map it (columns.{columns[0]}), or leave {law} out of fit.laws"
            )


def write(found: Imported, out: Path) -> None:
    """Write the runs to ``out`` and the rest beside it, the card last."""
    contracts.write(out, found.runs, contracts.RUNS)
    folder = out.parent
    contracts.write(folder / "evaluations.parquet", found.evaluations, contracts.EVALUATIONS)
    contracts.write(folder / "tasks.parquet", found.tasks, contracts.TASKS)
    write_json(folder / "import.json", found.card)


def report(card: dict[str, Any]) -> str:
    """What every column was taken to be, for people."""
    rows = card["rows"]
    lines = [f"{card['file']}: {rows['runs']} runs of {rows['file']} rows"]
    run = card["columns"].get("run", {}).get("column")
    earlier = f"not the last with a loss of their run ({run!r})"
    steps = (("file", "where", "not asked for (where)"), ("where", "last_of_runs", earlier))
    lines += [
        f"  {rows[before] - rows[after]} rows left out: {why}"
        for before, after, why in steps
        if rows[before] > rows[after]
    ]
    if card["duplicates"]["dropped"]:
        lines.append(f"  {card['duplicates']['dropped']} rows left out: repeated")
    for name, origin in card["columns"].items():
        source = origin["column"] if origin["column"] is not None else origin["constant"]
        told = [f"  {name:<16} {source}", "" if origin["unit"] in UNNAMED else origin["unit"]]
        told.append("(guessed)" if origin["guessed"] else "")
        told.append(f"({origin['missing']} rows have none)" if origin["missing"] else "")
        lines.append(" ".join(filter(None, told)))
    lines += [f"  {note}" for note in card["computed"]]
    for kind in ("evaluations", "tasks"):
        lines += [f"  {kind[:-1]} {name:<10} {column}" for name, column in card[kind].items()]
    return "\n".join(lines)


def _pairs(key: str, given: Sequence[str]) -> dict[str, str]:
    """name=value options as a mapping; ConfigError on one of another form."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigError(f"--{key}", text, "is not written NAME=VALUE", f"write --{key} a=b")
        found[name] = value
    return found


def defined(arguments: argparse.Namespace) -> Import:
    """The import that a command line describes, by the keys of a config."""
    mapped = _pairs("map", arguments.map)
    texts, tasks = _pairs("evaluation", arguments.evaluation), _pairs("task", arguments.task)
    columns: dict[str, Any] = {
        name: {"column": column} if column else None for name, column in mapped.items()
    }
    for name, value in _pairs("constant", arguments.constant).items():
        columns[name] = {"constant": value}
    named = {
        "evaluations": {name: {"column": column} for name, column in texts.items()},
        "tasks": {name: {"column": column} for name, column in tasks.items()},
    }
    for key in ("unit", "per_second", "bytes_per_token"):
        for name, value in _pairs(key, getattr(arguments, key)).items():
            places = [place[name] for place in (columns, *named.values()) if place.get(name)]
            if not places:
                cure = f"add --map {name}=COLUMN"
                raise ConfigError(f"--{key}", name, "belongs to no mapped column", cure)
            places[0][key] = value
    item = {
        "name": arguments.name, "file": str(arguments.table), "format": arguments.format,
        "columns": columns, **named, "where": _pairs("where", arguments.where),
        "guess": not arguments.no_guess, "history": arguments.history,
        "duplicates": arguments.duplicates, "flops": arguments.flops, "accept": arguments.accept,
    }  # fmt: skip
    return definition.table(item, "table")


def stored(path: Path) -> Import:
    """The import that a study's definition.json describes; ValueError where it is none."""
    cure = "take the definition.json that the workflow writes for each table, or give the table"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}); {cure}") from error
    if not isinstance(card, dict):
        raise ValueError(f"{path}: holds no object; {cure}")
    if lacking := [one.name for one in fields(Import) if one.name not in card]:
        raise ValueError(f"{path}: lacks {', '.join(lacking)}; {cure}")
    for key in ("name", "file", "format"):
        if not isinstance(card[key], str):
            raise ValueError(f"{path}: {key} is {card[key]!r}, not text; {cure}")
    try:
        return Import.from_card(card)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: a key has the wrong form ({error}); {cure}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.import_runs", description=__doc__)
    add = parser.add_argument
    add("table", type=Path, nargs="?", help="CSV, Parquet, JSON or JSON Lines")
    add("--definition", type=Path, help="instead of a table and options: an item of runs, as JSON")
    add("--name", default="imported", help="what the runs are called (%(default)s)")
    add("--format", choices=("auto", *sorted(set(FORMATS.values()))), default="auto")
    add("--map", nargs="+", default=[], metavar="NAME=COLUMN", help="empty COLUMN: take none")
    add("--constant", nargs="+", default=[], metavar="NAME=VALUE", help="one value for every row")
    add("--unit", nargs="+", default=[], metavar="NAME=UNIT", help="of a mapped column")
    add("--per-second", nargs="+", default=[], metavar="NAME=NUMBER", help="for GPU-hours")
    add("--bytes-per-token", nargs="+", default=[], metavar="TEXT=NUMBER", help="for bits/byte")
    add("--evaluation", nargs="+", default=[], metavar="TEXT=COLUMN", help="loss on another text")
    add("--task", nargs="+", default=[], metavar="TASK=COLUMN", help="error on a task")
    add("--where", nargs="+", default=[], metavar="COLUMN=VALUE", help="take only these rows")
    add("--no-guess", action="store_true", help="take only columns that are mapped")
    add("--history", choices=("last", "all"), default="last", help="rows of one run to take")
    add("--duplicates", choices=("refuse", "keep", "drop"), default="refuse")
    add("--flops", choices=("given", "compute"), default="given", help="compute: C is 6 N D")
    add("--accept", nargs="+", default=[], metavar="CHECK", help="suspicions that are right")
    add("--needs", nargs="*", default=[], metavar="LAW:COLUMN", help="what laws must find")
    add("--out", type=Path, required=True, help="runs.parquet; the other files go beside it")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if (arguments.table is None) == (arguments.definition is None):
        parser.error("give a table, or --definition")
    try:
        asked = stored(arguments.definition) if arguments.definition else defined(arguments)
        found = imported(asked)
        refuse_laws(found, arguments.needs)
        write(found, arguments.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(found.card), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
