"""Predict runs that do not exist yet, in a sealed and dated file, and grade it once they do.

``freeze`` writes what one fitted law of N and D says of cells to come; ``score`` holds the runs
that were made of them against it. A forecast cannot be fitted to its answer, which makes it the
strictest backtest there is.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts, provenance, seal
from pipeline.files import write_json
from pipeline.grading import SAME, scores, table
from pipeline.laws.band import SavedFit, read
from pipeline.laws.base import Floats, SurfaceLaw
from pipeline.laws.prediction import predicted

FILES = ("card.json", "parameters.parquet", "bootstrap.parquet", "points.parquet")
PACKAGES = ("isoloss", "numpy", "pyarrow")

Cells = dict[str, Floats]  # column of laws -> one number for each cell


def frozen(folder: Path, cells: Cells) -> dict[str, Any]:
    """The sealed forecast of a fit in ``folder`` for cells (each column (m,)), as JSON values.

    Raises ValueError for a law that is none of N and D, and for a cell that is already fitted,
    given twice, or lacks an input of the law.
    """
    fit = read(folder)
    if not isinstance(fit.law, SurfaceLaw):
        raise ValueError(
            f"{folder}: {fit.law.name} is not a law of N and D: it describes some runs only; "
            "forecast with one that describes all"
        )
    points = contracts.read(folder / "points.parquet", contracts.POINTS)
    known = {name: points[name].to_numpy() for name in ("params", "tokens", "residual")}
    _refuse(fit, folder, cells, known)
    told = predicted(
        fit.law, fit.values, fit.replicates, known["residual"],
        {name: cells[name] for name in fit.law.inputs}, fit.level,
    )  # fmt: skip
    flops = 6.0 * cells["params"] * cells["tokens"]
    largest = float((6.0 * known["params"] * known["tokens"]).max())
    rows = [
        {name: float(column[i]) for name, column in cells.items()}
        | {"predicted": float(told.value[i]), "low": _finite(told.low[i], folder),
           "high": _finite(told.high[i], folder), "extrapolation": float(flops[i]) / largest}
        for i in range(len(flops))
    ]  # fmt: skip
    return seal.sealed({
        "frozen_at": provenance.now(), "level": fit.level, "predictions": rows,
        "fit": {
            "law": fit.law.name, "values": dict(fit.values), "points": fit.points,
            "convention": fit.card["convention"], "largest_flops": largest,
            "files": {name: _sha256(folder / name) for name in FILES},
        },
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "git_commit": provenance.git_commit()[0],
    })  # fmt: skip


def _refuse(fit: SavedFit, folder: Path, cells: Cells, known: Mapping[str, Floats]) -> None:
    if not all(map(math.isfinite, fit.values.values())):
        raise ValueError(f"{folder}: {fit.card['sentence']} There is nothing to forecast with.")
    for name in fit.law.inputs:
        if name not in cells:
            raise ValueError(f"cells: {fit.law.name} takes {name}; give a column of that name")
    logs = np.log([cells["params"], cells["tokens"]])
    fitted = np.log([known["params"], known["tokens"]])
    for i, cell in enumerate(logs.T):
        where = f"cell {i + 1} (N = {cells['params'][i]:g}, D = {cells['tokens'][i]:g})"
        if (np.abs(fitted.T - cell) < SAME).all(1).any():
            raise ValueError(f"{where} is among the fitted runs: forecast one that is not")
        if (np.abs(logs.T[:i] - cell) < SAME).all(1).any():
            raise ValueError(f"{where} is given twice: give each cell once")


def _finite(value: float, folder: Path) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{folder}: the fit gives no interval; fit it with more bootstraps")
    return float(value)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_forecast(path: Path, published: str | None) -> dict[str, Any]:
    """A forecast that is as it was sealed; raises ValueError, naming file and field, else."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seal.check(found, published)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is not JSON ({error})") from error
    except seal.SealError as error:
        raise ValueError(f"{path}: {error}; score the file as it was frozen") from error
    return found


