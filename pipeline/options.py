"""The command line that all stages which fit share: the runs, what is counted, how laws are fitted.

In a config these are the keys of ``fit`` with the same names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.conventions import FLOPS, LOSS, PARAMS, TOKENS, Convention, Terms
from pipeline.laws.base import Law
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Options
from pipeline.laws.objective import Form, Objective
from pipeline.laws.weights import Weighting


def add_convention(parser: argparse.ArgumentParser) -> None:
    """The table of runs, and which of its columns stand for N, C and the loss."""
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet of a study")
    parser.add_argument("--params", choices=PARAMS, default="params", help="column that is N")
    parser.add_argument("--flops", choices=FLOPS, default="flops_6nd", help="column that is C")
    parser.add_argument("--tokens", choices=TOKENS, default="tokens", help="column that is D")
    parser.add_argument("--loss", choices=LOSS, default="loss", help="column that is the loss")


def add_fit(parser: argparse.ArgumentParser) -> None:
    """What is minimised, and the resamples behind the intervals."""
    parser.add_argument(
        "--objective", choices=[str(form) for form in Form], default="huber",
        help="of the log residuals",
    )  # fmt: skip
    parser.add_argument("--delta", type=float, help="Huber's; where not given, each law's own")
    parser.add_argument(
        "--asymmetry", type=float, default=0.5, help="runs above the law count 2q times"
    )
    parser.add_argument(
        "--weights", choices=[str(kind) for kind in Weighting], default="equal",
        help="what each run counts",
    )  # fmt: skip
    parser.add_argument(
        "--bootstrap", default="auto",
        choices=[str(kind) for kind in Bootstrap if kind is not Bootstrap.BATCH_SIZES],
        help="what a resample draws: single runs, or all runs of a size or budget, or seeds",
    )  # fmt: skip
    parser.add_argument("--bootstraps", type=int, default=1000, help="bootstrap replicates")
    parser.add_argument("--level", type=float, default=0.9, help="coverage of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of starts and resamples")


def convention(arguments: argparse.Namespace) -> Convention:
    """The convention that a command line asks for, in the terms of the table it names."""
    terms = Terms.of_table(arguments.runs)
    return Convention(arguments.params, arguments.flops, arguments.loss, arguments.tokens, terms)


def objective(arguments: argparse.Namespace, law: Law) -> Objective:
    """What the fit of a law minimises; raises ValueError naming an impossible option."""
    delta = law.objective.delta if arguments.delta is None else arguments.delta
    return Objective.of(Form(arguments.objective), delta, arguments.asymmetry)


def refuse(arguments: argparse.Namespace, **own: tuple[bool, str]) -> None:
    """Raise ValueError naming an impossible option, of the resamples or of a stage's ``own``.

    Each of these is whether its value is possible, and what to take instead.
    """
    limits = {
        **own,
        "bootstraps": (arguments.bootstraps >= 0, "zero or more"),
        "level": (0 < arguments.level < 1, "between 0 and 1"),
        "seed": (arguments.seed >= 0, "zero or more"),
    }
    for name, (holds, limit) in limits.items():
        if not holds:
            raise ValueError(f"--{name} {getattr(arguments, name)}: take {limit}")


def options(arguments: argparse.Namespace, law: Law) -> Options:
    """How a law is fitted; raises ValueError naming an impossible option."""
    refuse(arguments)
    return Options(
        objective=objective(arguments, law), bootstraps=arguments.bootstraps,
        level=arguments.level, seed=arguments.seed, bootstrap=Bootstrap(arguments.bootstrap),
        weighting=Weighting(arguments.weights),
    )  # fmt: skip
