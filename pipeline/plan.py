"""Stage 7: a fitted law and a budget -> what to train, what it reaches, and how sure that is.

    python -m pipeline.plan --fits results/toy/fits --headline results/toy/headline.json \\
        --money 10000 --price-per-gpu-hour 2.5 --gpu h100 --mfu 0.4

States the best N and D, a shape, batch, learning rate, steps, loss, cost and memory, or refuses
with a sentence: of nothing but refusals the exit status is 2, unless their table is asked for.
Models are shaped and trained as the study of the fits does it, unless --study or --recipe say
otherwise. With two or three of --params, --tokens and --flops it instead says what that run would
reach.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline import contracts
from pipeline.config import ConfigError, load, positive
from pipeline.corpus.definition import vocab_size
from pipeline.files import atomic, write_json
from pipeline.planning import report
from pipeline.planning.answer import answered
from pipeline.planning.budget import GPUS, Unit, machine, option
from pipeline.planning.constrained import Limits
from pipeline.planning.evidence import Evidence, chosen, evidence
from pipeline.planning.folder import Fits, recipe_beside, refuse_without_fits
from pipeline.planning.outcome import predict_loss
from pipeline.planning.records import Plan, Question
from pipeline.planning.shape import Recipe
from pipeline.planning.support import Reach

MOST_FOLD = 1e6  # budgets: beyond, a larger budget tells nothing
MULTIPLES = (10.0, 100.0, 1000.0)  # of the largest run, where nothing is asked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.plan", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--fits", type=Path, required=True, help="folder of fits, one per law")
    law = parser.add_mutually_exclusive_group()
    law.add_argument("--law", help="the law to plan with")
    law.add_argument("--headline", type=Path, help="headline.json: the law the backtest chose")
    parser.add_argument("--laws", nargs="*", help="fits to look at; all in the folder if not given")
    parser.add_argument("--unplanned", default="", help="why no law plans, said in a plan's place")
    parser.add_argument("--backtest", type=Path, help="backtest.parquet: how a law's error grows")
    _add_budget(parser)
    _add_limits(parser)
    _add_machine(parser)
    _add_recipe(parser)
    parser.add_argument("--supported", type=float, default=30.0, help="times beyond the runs")
    parser.add_argument("--refuse-beyond", type=float, default=1000.0, help="times beyond the runs")
    parser.add_argument("--fold", type=float, default=10.0, help="a larger budget, in budgets")
    parser.add_argument("--json", type=Path, help="plan.json")
    parser.add_argument("--text", type=Path, help="plan.txt: what is printed")
    parser.add_argument("--out", type=Path, help="plan.parquet")
    return parser


def _add_budget(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "budget", "one of these, several amounts of it; without any, multiples of the largest run"
    )
    group.add_argument("--flops", type=float, nargs="+", metavar="FLOP")
    group.add_argument("--pf-days", type=float, nargs="+")
    group.add_argument("--gpu-hours", type=float, nargs="+")
    group.add_argument("--money", type=float, nargs="+", help="in the currency of the price")
    group.add_argument("--target-loss", type=float, nargs="+", help="in the unit of the fits")
    run = parser.add_argument_group("a given run", "two or three of these and --flops")
    run.add_argument("--params", type=float)
    run.add_argument("--tokens", type=float)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument("--max-params", type=float, default=math.inf)
    group.add_argument("--max-tokens", type=float, default=math.inf, help="that there are to train")
    group.add_argument("--inference-tokens", type=float, default=0.0, help="to be served later")
    group.add_argument("--unique-tokens", type=float, help="distinct ones, for laws that take them")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--gpu", choices=tuple(GPUS), help="peak and memory from its datasheet")
    group.add_argument("--peak-flops", type=float, help="FLOP/s of one GPU")
    group.add_argument("--mfu", type=float, help="share of the peak that training uses")
    group.add_argument("--tokens-per-second", type=float, help="of one GPU, as measured")
    group.add_argument("--measured-params", type=float, help="size that speed was measured at")
    group.add_argument("--price-per-gpu-hour", type=float)
    group.add_argument("--gpu-memory", type=float, help="bytes")
    group.add_argument("--gpus", type=int, default=1, help="that train together")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recipe", "how the planned model is shaped and trained")
    group.add_argument("--study", type=Path, help="config whose model and training are taken")
    group.add_argument("--recipe", help="the same as JSON: fields of planning.shape.Recipe")
    group.add_argument("--batch-tokens", type=float, help="tokens per step")


def limits(arguments: argparse.Namespace) -> Limits:
    """The limits of a command line."""
    for key in ("max_params", "max_tokens", "unique_tokens"):
        value = getattr(arguments, key)
        if value is not None and not value >= 1:
            raise ValueError(f"{option(key)} {value:g}: take one or more")
    if not 0 <= arguments.inference_tokens < math.inf:
        raise ValueError(f"--inference-tokens {arguments.inference_tokens:g}: take zero or more")
    unique = arguments.unique_tokens
    fixed = {} if unique is None else {"unique_tokens": unique}
    return Limits(arguments.max_params, arguments.max_tokens, arguments.inference_tokens, fixed)


def recipe(arguments: argparse.Namespace) -> tuple[Recipe, str]:
    """The recipe of a command line, and where it is from if that was not asked for.

    Raises ConfigError or ValueError where it cannot be read.
    """
    if arguments.recipe is not None:
        try:
            return Recipe.given(arguments.recipe), ""
        except ConfigError as error:
            raise ValueError(f"--recipe: {error}") from None
    if arguments.study is None:
        return recipe_beside(arguments.fits)
    config = load(arguments.study)
    if "grid" not in config:
        return Recipe(), ""  # the models that imported runs are of may be shaped in any way
    return Recipe.of(config, vocab_size(config["corpus"])), ""


def amounts(arguments: argparse.Namespace, rest: Evidence) -> list[tuple[Unit | None, float]]:
    """What is asked, in which unit; raises ValueError where two units are."""
    given = [unit for unit in Unit if getattr(arguments, unit.value) is not None]
    if len(given) > 1:
        raise ValueError(
            f"{' and '.join(unit.option for unit in given)}: give the budget in one way"
        )
    if given:
        return [(given[0], amount) for amount in getattr(arguments, given[0].value)]
    if math.isfinite(min(arguments.max_params, arguments.max_tokens)):
        return [(None, math.nan)]
    return [(Unit.FLOPS, multiple * rest.support.flops.high) for multiple in MULTIPLES]


def plans(arguments: argparse.Namespace, rest: Evidence, shaped: Recipe) -> list[Plan]:
    """The answers to all that a command line asks, of models shaped by a recipe."""
    shared: dict[str, Any] = {
        "limits": limits(arguments), "machine": machine(vars(arguments), option),
        "recipe": shaped,
        "reach": Reach(arguments.supported, arguments.refuse_beyond),
        "batch_tokens": arguments.batch_tokens, "fold": positive("--fold", arguments.fold),
    }  # fmt: skip
    if arguments.fold > MOST_FOLD:
        raise ValueError(f"--fold {arguments.fold:g}: take at most {MOST_FOLD:g}")
    batch = arguments.batch_tokens
    if batch is not None and not 1 <= batch < math.inf:
        raise ValueError(f"--batch-tokens {batch:g}: take one or more")
    asked = amounts(arguments, rest)
    found = [answered(rest, Question(unit, amount, **shared)) for unit, amount in asked]
    for plan in found:
        if batch is not None and plan.run is not None and batch > plan.run.tokens:
            raise ValueError(
                f"--batch-tokens {batch:g}: the best run of {plan.asked} has {plan.run.tokens:.3g} "
                "tokens in all; take fewer for a step"
            )
    return found


def outcome(arguments: argparse.Namespace, rest: Evidence) -> tuple[str, dict[str, Any], bool]:
    """What a given run would reach, as text and as JSON values, and whether that is told at all."""
    flops = arguments.flops
    if flops is not None and len(flops) > 1:
        raise ValueError("--flops: give one amount beside --params or --tokens")
    found = predict_loss(
        rest, arguments.params, arguments.tokens, None if flops is None else flops[0],
        Reach(arguments.supported, arguments.refuse_beyond), limits(arguments).fixed,
    )  # fmt: skip
    law, unit = rest.law.name, rest.loss_unit
    text, value = report.outcome_text(found, law, unit), report.outcome_json(found, law, unit)
    return text, value, found.refusal is None


def _written(arguments: argparse.Namespace) -> tuple[str, bool]:
    """Answer, write what is asked for; the text, and whether it answers anything."""
    if arguments.laws != []:  # a workflow may have no law to plan with
        refuse_without_fits(arguments.fits)
    fits = Fits(arguments.fits, arguments.laws)
    name, why = arguments.law, arguments.unplanned
    if name is None and not why:
        name, why = chosen(fits, arguments.headline)
    rest = None if name is None else evidence(fits, name, arguments.backtest)
    if rest is not None and (arguments.params is not None or arguments.tokens is not None):
        if arguments.out is not None:
            raise ValueError("--out: a given run has no plan; take --json or --text")
        text, value, answers = outcome(arguments, rest)
    else:
        shaped, origin = recipe(arguments)
        found = [] if rest is None else plans(arguments, rest, shaped)
        answers = any(plan.refusal is None for plan in found)
        text = "\n\n".join(report.plan_text(plan, why) for plan in found) or why
        if origin and any(plan.run for plan in found):
            text += "\n\n" + report.paragraph(origin)
        value = {
            "law": name, "reason": why, "recipe": shaped.card if shaped != Recipe() else None,
            "plans": [report.plan_json(plan) for plan in found],
        }  # fmt: skip
        if arguments.out is not None:
            rows = [row for plan in found for row in plan.rows()]
            contracts.write(arguments.out, rows, contracts.PLAN)
    if arguments.json is not None:
        write_json(arguments.json, value)
    if arguments.text is not None:
        arguments.text.parent.mkdir(parents=True, exist_ok=True)
        with atomic(arguments.text) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return text, answers


def _spelled(argument: str) -> str:
    """A negative number without an exponent, whose minus argparse takes for that of an option."""
    if argument.startswith("-") and argument[1:2] in set("0123456789."):
        with suppress(ValueError):
            return f"{float(argument):f}"
    return argument


def main(argv: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if argv is None else argv
    arguments = _parser().parse_args([_spelled(argument) for argument in given])
    try:
        text, answers = _written(arguments)
    except (ConfigError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 2
    print(text)
    # The table of a study takes a refusal for its answer.
    return 0 if answers or arguments.out is not None else 2


if __name__ == "__main__":
    sys.exit(main())