def read_cells(path: Path) -> Cells:
    """Columns of a CSV of cells; raises ValueError naming row, column and value."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or not {"params", "tokens"} <= set(rows[0]):
        raise ValueError(f"{path}: needs a header with params and tokens, and a row for each cell")
    for number, row in enumerate(rows, 1):
        for name, text in row.items():
            if not _positive(text):
                raise ValueError(
                    f"{path}: row {number}: {name} is {text!r}: give a positive number"
                )
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def _positive(text: str | None) -> bool:
    try:
        return 0 < float(text or "") < math.inf
    except ValueError:
        return False


def _law(arguments: argparse.Namespace) -> str:
    """The law asked for by name, or the headline of a backtest."""
    if arguments.law:
        return str(arguments.law)
    told = json.loads(arguments.headline.read_text(encoding="utf-8"))
    if told["law"] is None:
        raise ValueError(f"{arguments.headline}: {told['reason']} Choose one with --law")
    return str(told["law"])


def _cells(arguments: argparse.Namespace) -> Cells:
    if arguments.cells:
        return read_cells(arguments.cells)
    if not arguments.params or len(arguments.params) != len(arguments.tokens):
        raise ValueError(
            f"--params is given {len(arguments.params)} times and --tokens "
            f"{len(arguments.tokens)}: give both once for each cell, or --cells"
        )
    found = {"params": np.array(arguments.params), "tokens": np.array(arguments.tokens)}
    for name, column in found.items():
        if not (np.isfinite(column) & (column > 0)).all():
            raise ValueError(f"--{name}: give positive numbers")
    return found


def _freeze(arguments: argparse.Namespace) -> None:
    if arguments.out.exists():
        raise ValueError(f"{arguments.out}: exists; a forecast is not written over")
    made = frozen(arguments.fits / _law(arguments), _cells(arguments))
    write_json(arguments.out, made)
    for row in made["predictions"]:
        print(
            f"N = {row['params']:g}, D = {row['tokens']:g}, {row['extrapolation']:.3g} times the "
            f"largest fitted: {row['predicted']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        )
    print(f"{seal.SEAL} {made[seal.SEAL]}: publish it now, so that it can be held against the file")


def _score(arguments: argparse.Namespace) -> None:
    forecast = read_forecast(arguments.forecast, arguments.sha256)
    runs = contracts.read(arguments.runs, contracts.RUNS).to_pylist()
    rows = list(scores(forecast, runs, arguments.tolerance))
    if arguments.out.suffix == ".json":
        write_json(arguments.out, {"frozen_at": forecast["frozen_at"], "rows": rows})
    else:
        contracts.write(arguments.out, rows, contracts.SCORE)
    print(table(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.forecast", description=__doc__)
    actions = parser.add_subparsers(required=True)
    freeze = actions.add_parser("freeze", help="write a forecast")
    freeze.set_defaults(action=_freeze)
    freeze.add_argument("--fits", type=Path, required=True, help="folder of fits, one per law")
    chosen = freeze.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--law", help="a fitted law of N and D")
    chosen.add_argument("--headline", type=Path, help="headline.json, whose law is taken")
    freeze.add_argument("--cells", type=Path, help="CSV with params, tokens, a row for each cell")
    for name in ("params", "tokens"):
        freeze.add_argument(f"--{name}", type=float, action="append", default=[], help="of a cell")
    freeze.add_argument("--out", type=Path, required=True, help="forecast.json")
    score = actions.add_parser("score", help="grade a forecast by the runs made since")
    score.set_defaults(action=_score)
    score.add_argument("forecast", type=Path, help="forecast.json")
    score.add_argument("--runs", type=Path, required=True, help="runs.parquet of a study")
    score.add_argument("--sha256", help="the hash that was published when it was frozen")
    score.add_argument("--tolerance", type=float, default=SAME, help="of N and D, natural log")
    score.add_argument("--out", type=Path, required=True, help="score.parquet or score.json")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        arguments.action(arguments)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
