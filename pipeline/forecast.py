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
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts, provenance
from pipeline.files import write_json
from pipeline.laws.band import SavedFit
from pipeline.laws.base import Floats, SurfaceLaw
from pipeline.planning import seal
from pipeline.planning.answer import loss_of
from pipeline.planning.evidence import Evidence, evidence
from pipeline.planning.folder import Fits
from pipeline.planning.grading import SAME, scores, table, unlike_a_forecast
from pipeline.planning.support import Reach

FILES = ("card.json", "parameters.parquet", "bootstrap.parquet", "points.parquet")
PACKAGES = ("isoloss", "numpy", "pyarrow")
REACH = Reach()

Cells = dict[str, Floats]  # column of laws -> one number for each cell


def frozen(folder: Path, cells: Cells, backtest: Path | None = None) -> dict[str, Any]:
    """The sealed forecast of a fit in ``folder`` for cells (each column (m,)), as JSON values.

    Each loss has the interval of one more run that a plan gives it, with ``backtest``
    (backtest.parquet) also for the error of the form (see pipeline.planning.support). Raises
    ValueError for a law that is none of N and D or is not to be used, and for a cell that is
    already fitted, given twice, lacks an input of the law, or lies too far from the fitted runs.
    """
    fits = Fits(folder.parent)
    fit = fits[folder.name]
    if not isinstance(fit.law, SurfaceLaw):
        raise ValueError(
            f"{folder}: {fit.law.name} is not a law of N and D: it describes some runs only; "
            "forecast with one that describes all"
        )
    if not fit.usable:
        raise ValueError(f"{folder}: {fit.card['sentence']} There is nothing to forecast with.")
    _refuse(fit, folder, cells)
    rest = evidence(fits, folder.name, backtest)
    if backtest is not None and rest.rate is None:
        raise ValueError(f"{backtest}: {folder.name} was not tested; backtest it, or give none")
    rows = [_foretold(rest, cells, i) for i in range(len(cells["params"]))]
    far = max(_distance(rest, row) for row in rows) > REACH.supported
    rivals = sorted(rest.rivals) if far else []
    return seal.sealed({
        "frozen_at": provenance.now(), "level": fit.level, "predictions": rows,
        "interval": holds(rest, rivals), "backtest": backtest and _sha256(backtest),
        "others": {name: _sha256(folder.parent / name / "parameters.parquet") for name in rivals},
        "fit": {
            "law": fit.law.name, "values": dict(fit.values), "points": fit.points,
            "convention": fit.card["convention"], "largest_flops": rest.support.flops.high,
            "files": {name: _sha256(folder / name) for name in FILES},
        },
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "git_commit": provenance.git_commit()[0],
    })  # fmt: skip


def _refuse(fit: SavedFit, folder: Path, cells: Cells) -> None:
    """Raise ValueError for a cell that is already fitted, given twice, or lacks an input."""
    for name in fit.law.inputs:
        if name not in cells:
            raise ValueError(f"cells: {fit.law.name} takes {name}; give a column of that name")
    points = contracts.read(folder / "points.parquet", contracts.POINTS)
    known = ("params", "tokens")
    logs, fitted = _logs(cells, known), _logs({name: points[name] for name in known}, known)
    whole = _logs(cells, list(cells))
    for i in range(len(logs)):
        where = _where(cells, i)
        if (np.abs(fitted - logs[i]) < SAME).all(1).any():
            raise ValueError(f"{where} is among the fitted runs: forecast one that is not")
        if (np.abs(whole[:i] - whole[i]) < SAME).all(1).any():
            raise ValueError(f"{where} is given twice: give each cell once")


def _logs(columns: Mapping[str, Any], names: Sequence[str]) -> Floats:
    """Natural logs of some columns, a row for each cell."""
    return np.log(np.array([np.asarray(columns[name], float) for name in names]).T)


def _where(cells: Cells, i: int) -> str:
    return f"cell {i + 1} (N = {cells['params'][i]:g}, D = {cells['tokens'][i]:g})"


