"""Stage 4: one law and a study's runs -> its parameters with intervals, points and fit card.

The card says every choice that made the fit, so that anyone can make it again.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import contracts, conventions, options
from pipeline.batches import replicates
from pipeline.conventions import Convention
from pipeline.files import write_json
from pipeline.laws import LAWS, law
from pipeline.laws.base import Law, Runs
from pipeline.laws.estimate import Fit, Interval, fit
from pipeline.laws.remeasured import Remeasured

PACKAGES = ("isoloss", "numpy", "pyarrow")


def parameter_rows(found: Fit) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``parameters``."""
    for parameter in found.law.parameters:
        name = parameter.name
        low, high = found.intervals[name] or (None, None)
        judgement = found.judgements[name]
        profile = found.profiles[name] or (None, None)
        yield {
            "law": found.law.name, "parameter": name, "value": found.values[name],
            "low": low, "high": high, "profile_low": profile[0], "profile_high": profile[1],
            "level": found.options.level,
            "status": judgement.status.value, "reason": judgement.reason,
            "objective": found.objective, "starts": found.options.starts,
            "points": len(found.runs),
        }  # fmt: skip


def bootstrap_rows(found: Fit) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``bootstrap``."""
    for name, sample in found.replicates.items():
        for replicate, value in enumerate(sample.tolist()):
            yield {"replicate": replicate, "parameter": name, "value": value}


def point_rows(found: Fit) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``points``, one for each run behind the fit."""
    runs = found.runs
    observed = runs.column(found.law.target)
    for i, cell in enumerate(runs.cell):
        yield {
            "cell": cell, "params": runs.params[i], "tokens": runs.tokens[i],
            "flops": runs.flops[i], "observed": observed[i], "predicted": found.predicted[i],
            "residual": math.log(observed[i]) - math.log(found.predicted[i]),
            "weight": found.weights.value[i],
        }  # fmt: skip


def card(found: Fit, included: Runs, convention: Convention) -> dict[str, Any]:
    """Every choice and every figure of a fit as JSON values; an unknown number is null."""
    chosen = found.options
    minimised = chosen.objective_of(found.law)
    value = {
        "law": found.law.name, "title": found.law.title, "formula": found.law.formula,
        "citation": found.law.citation,
        "status": found.status.value, "sentence": found.sentence,
        "convention": convention.card, "runs_sha256": conventions.digest(included),
        "selection": {"reason": found.reason, "cells": list(found.runs.cell)},
        "counts": {"included": len(included), "fitted": len(found.runs)},
        "objective": {
            "form": "sum of Huber(log observed - log predicted)",
            "delta": minimised.delta, "asymmetry": minimised.asymmetry, "value": found.objective,
        },
        "solver": {
            "starts": chosen.starts, "starts_at_best": found.starts_at_best, "seed": chosen.seed,
            "condition": found.condition,
        },
        "bootstrap": {
            "kind": found.clusters.kind.value, "reason": found.clusters.reason,
            "clusters": found.clusters.number, "asked": chosen.bootstraps, "level": chosen.level,
            "widening": found.widening, "percentiles": found.percentiles,
            "replicates": len(next(iter(found.replicates.values()))),
            "converged": found.replicates_converged,
        },
        "weights": {
            "kind": chosen.weighting.value, "reason": found.weights.reason,
            "seed_noise": found.weights.pooled,
        },
        "parameters": {
            p.name: _estimate(found.values[p.name], found.intervals[p.name])
            for p in found.law.parameters
        },
        "quality": found.quality._asdict(),
        "allocation": None if found.allocation is None else _estimate(*found.allocation),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }  # fmt: skip
    return _finite(value)


def _estimate(value: float, interval: Interval) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {"value": value, "low": low, "high": high}


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(found: Fit, included: Runs, convention: Convention, folder: Path) -> None:
    """Write the four files of a fit, the card last."""
    contracts.write(folder / "parameters.parquet", parameter_rows(found), contracts.PARAMETERS)
    contracts.write(folder / "bootstrap.parquet", bootstrap_rows(found), contracts.BOOTSTRAP)
    contracts.write(folder / "points.parquet", point_rows(found), contracts.POINTS)
    write_json(folder / "card.json", card(found, included, convention))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.fit", description=__doc__)
    parser.add_argument("--law", required=True, help=f"one of {', '.join(LAWS)}")
    options.add_convention(parser)
    parser.add_argument("--evaluations", type=Path, help="losses on other texts, for LAW@TEXT")
    parser.add_argument("--tasks", type=Path, help="errors on tasks, for LAW@TASK")
    options.add_fit(parser)
    parser.add_argument(
        "--target-replicates", type=Path,
        help="level_replicates.parquet: critical batches on resamples, in place of resampled rows",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder for the four files")
    return parser


def _remeasured(path: Path | None, form: Law, runs: Runs) -> Remeasured | None:
    """The targets of runs on draws; raises ValueError where a law has others, or a run none."""
    if path is None:
        return None
    if form.target != "critical_batch":
        raise ValueError(
            f"--target-replicates {path}: holds critical batches, and {form.name} predicts "
            f"{form.target}; leave the option out"
        )
    return replicates.read(path, runs.cell)


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        convention = options.convention(arguments)
        form = law(arguments.law)
        further = conventions.measured(
            arguments.law, {*form.inputs, form.target}, arguments.evaluations, arguments.tasks
        )
        included = conventions.included_runs(arguments.runs, convention)
        runs = included
        if further:
            runs = conventions.included_runs(arguments.runs, convention, further)
        remeasured = _remeasured(arguments.target_replicates, form, runs)
        found = fit(form, runs, options.options(arguments, form), remeasured)
        write(found, included, convention, arguments.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    print(f"{found.law.name}: {found.status.value}. {found.sentence}", file=sys.stderr)
    if found.runs.cell != runs.cell:
        counted = f"{len(found.runs)} of {len(runs)} runs"
        print(f"{found.law.name}: fitted to {counted}. {found.reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
