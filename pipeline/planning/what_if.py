"""What would be otherwise: doublings, wrong sizes, a larger budget, overfitting, stopping early."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline import kaplan2020
from pipeline.laws import LAWS
from pipeline.laws.base import Floats
from pipeline.planning import calculators
from pipeline.planning.evidence import Evidence, stacked
from pipeline.planning.records import Quantity, Question, Run
from pipeline.planning.support import Estimate

CRITICAL_BATCH = "critical_batch"  # the law of the batch whose price in steps and tokens is equal
BATCH_LAWS = ("step_law_batch", "deepseek_batch")  # of the best batch, where that one is not fitted
SIZES = (0.5, 2.0)  # wrong sizes whose price is told
PENALTY = 0.02  # of loss, that overfitting may cost (Kaplan et al. 2020, section 4.2)


def quantities(evidence: Evidence, question: Question, run: Run) -> Iterator[Quantity]:
    """All of it."""
    law, values, fixed = evidence.law, evidence.values, question.limits.fixed
    n, d = run.params, run.tokens
    gains = calculators.gains(law, values, n, d, fixed)
    yield Quantity.of("gain_2x_params", evidence.estimate(100 * gains.params), "% of the loss")
    yield Quantity.of("gain_2x_tokens", evidence.estimate(100 * gains.tokens), "% of the loss")
    for factor in SIZES:
        price = calculators.price_of_size(law, values, n, d, factor, fixed)
        note = "compute for the same loss" if price[0] < np.inf else "never reaches the loss"
        told = evidence.estimate(price)
        yield Quantity.of(f"price_{factor:g}x_params", told, "times the compute", note=note)
    if run.balanced:
        yield from by_steps(evidence)
    yield from _earliest_stop(evidence, run)
    yield from _larger(evidence, question, run)
    needed = calculators.tokens_against_overfitting(law, values, n, PENALTY, fixed)
    note = f"for at most {PENALTY:.0%} above the loss of unlimited data"
    note += "" if needed[0] < np.inf else ": no number of passes over the distinct ones"
    yield Quantity.of("tokens_against_overfitting", evidence.estimate(needed), "tokens", note=note)


def by_steps(evidence: Evidence) -> Iterator[Quantity]:
    """What L(N, S) says of wrong sizes, eq. B.16, which asks of the best size of a budget.

    The paper's own constants stand in where a study has no fit of L(N, S); they have no interval.
    """
    fit = evidence.others.get("kaplan_steps")
    whose = "the constants of Kaplan et al. 2020" if fit is None else "the fit of kaplan_steps"
    law = kaplan2020.PAPER.steps if fit is None else kaplan2020.StepsLaw(**stacked(fit))
    for factor in SIZES:
        price = np.atleast_1d(kaplan2020.excess_of_size(law, factor).flops)
        told = evidence.estimate(price, fit)
        note = f"eq. B.16 with {whose}"
        yield Quantity.of(f"price_{factor:g}x_by_steps", told, "times the compute", note=note)


def _earliest_stop(evidence: Evidence, run: Run) -> Iterator[Quantity]:
    """The step before which overfitting does not ask to stop, eq. 5.7."""
    steps, data = evidence.others.get("kaplan_steps"), evidence.others.get("kaplan")
    if evidence.law.name == "kaplan":
        data = evidence.fit
    if steps is None or data is None:
        return
    laws = stacked(steps), stacked(data)
    count = min(len(next(iter(values.values()))) for values in laws)
    bound = kaplan2020.earliest_stop(
        kaplan2020.StepsLaw(**{name: value[:count] for name, value in laws[0].items()}),
        kaplan2020.DataLaw(**{name: value[:count] for name, value in laws[1].items()}),
        run.params, run.tokens,
    )  # fmt: skip
    note = "no earlier does overfitting ask to stop (eq. 5.7)"
    told = evidence.estimate(np.asarray(bound), steps)
    yield Quantity.of("earliest_stop", told, "optimizer steps", note=note)


def _larger(evidence: Evidence, question: Question, run: Run) -> Iterator[Quantity]:
    """What a larger budget buys, and its split between model, batch and steps.

    The question of Kaplan et al. 2020, eq. 1.7 and fig. 3, asked of the fitted laws.
    """
    law, values, fixed = evidence.law, evidence.values, question.limits.fixed
    cost_now, note = float(run.cost[0]), f"for {question.fold:g} times the budget"
    split = calculators.larger_budget(law, values, cost_now, question.fold, question.limits)
    names = {"params": "parameters", "tokens": "tokens", "loss": "loss"}
    for name in split._fields:
        told = evidence.estimate(getattr(split, name))
        yield Quantity.of(f"fold_{name}", told, f"times the {names[name]}", note=note)
    batch = batch_law(evidence)
    if batch is None:
        return
    n, d, fit = run.params, run.tokens, evidence.others[batch]
    loss = float(calculators.loss_at(law, values, n, d, fixed)[0])
    after = (n * split.params[0], d * split.tokens[0], loss * split.loss[0])
    batches = [
        fit.law.predict(stacked(fit), inputs_of(*run_))[:, 0] for run_ in ((n, d, loss), after)
    ]
    growth = evidence.estimate(batches[1] / batches[0], fit)
    yield Quantity.of("fold_batch", growth, f"times the batch, by {batch}", note=note)
    steps = evidence.estimate(split.tokens).over(growth)
    yield Quantity.of("fold_steps", steps, "times the steps", note=note)


def batch_law(evidence: Evidence) -> str | None:
    """The fitted law that says the batch; None without one."""
    return next((key for key in (CRITICAL_BATCH, *BATCH_LAWS) if key in evidence.others), None)


def inputs_of(params: float, tokens: float, loss: float) -> dict[str, Floats]:
    """A run as laws of settings may ask for it."""
    told = {"params": params, "tokens": tokens, "flops": 6.0 * params * tokens, "loss": loss}
    return {name: np.array([value], float) for name, value in told.items()}


def setting(evidence: Evidence, name: str, run: Run) -> Estimate:
    """What a fitted law of N, D or C says of a run."""
    inputs = inputs_of(run.params, run.tokens, 1.0)
    return evidence.at(name, **{key: inputs[key] for key in LAWS[name].inputs})
