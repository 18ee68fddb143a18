"""What follows from a planned N and D: shape, batch, learning rate, cost, and what if."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pipeline import accounting, kaplan2020
from pipeline.accounting import PF_DAY, Shape
from pipeline.laws import LAWS, SURFACES
from pipeline.laws.band import SavedFit
from pipeline.laws.base import Floats
from pipeline.planning import calculators, cost, shape
from pipeline.planning.budget import Machine
from pipeline.planning.evidence import Evidence
from pipeline.planning.records import Quantity, Question, Run

CRITICAL_BATCH = "critical_batch"  # the law of the batch whose price in steps and tokens is equal
SIZES = (0.5, 2.0)  # wrong sizes whose price is told
PENALTY = 0.02  # of loss, that overfitting may cost (Kaplan et al. 2020, section 4.2)
NOT_MEASURED = "not measured"


def quantities(
    evidence: Evidence, question: Question, run: Run, loss: float
) -> tuple[list[Quantity], list[str]]:
    """All that follows from a run, and sentences on what could not be told."""
    found, told = shape_quantities(evidence, question, run)
    batch, sentence = batch_quantities(evidence, question, run, loss)
    found += batch
    told += sentence
    found += cost_quantities(question.machine, run)
    found += what_if(evidence, question, run)
    return found, told


def shape_quantities(
    evidence: Evidence, question: Question, run: Run
) -> tuple[list[Quantity], list[str]]:
    """A model of the planned size, its learning rate and its memory."""
    recipe = question.recipe
    found = shape.planned(run.params, recipe, evidence.counted)
    if found is None:
        return [], [
            f"No {recipe.family} of at most {recipe.max_layers} layers has {run.params:.3g} "
            f"parameters within 1 % at a width of about {recipe.aspect:g} per layer: change "
            "--aspect or --max-layers."
        ]
    total = accounting.total_params(found, recipe.vocab_size, recipe.context)
    rows = [
        Quantity("n_layer", found.n_layer, "layers"),
        Quantity("d_model", found.d_model, "width"),
        Quantity("d_ff", found.d_ff, "width"),
        Quantity("n_head", found.n_head, "heads"),
        Quantity(
            "shape_params", accounting.non_embedding_params(found), "non-embedding parameters"
        ),
        Quantity("shape_params_total", total, "parameters, embeddings included"),
    ]
    rate = shape.learning_rate(recipe, found)
    told = [f"Learning rate: {NOT_MEASURED}; give the study's recipe."] if rate is None else []
    if rate is not None and math.isnan(rate[0]):
        told.append(f"Learning rate: {rate[1]}.")
    elif rate is not None:
        rows.append(Quantity("lr", rate[0], "peak learning rate of the matrices", note=rate[1]))
    return rows + list(_memory(found, total, question)), told


def _memory(found: Shape, total: float, question: Question) -> Iterator[Quantity]:
    recipe, machine = question.recipe, question.machine
    used = cost.memory(found, total, recipe.vocab_size, recipe.context, machine)
    among = f"weights, gradients and AdamW, shared by {machine.gpus}"
    yield Quantity("memory_states", used.states, "bytes/GPU", note=among)
    one = f"one sequence of {recipe.context} tokens, nothing computed twice"
    yield Quantity("memory_activations", used.activations, "bytes/GPU", note=one)
    if machine.memory is not None:
        note = "activations alone are too large: compute them again or split the layers"
        fits = "" if math.isfinite(used.least_gpus) else note
        yield Quantity("least_gpus", used.least_gpus, "GPUs that can hold it", note=fits)


def batch_quantities(
    evidence: Evidence, question: Question, run: Run, loss: float
) -> tuple[list[Quantity], list[str]]:
    """Tokens per step and steps: as given, from a fitted critical batch, or by the study's rule."""
    critical = critical_batch(evidence, np.array([loss]))
    rows = []
    if critical is not None:
        note = "steps and tokens each twice their least (Kaplan et al. 2020, eq. 5.1)"
        rows.append(Quantity("critical_batch_tokens", float(critical[0]), "tokens/step", note=note))
    if question.batch_tokens is not None:
        batch, why = question.batch_tokens, "as given"
    elif critical is not None:
        batch, why = float(critical[0]), f"the fit of {CRITICAL_BATCH} at the planned loss"
    elif (rule := shape.batch_tokens(question.recipe, run.params)) is not None:
        batch, why = rule
    else:
        return rows, [f"Batch: {NOT_MEASURED}; fit {CRITICAL_BATCH} or give --batch-tokens."]
    rows.append(Quantity("batch_tokens", batch, "tokens/step", note=why))
    rows.append(Quantity("steps", math.ceil(run.tokens / batch), "optimizer steps"))
    return rows, []


def critical_batch(evidence: Evidence, loss: Floats) -> Floats | None:
    """Tokens per step of the fitted critical batch at losses (n,); None where it is not fitted."""
    fit = evidence.others.get(CRITICAL_BATCH)
    return None if fit is None else fit.predict(loss=loss)


