"""Stage 5: runs -> the best size of each budget and the exponents of N*(C) and D*(C).

Approaches 1 and 2 of Hoffmann et al. 2022 (arXiv:2203.15556) need no law of N and D. Approach 3,
the laws that a study fits, is written beside them at the same budgets: the minima of isoFLOP curves
are biased where a curve is no parabola, and only the comparison shows it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts, conventions, options
from pipeline.approaches import APPROACHES, applicable
from pipeline.approaches.allocation import QUANTITIES, Allocation, Optimum, Options
from pipeline.approaches.budgets import Budget, budgets
from pipeline.approaches.envelope import LEAST_SIZES, Curve, binned, curves, envelope
from pipeline.approaches.exponents import Exponent, Resampled
from pipeline.approaches.isoflop_curves import isoflop_curves
from pipeline.approaches.minima import isoflop
from pipeline.approaches.surfaces import surface
from pipeline.contracts import ContractError
from pipeline.conventions import Convention
from pipeline.laws.band import SavedFit, read
from pipeline.laws.base import Runs, SurfaceLaw


def optimum_row(approach: str, optimum: Optimum, level: float) -> dict[str, Any]:
    """One row of the contract ``optima``."""
    row: dict[str, Any] = {
        "approach": approach, "flops": optimum.flops, "flops_low": optimum.flops_range[0],
        "flops_high": optimum.flops_range[1], "level": level, "sizes": optimum.sizes,
        "runs": optimum.runs, "status": optimum.status.value, "reason": optimum.reason,
        "curve_params": optimum.curve[0].tolist(), "curve_loss": optimum.curve[1].tolist(),
    }  # fmt: skip
    for quantity in (*QUANTITIES, "loss"):
        low, high = optimum.intervals[quantity] or (None, None)
        value = _known(getattr(optimum, quantity))
        row |= {quantity: value, f"{quantity}_low": low, f"{quantity}_high": high}
    return row


def exponent_rows(found: Allocation, level: float) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``allocations``: one for each quantity and kind of resampling."""
    flops = [optimum.flops for optimum in found.optima if optimum.found]
    for exponent in found.exponents:
        kinds: Mapping[str, Resampled | None] = exponent.resampled or {"none": None}
        for kind, resampled in kinds.items():
            yield {
                "approach": found.approach, "quantity": exponent.quantity,
                "exponent": _known(exponent.value), "level": level, "resampling": kind,
                "coefficient": _known(math.exp(exponent.level)),
                "reference": _known(exponent.reference),
                "budgets": len(flops), "runs": found.runs,
                "flops_low": min(flops, default=None), "flops_high": max(flops, default=None),
                "status": exponent.status.value, "reason": exponent.reason,
                **_lines(resampled),
            }  # fmt: skip


def _lines(resampled: Resampled | None) -> dict[str, Any]:
    if resampled is None:
        return {"low": None, "high": None, "exponents": [], "coefficients": []}
    line = resampled.line
    with np.errstate(over="ignore"):  # a wild replicate of a law
        coefficients = np.exp(line.level).tolist()
    return {"low": resampled.low, "high": resampled.high, "exponents": line.slope.tolist(),
            "coefficients": coefficients}  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def training_curves(path: Path, runs: Path, convention: Convention) -> list[Curve]:
    """Curves along included runs trained at a constant rate: for each size, of its longest run.

    Raises ContractError where a table is missing or broken.
    """
    rows = contracts.read(runs, contracts.RUNS).to_pylist()
    constant = {
        r["cell"]: r
        for r in rows
        if r["included"] and r["schedule"] == "constant" and not conventions.repeats(r)
    }
    longest = {r[convention.params]: r["cell"] for r in sorted(constant.values(), key=_tokens)}
    table = contracts.read(path, contracts.CURVES)
    wanted = ["cell", "tokens", "flops", "val_loss"]
    points: dict[str, list[dict[str, Any]]] = {cell: [] for cell in longest.values()}
    for row in table.select(wanted).to_pylist():
        if row["cell"] in points and row["val_loss"] and row["tokens"] > 0:
            points[row["cell"]].append(row)
    return [_curve(constant[cell], found, convention) for cell, found in points.items() if found]


def _tokens(row: Mapping[str, Any]) -> int:
    return int(row["tokens"])


def _curve(run: Mapping[str, Any], rows: list[dict[str, Any]], convention: Convention) -> Curve:
    rows.sort(key=_tokens)
    tokens = np.array([row["tokens"] for row in rows], dtype=float)
    rate = run[convention.flops] / run["tokens"]
    scale = run[convention.loss] / run["loss"]  # nats/token -> the loss that is fitted
    loss = np.array([row["val_loss"] for row in rows]) * scale
    return Curve(float(run[convention.params]), rate * tokens, tokens, loss)


