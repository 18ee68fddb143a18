"""Which runs to train next: candidates ranked by what they tell of a prediction, per FLOP.

    python -m pipeline.next_cells --fits results/toy/fits --law kaplan --target-flops 1e16 \\
        --study config.yaml --count 5 --yaml next.yaml

The target is a run (--target-params, --target-tokens) or the best run of a budget (--target-flops).
Candidates are the rows of a CSV with columns params and tokens, or the sizes and token counts of a
study's grid, all crossed. What is fitted already is left out, and so is what has fewer parameters
or tokens than every fitted run (--smaller-too takes it in): nothing shows that the law holds there.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline import contracts
from pipeline.accounting import Shape
from pipeline.cells import short
from pipeline.config import ConfigError, positive
from pipeline.files import atomic
from pipeline.laws.base import Runs
from pipeline.laws.objective import Objective
from pipeline.planning.acquisition import Pick, deviation, knowledge, ranked
from pipeline.planning.candidates import (
    Candidates,
    from_study,
    from_table,
    supported,
    untrained,
)
from pipeline.planning.constrained import Limits, constrained
from pipeline.planning.evidence import Evidence, chosen, evidence
from pipeline.planning.folder import Fits, refuse_without_fits
from pipeline.planning.support import Reach

Run = tuple[float, float]  # N and D


def fitted_runs(folder: Path) -> Runs:
    """The runs behind a stored fit."""
    points = contracts.read(folder / "points.parquet", contracts.POINTS)
    names = {"params": "params", "tokens": "tokens", "flops": "flops", "loss": "observed"}
    columns = {name: points[column].to_numpy() for name, column in names.items()}
    return Runs(tuple(points["cell"].to_pylist()), columns)


def target(arguments: argparse.Namespace, rest: Evidence) -> Run:
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


def distance(rest: Evidence, where: Run, reach: Reach) -> str:
    """What is to be said of a target far from the runs; raises ValueError where it is too far."""
    far, law = max(rest.support.factors(*where).values()), rest.law.name
    place = f"N = {where[0]:.3g}, D = {where[1]:.3g}"
    if far > reach.refused:
        raise ValueError(
            f"the prediction, at {place}, lies {far:.3g} times beyond the runs behind {law}, and "
            f"past {reach.refused:g} times no law tells what to train: aim nearer, or raise "
            "--refuse-beyond"
        )
    if far <= reach.supported:
        return ""
    return (
        f"It lies {far:.3g} times beyond the runs behind {law}, more than {reach.supported:g}: the "
        "deviation holds the doubt of the parameters only, and there the form of the law may err "
        "by more."
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


def snippet(found: Sequence[Mapping[str, Any]], shapes: Mapping[float, Shape]) -> str:
    """The picks as sizes with token counts of their own, for a study's grid."""
    counts: dict[float, list[float]] = {}
    for row in found:
        counts.setdefault(row["params"], []).append(row["tokens"])
    lines = ["# Append to grid.sizes of a study.", "grid:", "  sizes:"]
    for size, tokens in sorted(counts.items()):
        told = ", ".join(f"{count:.0f}" for count in sorted(tokens))
        known = shapes[size].keys() if size in shapes else {"params": f"{size:.0f}"}
        shape = ", ".join(f"{name}: {value}" for name, value in known.items())
        lines.append(f"    - {{{shape}, tokens: [{told}]}}")
    return "\n".join(lines) + "\n"


class Ranking(NamedTuple):
    """Rows of the contract ``next_cells``, and the one run that tells most whatever it costs."""

    rows: Sequence[Mapping[str, Any]]
    alone: Mapping[str, Any]


def gain(row: Mapping[str, Any], whole: float) -> float:
    """What a run takes off the variance of the prediction, as a share of ``whole`` squared."""
    return (row["deviation_before"] ** 2 - row["deviation_after"] ** 2) / whole**2


def text(found: Ranking, where: Run, small: Collection[Run]) -> str:
    """The ranking as a table; runs of N and D in ``small`` are marked as below all fitted runs."""
    whole, alone = found.rows[0]["deviation_before"], found.alone
    lines = [
        f"Prediction at N = {short(where[0])}, D = {short(where[1])}: its deviation is "
        f"{whole:.2f} % of the loss.",
        f"  {'':>4}{'params':>9}{'tokens':>9}{'FLOP':>11}{'deviation after':>18}"
        f"{'variance off':>15}{'per FLOP':>11}",
    ]
    for row in found.rows:
        share = gain(row, whole)
        mark = "  below the runs" if (row["params"], row["tokens"]) in small else ""
        lines.append(
            f"  {row['rank']:>3}.{short(row['params']):>9}{short(row['tokens']):>9}"
            f"{row['flops']:>11.2e}{row['deviation_after']:>16.2f} %{100 * share:>13.1f} %"
            f"{share / row['flops']:>11.1e}{mark}"
        )
    lines.append(
        f"Whatever it costs, one run tells most: N = {short(alone['params'])}, D = "
        f"{short(alone['tokens'])}, {alone['flops']:.2e} FLOP, {100 * gain(alone, whole):.1f} % of "
        f"the variance, {gain(alone, whole) / alone['flops']:.1e} per FLOP."
    )
    return "\n".join(lines)


