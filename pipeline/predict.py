"""Stage 5: fitted laws of N and D -> the compute-optimal run of each budget, C = 6 N D.

Beside the budgets asked for, a grid of budgets from the smallest fitted run on is predicted, for
lines and bands. Intervals come from the bootstrap replicates of each fit.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.contracts import ContractError
from pipeline.laws.band import SavedFit, read
from pipeline.laws.base import Floats, SurfaceLaw

GRID = 40  # budgets of the line, log-spaced
SMALLEST = {"params": 1.0, "tokens": 1.0, "loss": 0.0}  # below it, an optimum makes no sense
MULTIPLES = (10.0, 100.0, 1000.0)  # of the largest run, where no budget is given


def fitted_flops(folder: Path, cells: Collection[str]) -> Floats:
    """6 N D of the runs behind a fit, in the fit's N.

    Raises ContractError where there are none, or one is not among the study's ``cells``.
    """
    path = folder / "points.parquet"
    points = contracts.read(path, contracts.POINTS)
    if strangers := set(points["cell"].to_pylist()) - set(cells):
        raise ContractError(
            f"{path}: fitted to {min(strangers)}, which is no run of this study; fit the law again"
        )
    flops = 6.0 * points["params"].to_numpy() * points["tokens"].to_numpy()
    if not flops.size:
        raise ContractError(f"{path}: holds no run; nothing can be predicted")
    return flops


def planned_budgets(fitted: Floats, asked: Sequence[float]) -> list[float]:
    """The budgets asked for; where none is, ten, a hundred and a thousand times the largest run."""
    return list(asked) or [float(multiple * fitted.max()) for multiple in MULTIPLES]


def budget_grid(fitted: Floats, asked: Sequence[float]) -> Floats:
    """The budgets to predict at, ascending: those asked for, and a grid up to the largest."""
    wanted = planned_budgets(fitted, asked)
    ends = min(fitted.min(), *wanted), max(fitted.max(), *wanted)
    return np.unique(np.r_[np.geomspace(*ends, GRID)[1:-1], ends, wanted])


def rows(fit: SavedFit, fitted: Floats, asked: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``predictions`` of one fit; an unknown end of an interval is null."""
    budgets, planned = budget_grid(fitted, asked), planned_budgets(fitted, asked)
    for quantity, band in fit.optimum(budgets).items():
        for i, budget in enumerate(budgets):
            yield {
                "law": fit.law.name, "flops": budget, "quantity": quantity,
                "value": band.mid[i], "low": _known(band.low[i]), "high": _known(band.high[i]),
                "level": fit.level, "extrapolation": budget / fitted.max(), "points": fit.points,
                "planned": budget in planned,
            }  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def predictions(
    folders: Sequence[Path], cells: Collection[str], asked: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Rows of all laws of N and D among ``folders``; what is left out is said on stderr."""
    for folder in folders:
        fit = read(folder)
        if not isinstance(fit.law, SurfaceLaw):
            print(f"{fit.law.name}: skipped, it has one variable", file=sys.stderr)
            continue
        if not fit.usable:
            print(f"{fit.law.name}: skipped, {fit.card['sentence']}", file=sys.stderr)
            continue
        if fit.card["convention"]["flops"] != "flops_6nd":
            print(f"{fit.law.name}: budgets count 6 N D, not exact FLOP", file=sys.stderr)
        fitted = fitted_flops(folder, cells)
        found = list(rows(fit, fitted, asked))
        if senseless := [row for row in found if not row["value"] >= SMALLEST[row["quantity"]]]:
            row = senseless[0]
            print(
                f"{fit.law.name}: skipped, its optimum for {row['flops']:.3g} FLOP would be "
                f"{row['value']:.3g} {row['quantity']}; these runs do not determine it",
                file=sys.stderr,
            )
            continue
        yield from found


def _refuse(budgets: Sequence[float]) -> None:
    for budget in budgets:
        if not (math.isfinite(budget) and budget > 0):
            raise ValueError(f"--budgets {budget}: a budget is a positive number of FLOP")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.predict", description=__doc__)
    parser.add_argument("--fits", type=Path, nargs="*", required=True, help="folders of fits")
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet behind the fits")
    parser.add_argument(
        "--budgets", type=float, nargs="*", default=[],
        help="FLOP, 6 N D; without any: 10, 100 and 1000 times the largest fitted run",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="predictions.parquet")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _refuse(arguments.budgets)
        cells = set(contracts.read(arguments.runs, contracts.RUNS)["cell"].to_pylist())
        found = list(predictions(arguments.fits, cells, arguments.budgets))
        contracts.write(arguments.out, found, contracts.PREDICTIONS)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(found)} predictions", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
