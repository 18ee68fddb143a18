"""Stage 5: runs -> how far off each law is at runs larger than those it was fitted to.

Every law is fitted up to rolling cut-offs and predicts the runs above them. The law of N and D that
wins is the study's headline, whatever the fits of all runs look like.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import contracts, conventions, options
from pipeline.files import write_json
from pipeline.laws import LAWS, law
from pipeline.laws.base import Law, Runs, SurfaceLaw
from pipeline.laws.estimate import Options
from pipeline.laws.interval import LEAST_REPLICATES
from pipeline.laws.ranking import EDGES, Graded, Ranking, ranked
from pipeline.laws.rolling import Rolled, ladder, rolled
from pipeline.laws.verdict import disagreement, reasons, size

AXES = ("flops", "params", "tokens")
TARGET = "loss"


class Group(NamedTuple):
    """Laws that describe the same runs, tested along one axis; ``joint`` ones take several inputs.

    ``ranking`` is None where no law could be tested.
    """

    axis: str
    joint: bool
    laws: tuple[Rolled, ...]
    ranking: Ranking | None

    @property
    def reasons(self) -> dict[str, str]:
        """Why each law is trusted or not: tested ones by rising score, then the others."""
        untested = {one.law.name: one.refusal for one in self.laws if one.refusal is not None}
        return (reasons(self.ranking) if self.ranking else {}) | untested


def groups(
    laws: Sequence[Law], runs: Runs, axes: Sequence[str], ratio: float,
    chosen: Mapping[str, Options], cutoffs: Sequence[float] = (),
) -> list[Group]:  # fmt: skip
    """All laws tested: those of several inputs along each of ``axes``, the others along their own.

    ``chosen`` holds how each law is fitted; ``cutoffs`` replace the ladder along ``axes``.
    """
    joint = [one for one in laws if len(one.inputs) > 1]
    found = [
        _group(joint, True, axis, runs, cutoffs or ladder(runs.column(axis), ratio), chosen)
        for axis in axes
        if joint
    ]
    for axis in dict.fromkeys(one.inputs[0] for one in laws if len(one.inputs) == 1):
        single = [one for one in laws if one.inputs == (axis,)]
        rungs = ladder(runs.column(axis), ratio) if axis in runs.columns else []
        found.append(_group(single, False, axis, runs, rungs, chosen))
    return found


def _group(
    laws: Sequence[Law], joint: bool, axis: str, runs: Runs, cutoffs: Sequence[float],
    chosen: Mapping[str, Options],
) -> Group:  # fmt: skip
    found = tuple(rolled(one, runs, axis, cutoffs, chosen[one.name]) for one in laws)
    return Group(axis, joint, found, ranked(found))


def backtest_rows(found: Sequence[Group], level: float) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``backtest``: every prediction of every law."""
    for of, one in ((group, tested) for group in found for tested in group.laws):
        shared = set(of.ranking.pairs.keys) if of.ranking else set()
        for cut in one.cuts:
            told, runs = cut.prediction, cut.above
            for i, cell in enumerate(runs.cell):
                yield {
                    "law": one.law.name, "axis": one.axis, "cutoff": cut.at, "cell": cell,
                    "params": runs.params[i], "tokens": runs.tokens[i], "flops": runs.flops[i],
                    "extrapolation": cut.factor[i], "observed": cut.observed[i],
                    "predicted": told.value[i], "low": _known(told.low[i]),
                    "high": _known(told.high[i]), "level": level,
                    "error": 100 * math.expm1(cut.log_error[i]), "covered": bool(cut.covered[i]),
                    "compared": (cut.at, cell) in shared,
                    "points": len(cut.fit.runs), "status": cut.fit.status.value,
                }  # fmt: skip