def cost_quantities(machine: Machine, run: Run) -> list[Quantity]:
    """PF-days, GPU-hours, days and money of the training."""
    flops = 6.0 * run.params * run.tokens
    rows = [Quantity("pf_days", flops / PF_DAY, "PF-days")]
    bill = cost.bill(flops, machine)
    if math.isfinite(bill.gpu_hours):
        rows.append(Quantity("gpu_hours", bill.gpu_hours, "GPU-hours"))
        rows.append(Quantity("days", bill.days, f"days, GPUs: {machine.gpus}"))
    if math.isfinite(bill.money):
        rows.append(Quantity("money", bill.money, "in the currency of the price"))
    return rows


def what_if(evidence: Evidence, question: Question, run: Run) -> list[Quantity]:
    """Doublings, wrong sizes, a tenfold budget and the tokens against overfitting."""
    law, values, fixed = evidence.law, evidence.values, question.limits.fixed
    n, d = run.params, run.tokens
    gains = calculators.gains(law, values, n, d, fixed)
    rows = [
        Quantity.of("gain_2x_params", evidence.estimate(100 * gains.params), "% of the loss"),
        Quantity.of("gain_2x_tokens", evidence.estimate(100 * gains.tokens), "% of the loss"),
    ]
    for factor in SIZES:
        price = calculators.price_of_size(law, values, n, d, factor, fixed)
        note = "compute for the same loss" if price[0] < math.inf else "never reaches the loss"
        told = evidence.estimate(price)
        rows.append(Quantity.of(f"price_{factor:g}x_params", told, "times the compute", note=note))
    rows += steps_law(evidence, run)
    rows += _larger(evidence, question, run)
    needed = calculators.tokens_against_overfitting(law, values, n, PENALTY, fixed)
    note = f"for at most {PENALTY:.0%} above the loss of unlimited data"
    note += "" if needed[0] < math.inf else ": no number of passes over the distinct ones"
    rows.append(
        Quantity.of("tokens_against_overfitting", evidence.estimate(needed), "tokens", note=note)
    )
    return rows


def steps_law(evidence: Evidence, run: Run) -> Iterator[Quantity]:
    """What L(N, S) says of wrong sizes (eq. B.16), and the step overfitting sets (eq. 5.7).

    The paper's own constants stand in for B.16 where a study has no fit of L(N, S).
    """
    fit, data = evidence.others.get("kaplan_steps"), _fit_of(evidence, "kaplan")
    law = kaplan2020.PAPER.steps if fit is None else kaplan2020.StepsLaw(**fit.values)
    whose = "the constants of Kaplan et al. 2020" if fit is None else "the fit of kaplan_steps"
    for factor in SIZES:
        price = float(kaplan2020.excess_of_size(law, factor).flops)
        note = f"eq. B.16 with {whose}"
        yield Quantity(f"price_{factor:g}x_by_steps", price, "times the compute", note=note)
    if fit is not None and data is not None:
        bound = kaplan2020.earliest_stop(
            law, kaplan2020.DataLaw(**data.values), run.params, run.tokens
        )
        note = "no earlier does overfitting ask to stop (eq. 5.7)"
        yield Quantity("earliest_stop", float(bound), "optimizer steps", note=note)


def _fit_of(evidence: Evidence, name: str) -> SavedFit | None:
    """The study's fit of a law, be it the one planned with or another."""
    return evidence.fit if evidence.law.name == name else evidence.others.get(name)


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
    before = float(calculators.loss_at(law, values, run.params, run.tokens, fixed)[0])
    batches = critical_batch(evidence, np.array([before, before * float(split.loss[0])]))
    if batches is not None:
        growth = float(batches[1] / batches[0])
        yield Quantity("fold_batch", growth, "times the critical batch", note=note)
        yield Quantity("fold_steps", float(split.tokens[0]) / growth, "times the steps", note=note)


def trust(evidence: Evidence, question: Question, run: Run) -> Iterator[str]:
    """How far the plan lies from the runs, and what its intervals hold."""
    far, reach = run.extrapolation, question.reach
    for name in sorted(set(question.limits.fixed) - set(evidence.law.inputs)):
        takers = ", ".join(key for key in SURFACES if name in LAWS[key].inputs)
        yield (
            f"{evidence.law.name} does not take {name.replace('_', ' ')}: to it all tokens are "
            f"fresh. Cap them with --max-tokens, or plan with a fit of {takers}."
        )
    if far <= 1:
        yield "Within the range of the runs."
        return
    name = max(run.factors, key=lambda key: run.factors[key])
    what = {"params": "parameters", "tokens": "tokens", "flops": "compute"}[name]
    yield f"Extrapolated {far:.3g} times beyond the runs, in {what}."
    if evidence.rate is not None:
        yield (
            f"The interval of the loss holds the error of the form that the backtest showed: "
            f"{100 * evidence.rate * math.log(far):.2g} % at this distance."
        )
    if far <= reach.supported:
        return
    beyond = f"Beyond {reach.supported:g} times"
    if evidence.rivals:
        rivals = ", ".join(evidence.rivals)
        yield f"{beyond}, intervals also take in what the other laws say ({rivals})."
    elif evidence.rate is not None:
        yield (
            f"{beyond}, no other law predicts well enough to hold N and D against: their intervals "
            "are this law's own."
        )
    else:
        yield f"{beyond}, one law alone gives no interval: fit a second law or give --backtest."