def _distance(rest: Evidence, cell: Mapping[str, float]) -> float:
    """How many times a cell lies beyond the fitted runs, in N, D or 6 N D."""
    return max(rest.support.factors(cell["params"], cell["tokens"]).values())


def _foretold(rest: Evidence, cells: Cells, i: int) -> dict[str, float]:
    """One cell with its loss; raises ValueError where the fit has no answer with an interval."""
    cell = {name: float(column[i]) for name, column in cells.items()}
    n, d = cell["params"], cell["tokens"]
    far = _distance(rest, cell)
    where = f"{_where(cells, i)} lies {far:.3g} times beyond the fitted runs"
    if far > REACH.refused:
        raise ValueError(f"{where}, more than {REACH.refused:g}: train larger ones first")
    further = {name: cell[name] for name in rest.law.inputs if name not in ("params", "tokens")}
    found = loss_of(rest, n, d, REACH, further)
    if not found.known:
        beyond = far > REACH.supported and rest.rate is None
        cure = "give --backtest" if beyond else "fit the law with more bootstraps"
        raise ValueError(f"{where}, and {rest.law.name} has no interval there: {cure}")
    ends = {"predicted": found.value, "low": found.low, "high": found.high}
    return cell | ends | {"extrapolation": 6.0 * n * d / rest.support.flops.high}


def holds(rest: Evidence, rivals: Sequence[str]) -> str:
    """What the intervals of a forecast hold, and what they do not."""
    told = "The interval holds the doubt of the parameters and the scatter of the runs"
    if rest.rate is None:
        told += ", but no error of the law's form (--backtest adds it)."
    else:
        told += ", and the error of the law's form that its backtest shows at that distance."
    if rivals:
        told += f" Beyond {REACH.supported:g} times the runs it takes in {', '.join(rivals)}."
    return told


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_forecast(path: Path, published: str | None) -> dict[str, Any]:
    """A forecast that is as it was sealed; raises ValueError, naming file and field, else."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seal.check(found, published)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except seal.SealError as error:
        raise ValueError(f"{path}: {error}; score the file as it was frozen") from error
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error})") from error
    if (fault := unlike_a_forecast(found)) is not None:
        raise ValueError(f"{path}: {fault}; score a file that forecast freeze wrote")
    return found


def read_cells(path: Path) -> Cells:
    """Columns of a CSV of cells; raises ValueError naming row, column and value."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: is no CSV ({error}); give params and tokens as CSV") from error
    if not rows or not {"params", "tokens"} <= set(rows[0]):
        raise ValueError(f"{path}: needs a header with params and tokens, and a row for each cell")
    for number, row in enumerate(rows, 1):
        if further := row.pop(None, None):
            raise ValueError(
                f"{path}: row {number}: {', '.join(further)} stands beyond the last column "
                f"{list(row)[-1]}: give one value for each column"
            )
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
    path = arguments.headline
    cure = "make it again with python -m pipeline.backtest"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}); {cure}") from error
    if not (isinstance(told, dict) and "law" in told):
        raise ValueError(f"{path}: holds no object with a law; {cure}")
    if told["law"] is None:
        raise ValueError(f"{path}: {told.get('reason', 'no law')} Choose one with --law")
    if not isinstance(told["law"], str):
        raise ValueError(f"{path}: law is {told['law']!r}, not a name; {cure}")
    return told["law"]


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
    made = frozen(arguments.fits / _law(arguments), _cells(arguments), arguments.backtest)
    write_json(arguments.out, made)
    for row in made["predictions"]:
        print(
            f"N = {row['params']:g}, D = {row['tokens']:g}, {row['extrapolation']:.3g} times the "
            f"largest fitted: {row['predicted']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        )
    print(made["interval"])
    print(f"{seal.SEAL} {made[seal.SEAL]}: publish it now, so that it can be held against the file")


def _score(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.tolerance < math.inf:
        raise ValueError(f"--tolerance {arguments.tolerance:g}: take a positive number")
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
    freeze.add_argument("--backtest", type=Path, help="backtest.parquet: how the law's error grows")
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
