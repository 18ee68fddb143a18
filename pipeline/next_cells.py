"""Which runs to train next: candidates ranked by what they tell of a prediction, per FLOP.

    python -m pipeline.next_cells --fits results/toy/fits --law kaplan --target-flops 1e16 \\
        --study config.yaml --count 5 --yaml next.yaml

The target is a run (--target-params, --target-tokens) or the best run of a budget (--target-flops).
Candidates are the rows of a CSV with columns params and tokens, or the sizes and token counts of a
study's grid, all crossed. What is fitted already is left out.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import contracts
from pipeline.accounting import Shape
from pipeline.cells import short
from pipeline.config import ConfigError, load
from pipeline.design import study
from pipeline.files import atomic
from pipeline.laws.base import Floats, Runs
from pipeline.laws.objective import Objective
from pipeline.planning.acquisition import Pick, deviation, knowledge, ranked
from pipeline.planning.budget import positive
from pipeline.planning.constrained import Limits, constrained
from pipeline.planning.evidence import Evidence, chosen, evidence

SAME = 0.01  # natural log: a candidate this near a fitted run, in N and in D, is that run


@dataclass(frozen=True)
class Candidates:
    """Runs that could be trained: N, D and FLOP, each (m,); shapes by N where they are known."""

    params: Floats
    tokens: Floats
    flops: Floats
    shapes: Mapping[float, Shape] = field(default_factory=dict)

    def log_inputs(self) -> Floats:
        """Natural logs of N and D, (2, m)."""
        return np.log(np.stack([self.params, self.tokens]))

    def take(self, rows: NDArray[np.bool_]) -> Candidates:
        """The candidates at a mask."""
        return replace(
            self, params=self.params[rows], tokens=self.tokens[rows], flops=self.flops[rows]
        )


def from_table(path: Path) -> Candidates:
    """Candidates of a CSV: params and tokens, and flops where they are not 6 N D.

    Raises ValueError naming the row and column of what is missing or not a positive number.
    """
    columns: dict[str, list[float]] = {"params": [], "tokens": [], "flops": []}
    with path.open(encoding="utf-8", newline="") as lines:
        for line, row in enumerate(csv.DictReader(lines), 2):
            for name in ("params", "tokens"):
                columns[name].append(_number(path, line, name, row.get(name)))
            given = row.get("flops")
            cost = 6.0 * columns["params"][-1] * columns["tokens"][-1]
            columns["flops"].append(_number(path, line, "flops", given) if given else cost)
    if not columns["params"]:
        raise ValueError(f"{path}: holds no candidate; give rows of params and tokens")
    params, tokens, flops = (np.array(column) for column in columns.values())
    return Candidates(params, tokens, flops)


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{path}: line {line}: {column} is {text!r}; give a positive number")
    return value


def from_study(path: Path, counted: str) -> Candidates:
    """Every size of a study's grid with every token count, in the fit's N; FLOP exact."""
    cells = study(load(path)).cells
    sizes = {getattr(cell, counted): cell.flops_exact / cell.tokens for cell in cells}
    counts = sorted({cell.tokens for cell in cells})
    rows = [(n, d, each * d) for n, each in sorted(sizes.items()) for d in counts]
    shapes = {float(getattr(cell, counted)): cell.shape for cell in cells}
    params, tokens, flops = np.array(rows, dtype=float).T
    return Candidates(params, tokens, flops, shapes)


def untrained(candidates: Candidates, runs: Runs) -> Candidates:
    """The candidates that no fitted run already is."""
    logs = np.log(np.stack([runs.params, runs.tokens]))
    apart = np.abs(candidates.log_inputs()[:, :, None] - logs[:, None, :]).max(0)  # (m, n)
    return candidates.take(apart.min(1) >= SAME)


def fitted_runs(folder: Path) -> Runs:
    """The runs behind a stored fit."""
    points = contracts.read(folder / "points.parquet", contracts.POINTS)
    names = {"params": "params", "tokens": "tokens", "flops": "flops", "loss": "observed"}
    columns = {name: points[column].to_numpy() for name, column in names.items()}
    return Runs(tuple(points["cell"].to_pylist()), columns)


def target(arguments: argparse.Namespace, rest: Evidence) -> tuple[float, float]:
    """N and D of the run that is to be predicted; raises ValueError where they are not given."""
    if arguments.target_flops is not None:
        flops = positive("--target-flops", arguments.target_flops)
        best = constrained(rest.law, rest.values, np.array([flops]), Limits())
        found = float(best.params[0, 0]), float(best.tokens[0, 0])
        if not math.isfinite(found[0]):
            raise ValueError(
                f"--target-flops {flops:g}: {rest.law.name} has no best run of it; give "
                "--target-params and --target-tokens"
            )
        return found
    if arguments.target_params is None or arguments.target_tokens is None:
        raise ValueError("what is to be predicted? give --target-flops, or --target-params and "
                         "--target-tokens")  # fmt: skip
    return (
        positive("--target-params", arguments.target_params),
        positive("--target-tokens", arguments.target_tokens),
    )


def rows(
    candidates: Candidates, picks: Sequence[Pick], before: float, law: str
) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``next_cells``, in the order to train."""
    for rank, pick in enumerate(picks, 1):
        yield {
            "law": law, "rank": rank, "params": float(candidates.params[pick.row]),
            "tokens": float(candidates.tokens[pick.row]), "flops": pick.cost,
            "deviation_before": 100 * before, "deviation_after": 100 * pick.deviation,
        }  # fmt: skip
        before = pick.deviation


