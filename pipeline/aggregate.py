"""Stage 3: cells, imported tables or a regression -> a study's runs, curves, evaluations, tasks.

Every run stays in the tables. One that should not be fitted is marked with a reason. Beside them
stands what is known of the laws: known.parquet, empty for most studies.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import contracts, known
from pipeline.contracts import (
    CURVES,
    EVALUATIONS,
    KNOWN,
    RUNS,
    TASK_CURVES,
    TASKS,
    TEXT_CURVES,
    ContractError,
)

TABLES = ("runs", "curves", "text_curves", "task_curves", "evaluations", "tasks")
SAME_RUN = ("params", "params_total", "tokens", "seed")  # what tells runs apart, and their loss

Row = Mapping[str, Any]
Rules = Mapping[str, Any]  # of config.exclude


def _known(run: Row, *columns: str) -> bool:
    """Whether a run has all of some columns; an imported one may lack them."""
    return all(run[column] is not None for column in columns)


# Reason -> does it hold for this run, under the rules of the study? The first that holds counts.
EXCLUSIONS: dict[str, Callable[[Row, Rules], bool]] = {
    "diverged": lambda run, _rules: (
        run["status"] == "diverged" or not (_known(run, "loss") or _known(run, "bits_per_byte"))
    ),
    "too_few_steps": lambda run, rules: _known(run, "steps") and run["steps"] < rules["min_steps"],
    "too_few_layers": lambda run, rules: (
        _known(run, "n_layer") and run["n_layer"] < rules["min_layers"]
    ),
    "too_few_tokens": lambda run, rules: run["tokens"] < rules["min_tokens"],
    "other_family": lambda run, rules: run["family"] in rules["families"],
    "short_context": lambda run, rules: (
        _known(run, "context") and run["context"] < rules["min_context"]
    ),
    "too_few_params": lambda run, rules: (
        _known(run, "params") and run["params"] < rules["min_params"]
    ),
    "too_many_epochs": lambda run, rules: (
        _known(run, "unique_tokens") and run["tokens"] > rules["max_epochs"] * run["unique_tokens"]
    ),
}


def exclusion(run: Row, rules: Rules) -> str | None:
    """Why a run is left out of fits, or None."""
    return next((reason for reason, holds in EXCLUSIONS.items() if holds(run, rules)), None)


def _read_cell(folder: Path, key: str) -> tuple[dict[str, Any], pa.Table, pa.Table]:
    """A cell's run row, curve and evaluation; raises ContractError where they are not its own."""
    path = folder / "run.parquet"
    rows = contracts.read(path, contracts.RUN).to_pylist()
    if len(rows) != 1 or rows[0]["cell"] != key:
        raise ContractError(
            f"{path}: describes {[row['cell'] for row in rows]}, expected the one cell {key}; "
            "delete it and run snakemake again"
        )
    evaluation = contracts.read(folder / "evaluation.parquet", contracts.EVALUATION)
    return rows[0], contracts.read(folder / "curve.parquet", contracts.CURVE), evaluation


def _refuse_mixture(runs: list[dict[str, Any]], column: str) -> None:
    """Raise ContractError where a column has several values, with the latest cell of each."""
    latest = {run[column]: run for run in sorted(runs, key=lambda run: run["finished_at"])}
    if len(latest) > 1:
        told = "; ".join(
            f"{value}: results/cells/{run['cell']}, finished {run['finished_at']}"
            for value, run in latest.items()
        )
        raise ContractError(
            f"cells of different {column} cannot be fitted together ({told}); delete the older "
            "cells and run snakemake again"
        )


def _native(design: Mapping[str, Any], cells: Path) -> dict[str, pa.Table]:
    """The tables of the cells that the study trains; refuses mixtures of recipes and of data."""
    runs, curves, evaluations = [], [CURVES.empty_table()], [EVALUATIONS.empty_table()]
    along: dict[str, list[dict[str, Any]]] = {"texts": [], "tasks": []}
    tasks: list[dict[str, Any]] = []
    for key in design["cells"]:
        run, curve, evaluation = _read_cell(cells / key, key)
        tasks += [
            {"cell": key, **{name: row[name] for name in ("task", "error", "error_se")}}
            for row in run.pop("tasks") or ()
        ]
        runs.append({"source": "native", **run})
        names = pa.array([key] * len(curve), CURVES.field("cell").type)
        for column, found in along.items():
            found += _along(key, curve, column)
        curve = curve.drop_columns(list(along))
        curves.append(curve.add_column(0, CURVES.field("cell"), names).cast(CURVES))
        evaluations.append(evaluation.cast(EVALUATIONS))
    for column in ("recipe", "data_sha256", "precision"):
        _refuse_mixture(runs, column)
    return {
        "runs": contracts.table(RUNS, [_marked(run, design) for run in runs]),
        "curves": pa.concat_tables(curves),
        "text_curves": contracts.table(TEXT_CURVES, along["texts"]),
        "task_curves": contracts.table(TASK_CURVES, along["tasks"]),
        "evaluations": pa.concat_tables(evaluations),
        "tasks": contracts.table(TASKS, tasks),
    }