def picked(
    rest: Evidence, runs: Runs, free: Candidates, where: Run, count: int,
    budget: float = math.inf,
) -> Ranking | None:  # fmt: skip
    """The ``count`` best candidates, in all at most ``budget`` FLOP, for a prediction at N and D.

    None where none that can be paid for tells anything. Where a backtest showed how the law's error
    grows, candidates far below the target tell less.
    """
    told = rest.fit.card.get("objective", {})
    objective = Objective(told.get("delta", rest.law.objective.delta), told.get("asymmetry", 0.5))
    theta = rest.law.theta({key: value[0] for key, value in rest.values.items()})
    known, wanted = knowledge(rest.law, theta, runs, objective), np.log(np.array(where))[:, None]
    inputs = free.log_inputs()
    form_error = (rest.rate or 0.0) * np.maximum(wanted.sum() - inputs.sum(0), 0.0)
    picks = ranked(known, inputs, free.flops, wanted, count, form_error, budget)
    if not picks:
        return None
    best = ranked(known, inputs, np.ones_like(free.flops), wanted, 1, form_error)
    alone = [pick._replace(cost=float(free.flops[pick.row])) for pick in best]
    before = deviation(known, wanted)
    in_order, at_once = (list(rows(free, p, before, rest.law.name)) for p in (picks, alone))
    return Ranking(in_order, at_once[0])


def _evidence(arguments: argparse.Namespace) -> Evidence:
    refuse_without_fits(arguments.fits)
    fits = Fits(arguments.fits)
    name, why = arguments.law, ""
    if name is None:
        name, why = chosen(fits, arguments.headline)
    if name is None:
        raise ValueError(why)
    rest = evidence(fits, name, arguments.backtest)
    if set(rest.law.inputs) != {"params", "tokens"}:
        raise ValueError(f"--law {name}: candidates are N and D, and it takes more inputs")
    return rest


def offered(arguments: argparse.Namespace, rest: Evidence, runs: Runs) -> Candidates:
    """The candidates to rank; raises ValueError where none is left."""
    if arguments.study is not None:
        given = from_study(arguments.study, rest.counted)
    else:
        given = from_table(arguments.candidates)
    free = untrained(given, runs)
    if not len(free.params):
        raise ValueError("every candidate is fitted already: offer larger sizes or more tokens")
    if arguments.smaller_too:
        return free
    kept = free.take(supported(free, runs))
    if not len(kept.params):
        raise ValueError(
            f"every candidate has fewer than {runs.params.min():.3g} parameters or "
            f"{runs.tokens.min():.3g} tokens, the least of the fitted runs: offer larger ones, or "
            "give --smaller-too"
        )
    return kept


def _answered(arguments: argparse.Namespace) -> str:
    """Rank, write what is asked for, and return the text."""
    if arguments.count < 1:
        raise ValueError(f"--count {arguments.count}: take one or more")
    budget = math.inf
    if arguments.budget is not None:
        budget = positive("--budget", arguments.budget)
    reach, rest = Reach(arguments.supported, arguments.refuse_beyond), _evidence(arguments)
    runs, where = fitted_runs(arguments.fits / rest.law.name), target(arguments, rest)
    doubt = distance(rest, where, reach)
    free = offered(arguments, rest, runs)
    if budget < free.flops.min():
        raise ValueError(
            f"--budget {budget:g}: the cheapest candidate costs {free.flops.min():.3g} FLOP; give "
            "more, or offer smaller runs"
        )
    found = picked(rest, runs, free, where, arguments.count, budget)
    if found is None:
        raise ValueError("no candidate tells anything of this prediction; offer others")
    if arguments.out is not None:
        contracts.write(arguments.out, found.rows, contracts.NEXT_CELLS)
    if arguments.yaml is not None:
        arguments.yaml.parent.mkdir(parents=True, exist_ok=True)
        with atomic(arguments.yaml) as temporary:
            temporary.write_text(snippet(found.rows, free.shapes), encoding="utf-8")
    below = free.take(~supported(free, runs))
    told = text(found, where, set(zip(below.params.tolist(), below.tokens.tolist())))
    return f"{told}\n{doubt}".rstrip()


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
    parser.add_argument("--supported", type=float, default=30.0, help="times beyond the runs")
    parser.add_argument("--refuse-beyond", type=float, default=1000.0, help="times beyond the runs")
    offered = parser.add_mutually_exclusive_group(required=True)
    offered.add_argument("--candidates", type=Path, help="CSV: params, tokens and flops if not 6ND")
    offered.add_argument("--study", type=Path, help="config whose sizes and tokens are crossed")
    parser.add_argument("--smaller-too", action="store_true", help="those below all fitted runs")
    parser.add_argument("--count", type=int, default=5, help="runs to choose")
    parser.add_argument("--budget", type=float, metavar="FLOP", help="of the chosen runs together")
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