def snippet(found: Sequence[dict[str, Any]], shapes: Mapping[float, Shape]) -> str:
    """The picks as sizes with token counts of their own, for a study's grid."""
    counts: dict[float, list[float]] = {}
    for row in found:
        counts.setdefault(row["params"], []).append(row["tokens"])
    lines = ["# Append to grid.sizes of a study.", "grid:", "  sizes:"]
    for size, tokens in sorted(counts.items()):
        told = ", ".join(f"{count:.0f}" for count in sorted(tokens))
        named = asdict(shapes[size]).items() if size in shapes else [("params", f"{size:.0f}")]
        shape = ", ".join(f"{name}: {value}" for name, value in named)
        lines.append(f"    - {{{shape}, tokens: [{told}]}}")
    return "\n".join(lines) + "\n"


def text(found: Sequence[dict[str, Any]], where: tuple[float, float]) -> str:
    """The ranking as a table."""
    lines = [
        f"Prediction at N = {short(where[0])}, D = {short(where[1])}: its deviation is "
        f"{found[0]['deviation_before']:.2f} % of the loss.",
        f"  {'':>4}{'params':>9}{'tokens':>9}{'FLOP':>11}{'deviation after':>18}",
    ]
    for row in found:
        lines.append(
            f"  {row['rank']:>3}.{short(row['params']):>9}{short(row['tokens']):>9}"
            f"{row['flops']:>11.2e}{row['deviation_after']:>16.2f} %"
        )
    return "\n".join(lines)


def picked(
    rest: Evidence, runs: Runs, free: Candidates, where: tuple[float, float], count: int
) -> list[dict[str, Any]]:
    """The ``count`` best candidates for a prediction at N and D, as rows of ``next_cells``.

    Where a backtest showed how the law's error grows, candidates far below the target tell less.
    """
    told = rest.fit.card.get("objective", {})
    objective = Objective(told.get("delta", rest.law.objective.delta), told.get("asymmetry", 0.5))
    theta = rest.law.theta({key: value[0] for key, value in rest.values.items()})
    known, wanted = knowledge(rest.law, theta, runs, objective), np.log(np.array(where))[:, None]
    inputs = free.log_inputs()
    form_error = (rest.rate or 0.0) * np.maximum(wanted.sum() - inputs.sum(0), 0.0)
    picks = ranked(known, inputs, free.flops, wanted, count, form_error)
    return list(rows(free, picks, deviation(known, wanted), rest.law.name))


def _evidence(arguments: argparse.Namespace) -> Evidence:
    name, why = arguments.law, ""
    if name is None:
        name, why = chosen(arguments.fits, arguments.headline)
    if name is None:
        raise ValueError(why)
    rest = evidence(arguments.fits, name, arguments.backtest)
    if set(rest.law.inputs) != {"params", "tokens"}:
        raise ValueError(f"--law {name}: candidates are N and D, and it takes more inputs")
    return rest


def _answered(arguments: argparse.Namespace) -> str:
    """Rank, write what is asked for, and return the text."""
    if arguments.count < 1:
        raise ValueError(f"--count {arguments.count}: take one or more")
    rest = _evidence(arguments)
    runs, where = fitted_runs(arguments.fits / rest.law.name), target(arguments, rest)
    if arguments.study is not None:
        offered = from_study(arguments.study, rest.counted)
    else:
        offered = from_table(arguments.candidates)
    free = untrained(offered, runs)
    if not len(free.params):
        raise ValueError("every candidate is fitted already: offer larger sizes or more tokens")
    found = picked(rest, runs, free, where, arguments.count)
    if not found:
        raise ValueError("no candidate tells anything of this prediction; offer others")
    if arguments.out is not None:
        contracts.write(arguments.out, found, contracts.NEXT_CELLS)
    if arguments.yaml is not None:
        arguments.yaml.parent.mkdir(parents=True, exist_ok=True)
        with atomic(arguments.yaml) as temporary:
            temporary.write_text(snippet(found, free.shapes), encoding="utf-8")
    return text(found, where)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.next_cells", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--fits", type=Path, required=True, help="folder of fits, one per law")
    law = parser.add_mutually_exclusive_group()
    law.add_argument("--law", help="the law that predicts")
    law.add_argument("--headline", type=Path, help="headline.json: the law the backtest chose")
    parser.add_argument("--backtest", type=Path, help="backtest.parquet: how a law's error grows")
    parser.add_argument("--target-params", type=float)
    parser.add_argument("--target-tokens", type=float)
    parser.add_argument("--target-flops", type=float, help="a budget whose best run is the target")
    offered = parser.add_mutually_exclusive_group(required=True)
    offered.add_argument("--candidates", type=Path, help="CSV: params, tokens and flops if not 6ND")
    offered.add_argument("--study", type=Path, help="config whose sizes and tokens are crossed")
    parser.add_argument("--count", type=int, default=5, help="runs to choose")
    parser.add_argument("--out", type=Path, help="next_cells.parquet")
    parser.add_argument("--yaml", type=Path, help="sizes to append to a study's grid")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(_answered(arguments))
    except (ConfigError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