def _along(key: str, curve: pa.Table, column: str) -> Iterator[dict[str, Any]]:
    """Rows of TEXT_CURVES or TASK_CURVES of one cell, from the column ``texts`` or ``tasks``."""
    kept = ["step", "tokens", "flops", "val_loss"]
    for row in curve.select([*kept, column]).to_pylist():
        for score in row[column] or ():
            yield {"cell": key, **{name: row[name] for name in kept}, **score}


def _imported(design: Mapping[str, Any], folder: Path) -> dict[str, pa.Table]:
    """The tables of one import, its runs marked by the rules of the study."""
    found = {
        name: contracts.read(folder / f"{name}.parquet", contracts.SCHEMAS[name])
        for name in ("runs", "evaluations", "tasks")
    }
    marked = [_marked(run, design) for run in found["runs"].to_pylist()]
    return {**found, **_no_curves(), "runs": contracts.table(RUNS, marked)}


def _no_curves() -> dict[str, pa.Table]:
    """The tables along curves of runs that were not trained here."""
    schemas = {"curves": CURVES, "text_curves": TEXT_CURVES, "task_curves": TASK_CURVES}
    return {name: schema.empty_table() for name, schema in schemas.items()}


def _computed(design: Mapping[str, Any], folder: Path) -> dict[str, pa.Table]:
    """The tables of a regression, its runs marked by the rules of the study, in its own terms."""
    found = contracts.read(folder / "runs.parquet", RUNS)
    marked = [_marked(run, design) for run in found.to_pylist()]
    return {
        "runs": contracts.table(found.schema, marked),
        **_no_curves(),
        "evaluations": EVALUATIONS.empty_table(),
        "tasks": TASKS.empty_table(),
    }


def _marked(run: dict[str, Any], design: Mapping[str, Any]) -> dict[str, Any]:
    """A run of the study: used in fits, or left out with its reason."""
    reason = exclusion(run, design["exclude"])
    return {**run, "study": design["study"], "included": reason is None, "exclusion": reason}


def _refuse_repeats(runs: pa.Table) -> None:
    """Raise ContractError where two sources hold one run: it would count twice in every fit."""
    seen: dict[tuple[Any, ...], Row] = {}
    for run in runs.select([*SAME_RUN, "loss", "source", "cell"]).to_pylist():
        if run["loss"] is None:
            continue
        first = seen.setdefault(tuple(run[name] for name in (*SAME_RUN, "loss")), run)
        if first["source"] != run["source"]:
            raise ContractError(
                f"runs: {run['cell']} of {run['source']} and {first['cell']} of {first['source']} "
                f"are one run (the same {', '.join(SAME_RUN)} and loss {run['loss']}), which would "
                "count twice; keep it in one of the tables, or leave rows out with where"
            )


def tables(
    design: Mapping[str, Any], cells: Path, imports: Path, regression: Path | None = None
) -> Iterator[tuple[str, pa.Table]]:
    """(name, table) of a study, for each of TABLES.

    ``design`` is the study's design.json; ``imports`` holds a folder for each imported table,
    ``regression`` the tables of a regression, whose terms no other source shares.
    Raises ContractError naming a file that is missing, cut short or foreign, where recipes or data
    of trained cells are mixed, and where two sources hold the same run.
    """
    sources = [_native(design, cells)]
    sources += [_imported(design, imports / name) for name in design["imports"]]
    if regression:
        sources = [_computed(design, regression)]
    joined = {
        name: pa.concat_tables([source[name].cast(sources[0][name].schema) for source in sources])
        for name in TABLES
    }
    _refuse_repeats(joined["runs"])
    yield from joined.items()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.aggregate", description=__doc__)
    parser.add_argument("design", type=Path, help="the study's design.json")
    parser.add_argument("--cells", type=Path, required=True, help="folder that holds the cells")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--regression", type=Path, help="folder of the tables of a regression")
    parser.add_argument("--corpus", type=Path, help="corpus.json of a synthetic language")
    parser.add_argument("--imports", type=Path, help="folder of imported tables; OUT/imports")
    arguments = parser.parse_args(argv)
    try:
        design = json.loads(arguments.design.read_text(encoding="utf-8"))
        imports = arguments.imports or arguments.out / "imports"
        for name, table in tables(design, arguments.cells, imports, arguments.regression):
            contracts.write(arguments.out / f"{name}.parquet", table, contracts.SCHEMAS[name])
            print(f"{name}: {len(table)} rows", file=sys.stderr)
        facts = known.facts(arguments.regression, arguments.corpus)
        contracts.write(arguments.out / "known.parquet", facts, KNOWN)
        print(f"known: {len(facts)} rows", file=sys.stderr)
    except (ContractError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
