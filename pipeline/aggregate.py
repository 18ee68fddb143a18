"""Stage 3: the cells of a study -> one table of runs, one of curves, one of evaluations.

Every cell stays in the tables. A run that should not be fitted is marked with a reason.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import contracts
from pipeline.contracts import ContractError

Row = Mapping[str, Any]

# Reason -> does it hold for this run, under the rules of the study? The first that holds counts.
EXCLUSIONS: dict[str, Callable[[Row, Mapping[str, float]], bool]] = {
    "diverged": lambda run, _rules: run["status"] == "diverged" or run["loss"] is None,
    "too_few_steps": lambda run, rules: run["steps"] < rules["min_steps"],
    "too_few_layers": lambda run, rules: run["n_layer"] < rules["min_layers"],
    "too_few_tokens": lambda run, rules: run["tokens"] < rules["min_tokens"],
    "too_few_params": lambda run, rules: run["params"] < rules["min_params"],
    "too_many_epochs": lambda run, rules: (
        run["tokens"] > rules["max_epochs"] * run["unique_tokens"]
    ),
}


def exclusion(run: Row, rules: Mapping[str, float]) -> str | None:
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


def tables(design: Mapping[str, Any], cells: Path) -> Iterator[tuple[str, pa.Table]]:
    """(name, table) of a study: runs, curves, evaluations.

    ``design`` is the study's design.json. Raises ContractError naming a file that is missing,
    cut short or foreign, and where recipes or data are mixed.
    """
    runs, curves, evaluations = [], [], []
    for key in design["cells"]:
        run, curve, evaluation = _read_cell(cells / key, key)
        reason = exclusion(run, design["exclude"])
        runs.append(
            {"study": design["study"], **run, "included": reason is None, "exclusion": reason}
        )
        names = pa.array([key] * len(curve), contracts.CURVES.field("cell").type)
        curves.append(curve.add_column(0, contracts.CURVES.field("cell"), names))
        evaluations.append(evaluation)
    for column in ("recipe", "data_sha256", "precision"):
        _refuse_mixture(runs, column)
    yield "runs", contracts.table(contracts.RUNS, runs)
    yield "curves", pa.concat_tables(curves).cast(contracts.CURVES)
    yield "evaluations", pa.concat_tables(evaluations).cast(contracts.EVALUATIONS)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.aggregate", description=__doc__)
    parser.add_argument("design", type=Path, help="the study's design.json")
    parser.add_argument("--cells", type=Path, required=True, help="folder that holds the cells")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three tables")
    arguments = parser.parse_args(argv)
    try:
        design = json.loads(arguments.design.read_text(encoding="utf-8"))
        for name, table in tables(design, arguments.cells):
            contracts.write(arguments.out / f"{name}.parquet", table, contracts.SCHEMAS[name])
            print(f"{name}: {len(table)} rows", file=sys.stderr)
    except (ContractError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
