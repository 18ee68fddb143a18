"""Sentences on how far a plan lies from the runs, and what its intervals hold."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeline.laws import LAWS, SURFACES
from pipeline.planning.evidence import Evidence
from pipeline.planning.records import Question, Run


def sentences(evidence: Evidence, question: Question, run: Run) -> Iterator[str]:
    """All of them."""
    far, reach = run.extrapolation, question.reach
    for name in sorted(set(question.limits.fixed) - set(evidence.law.inputs)):
        takers = ", ".join(key for key in SURFACES if name in LAWS[key].inputs)
        yield (
            f"{evidence.law.name} does not take {name.replace('_', ' ')}: to it all tokens are "
            f"fresh. Cap them with --max-tokens, or plan with a fit of {takers}."
        )
    if evidence.fit.card.get("allocation", 0) is None:
        yield (
            "These runs do not determine how a budget splits between N and D: the N and D given "
            "here are one of several answers that describe them as well."
        )
    if far <= 1:
        yield "Within the range of the runs."
        return
    name = max(run.factors, key=lambda key: run.factors[key])
    what = {"params": "parameters", "tokens": "tokens", "flops": "compute"}[name]
    yield f"Extrapolated {far:.3g} times beyond the runs, in {what}."
    if evidence.rate is not None:
        yield backtested(evidence, far)
    if far <= reach.supported:
        return
    beyond = f"Beyond {reach.supported:g} times"
    if evidence.rivals:
        rivals = ", ".join(evidence.rivals)
        yield f"{beyond}, intervals also take in what the other laws say ({rivals})."
    elif evidence.rate is not None:
        yield f"{beyond}, one law alone gives N and D no interval: fit a second law of N and D."
    else:
        yield f"{beyond}, one law alone gives no interval: fit a second law or give --backtest."


def backtested(evidence: Evidence, far: float) -> str:
    """What the backtest adds to the interval of a loss, and how far it looked."""
    assert evidence.rate is not None
    rows = evidence.backtest
    runs, most = len({row["cell"] for row in rows}), max(row["extrapolation"] for row in rows)
    signed = sum(math.log(row["predicted"] / row["observed"]) for row in rows) / len(rows)
    told = (
        f"The interval of the loss holds an error of {100 * evidence.rate * math.log(far):.2g} % "
        f"(one standard deviation), as the errors of the backtest grow with distance: {len(rows)} "
        f"predictions of {runs} runs, {100 * signed:+.2g} % on average"
    )
    beyond = "; it says nothing of what lies farther out" if far > most else ""
    return f"{told}, up to {most:.3g} times beyond what they were fitted to{beyond}."