def fresh(runs: Runs) -> Runs:
    """The runs that saw no token twice: more compute on repeated data says nothing of budgets."""
    if "unique_tokens" not in runs.columns:
        return runs
    once = runs.columns["unique_tokens"] >= runs.columns["tokens"]
    if not once.all():
        print(f"{(~once).sum()} runs on repeated data are left out", file=sys.stderr)
    return runs.take(once)


def surfaces(folders: Iterable[Path], convention: Convention) -> Iterator[SavedFit]:
    """The fits of laws of N and D; what is left out is said on stderr.

    Raises ContractError where a fit was made under another convention than this one.
    """
    for folder in folders:
        fit = read(folder)
        if not isinstance(fit.law, SurfaceLaw) or fit.law.target != "loss":
            continue
        if fit.card["convention"] != convention.card:
            raise ContractError(
                f"{folder / 'card.json'}: fitted under {fit.card['convention']}, but asked for is "
                f"{convention.card}; fit the law again"
            )
        if not fit.usable:
            print(f"{fit.law.name}: skipped, {fit.card['sentence']}", file=sys.stderr)
            continue
        yield fit


def allocations(
    approaches: Sequence[str], runs: Runs, found: list[Budget], fits: Iterable[SavedFit],
    along: Sequence[Curve], how: Options,
) -> Iterator[Allocation]:  # fmt: skip
    """Each approach on the runs, then each fitted law at the same budgets."""
    for name in approaches:
        if APPROACHES[name].isoflop:
            yield isoflop(name, found, how)
        elif name == "isoflop_curves":
            yield isoflop_curves(curves(runs, along), how)
        else:
            lines = curves(runs, along)
            yield envelope(lines, how) if len(lines) >= LEAST_SIZES else binned(found, how)
    for fit in fits:
        assert isinstance(fit.law, SurfaceLaw)
        yield surface(fit.law, fit.values, fit.replicates, found, how.level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.allocate", description=__doc__)
    options.add_convention(parser)
    parser.add_argument(
        "--approaches", nargs="*", choices=list(APPROACHES), default=applicable(True),
        help="where not given, all but isoflop_curves",
    )  # fmt: skip
    parser.add_argument("--curves", type=Path, help="curves.parquet, for runs at a constant rate")
    parser.add_argument("--fits", type=Path, nargs="*", default=[], help="folders of fitted laws")
    parser.add_argument("--noise", type=float, help="standard deviation of the loss between seeds; "
                        "where not given, that of repeated runs")  # fmt: skip
    parser.add_argument("--bootstraps", type=int, default=1000, help="resamples")
    parser.add_argument("--level", type=float, default=0.9, help="coverage of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--out", type=Path, required=True,
                        help="folder for optima.parquet and allocations.parquet")  # fmt: skip
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    options.refuse(
        arguments,
        noise=(arguments.noise is None or arguments.noise >= 0, "zero or more"),
    )
    return Options(arguments.bootstraps, arguments.level, arguments.seed, arguments.noise)


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        how, convention = _options(arguments), options.convention(arguments)
        runs = fresh(conventions.included_runs(arguments.runs, convention))
        along = training_curves(arguments.curves, arguments.runs, convention) \
            if arguments.curves else []  # fmt: skip
        fits = list(surfaces(arguments.fits, convention))
        made = list(allocations(arguments.approaches, runs, budgets(runs), fits, along, how))
        rows = [optimum_row(one.approach, best, how.level) for one in made for best in one.optima]
        contracts.write(arguments.out / "optima.parquet", rows, contracts.OPTIMA)
        lines = [row for one in made for row in exponent_rows(one, how.level)]
        contracts.write(arguments.out / "allocations.parquet", lines, contracts.ALLOCATIONS)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for one in made:
        print(sentence(one), file=sys.stderr)
    return 0


def sentence(found: Allocation) -> str:
    """An approach's exponent of N*, with its interval, or why there is none."""
    best: Exponent = found.exponent("params")
    if not math.isfinite(best.value):
        return f"{found.approach}: {best.status.value}. {best.reason}"
    ends = "; ".join(
        f"{r.low:.3f} to {r.high:.3f} by {kind}" for kind, r in best.resampled.items()
        if r.low is not None
    )  # fmt: skip
    return f"{found.approach}: N* ~ C^{best.value:.3f} ({ends or 'no interval'}). {best.reason}"


if __name__ == "__main__":
    sys.exit(main())