def ranking_rows(found: Sequence[Group], level: float) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``ranking``: one for each law and bin, or for a law without any."""
    for group in found:
        compared = {one.name: one for one in group.ranking.laws} if group.ranking else {}
        for name, reason in group.reasons.items():
            told = {
                "law": name, "axis": group.axis, "joint": group.joint, "level": level,
                "parameters": len(law(name).parameters), "reason": reason,
                "disagrees": False, "chosen": False,
            }  # fmt: skip
            if group.ranking is None or name not in compared:
                yield told
                continue
            told |= _placed(group.ranking, compared[name])
            bins = group.ranking.by_bin(compared[name])
            for b, errors in bins.items():
                ends = {"above": EDGES[b], "up_to": _known(EDGES[b + 1])}
                yield told | ends | errors._asdict()
            if not bins:
                yield told


def _placed(ranking: Ranking, one: Graded) -> dict[str, Any]:
    """What the contract ``ranking`` says of a compared law as a whole."""
    describes, predicts = ranking.describes[one.name], ranking.predicts[one.name]
    return {
        "r2": _known(one.quality.r2), "rmse": _known(100 * one.quality.rmse),
        "score": _known(100 * one.score), "in_sample_rank": describes,
        "out_of_sample_rank": predicts, "disagrees": describes != predicts,
        "chosen": one.name == ranking.winner,
    }  # fmt: skip


def headline(found: Sequence[Group]) -> dict[str, Any]:
    """The law of N and D that predicts larger runs best, along the first axis, as JSON values."""
    value: dict[str, Any] = {
        "law": None, "axis": None, "mape": None, "bias": None, "runs": 0, "predictions": 0,
        "reason": "No law of N and D was fitted, so none splits a budget.", "disagreement": None,
        "laws": {},
    }  # fmt: skip
    group = next((one for one in found if one.joint), None)
    surfaces = [one for one in group.laws if isinstance(one.law, SurfaceLaw)] if group else []
    if group is None or not surfaces:
        return value
    value |= {"axis": group.axis, "laws": group.reasons}
    ranking = group.ranking
    if ranking is None or not any(one.cuts for one in surfaces):
        return value | {"reason": "No law could be tested on runs larger than those it fitted."}
    if ranking.winner is None:
        told = dict.fromkeys(group.reasons[one.name] for one in ranking.candidates)
        return value | {"reason": " ".join(told)}
    winner = next(one for one in ranking.laws if one.name == ranking.winner)
    error = size(ranking, winner)
    return value | {
        "law": winner.name, "mape": error.mape, "bias": error.bias,
        "runs": len(set(ranking.pairs.cells)), "predictions": len(ranking.pairs.keys),
        "reason": group.reasons[winner.name], "disagreement": disagreement(ranking),
    }  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _laws(names: Sequence[str]) -> list[Law]:
    """The laws that predict the loss; the others are said on stderr."""
    found = [law(name) for name in names]
    for one in found:
        if one.target != TARGET:
            print(f"{one.name}: skipped, it predicts {one.target}", file=sys.stderr)
    return [one for one in found if one.target == TARGET]


def _refuse(arguments: argparse.Namespace) -> None:
    if arguments.bootstraps < LEAST_REPLICATES:
        raise ValueError(
            f"--bootstraps {arguments.bootstraps}: take {LEAST_REPLICATES} or more, since each "
            "prediction is held against its interval"
        )
    if not arguments.ladder < math.inf:
        raise ValueError(f"--ladder {arguments.ladder:g}: take a finite ratio above 1")
    for cutoff in arguments.cutoffs:
        if not 0 < cutoff < math.inf:
            raise ValueError(f"--cutoffs {cutoff:g}: take positive numbers")
    if arguments.cutoffs and len(arguments.axes) > 1:
        raise ValueError(f"--cutoffs: give them for one of the axes {', '.join(arguments.axes)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.backtest", description=__doc__)
    parser.add_argument("--laws", nargs="*", required=True, help=f"among {', '.join(LAWS)}")
    options.add_convention(parser)
    options.add_fit(parser)
    parser.set_defaults(bootstraps=200)
    parser.add_argument(
        "--axes", nargs="+", choices=AXES, default=["flops"], help="of laws of several inputs"
    )
    parser.add_argument("--ladder", type=float, default=2.0, help="ratio of cut-offs")
    parser.add_argument("--cutoffs", type=float, nargs="*", default=[], help="in place of a ladder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _refuse(arguments)
        laws = _laws(arguments.laws)
        chosen = {one.name: options.options(arguments, one) for one in laws}
        runs = conventions.included_runs(arguments.runs, options.convention(arguments))
        found = groups(laws, runs, arguments.axes, arguments.ladder, chosen, arguments.cutoffs)
        out, level = arguments.out, arguments.level
        contracts.write(out / "backtest.parquet", backtest_rows(found, level), contracts.BACKTEST)
        contracts.write(out / "ranking.parquet", ranking_rows(found, level), contracts.RANKING)
        told = headline(found) | {"runs_sha256": conventions.digest(runs)}
        write_json(out / "headline.json", told)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    print(f"{told['law'] or 'no headline'}: {told['reason']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
