"""What follows from a planned N and D: shape, memory, learning rate, batch and cost."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pipeline import accounting
from pipeline.accounting import PF_DAY, Shape
from pipeline.planning import cost, shape, what_if
from pipeline.planning.budget import HOUR, Unit
from pipeline.planning.evidence import Evidence
from pipeline.planning.records import Quantity, Question, Run
from pipeline.planning.support import Estimate

NOT_MEASURED = "not measured"
# Laws of settings, the first that is fitted counts; the batch's after ``what_if.CRITICAL_BATCH``.
LR_LAWS = ("step_law_lr", "deepseek_lr", "kaplan_lr")


def quantities(
    evidence: Evidence, question: Question, run: Run, loss: float, spent: Estimate
) -> tuple[list[Quantity], list[str]]:
    """All that follows from a run of ``spent`` training FLOP, and sentences on what could not be
    told."""
    found, told = shape_quantities(evidence, question, run)
    for rows, sentences in (
        rate_quantities(evidence, question, run),
        batch_quantities(evidence, question, run, loss),
    ):
        found += rows
        told += sentences
    found += cost_quantities(question, run, spent)
    found += what_if.quantities(evidence, question, run)
    return found, told


def planned_shape(evidence: Evidence, question: Question, run: Run) -> Shape | None:
    """A transformer of the planned size; None where no shape has it."""
    return shape.planned(run.params, question.recipe, evidence.counted)


def shape_quantities(
    evidence: Evidence, question: Question, run: Run
) -> tuple[list[Quantity], list[str]]:
    """A model of the planned size and its memory."""
    recipe = question.recipe
    found = planned_shape(evidence, question, run)
    if found is None:
        return [], [
            f"No {recipe.family} of at most {recipe.max_layers} layers has {run.params:.3g} "
            f"parameters within 1 % at a width of about {recipe.aspect:g} per layer: change aspect "
            "or max_layers of the recipe (--recipe, --study)."
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
    memory, told = _memory(found, total, question, run)
    return rows + memory, told


def _memory(
    found: Shape, total: float, question: Question, run: Run
) -> tuple[list[Quantity], list[str]]:
    recipe, machine = question.recipe, question.machine
    used = cost.memory(found, total, recipe.vocab_size, recipe.context, machine)
    among = f"weights, gradients and AdamW, shared by {machine.gpus}"
    one = f"one sequence of {recipe.context} tokens, nothing computed twice"
    rows = [
        Quantity("memory_states", used.states, "bytes/GPU", note=among),
        Quantity("memory_activations", used.activations, "bytes/GPU", note=one),
    ]
    if machine.memory is None:
        return rows, []
    rows.append(Quantity("least_gpus", used.least_gpus, "GPUs that can hold it"))
    if used.total <= machine.memory:
        return rows, []
    lacks = (
        f"{used.total / 1e9:,.3g} GB of states and activations do not fit into the "
        f"{machine.memory / 1e9:,.3g} GB of a GPU with {machine.gpus}"
    )
    if not math.isfinite(used.least_gpus):
        return rows, [f"{lacks}: activations alone are too large; compute them again, or split "
                      "the layers."]  # fmt: skip
    hours = cost.bill(6.0 * run.params * run.tokens, machine).gpu_hours
    days = hours / used.least_gpus / 24.0
    lasting = f", which would train for {days:,.3g} days" if math.isfinite(days) else ""
    return rows, [f"{lacks}: take {used.least_gpus:.0f} GPUs or more{lasting} (--gpus)."]


def rate_quantities(
    evidence: Evidence, question: Question, run: Run
) -> tuple[list[Quantity], list[str]]:
    """The peak learning rate, from a fitted law of it or by the study's rule."""
    unit = "peak learning rate of the matrices"
    for name in LR_LAWS:
        if name in evidence.others:
            found = what_if.setting(evidence, name, run)
            return [Quantity.of("lr", found, unit, note=f"the fit of {name}")], []
    found_shape = planned_shape(evidence, question, run)
    rate = found_shape and shape.learning_rate(question.recipe, found_shape)
    if not rate:
        return [], [
            f"Learning rate: {NOT_MEASURED}; fit {' or '.join(LR_LAWS)}, or give the study's "
            "recipe."
        ]
    if math.isnan(rate[0]):
        return [], [f"Learning rate: {rate[1]}."]
    return [Quantity("lr", rate[0], unit, note=rate[1])], []


def batch_quantities(
    evidence: Evidence, question: Question, run: Run, loss: float
) -> tuple[list[Quantity], list[str]]:
    """Tokens per step and steps: as given, by a fitted law of the batch, or by the study's rule."""
    rows = []
    if what_if.CRITICAL_BATCH in evidence.others:
        critical = evidence.at(what_if.CRITICAL_BATCH, loss=np.array([loss]))
        note = "steps and tokens each twice their least (Kaplan et al. 2020, eq. 5.1)"
        rows.append(Quantity.of("critical_batch_tokens", critical, "tokens/step", note=note))
    name = what_if.batch_law(evidence)
    if question.batch_tokens is not None:
        batch, why = Estimate(question.batch_tokens), "as given"
    elif name is not None:
        inputs = what_if.inputs_of(run.params, run.tokens, loss)
        batch, why = evidence.at(name, **inputs), f"the fit of {name}"
    elif (rule := shape.batch_tokens(question.recipe, run.params)) is not None:
        batch, why = Estimate(rule[0]), rule[1]
    else:
        fits = " or ".join((what_if.CRITICAL_BATCH, *what_if.BATCH_LAWS))
        return rows, [f"Batch: {NOT_MEASURED}; fit {fits}, or give --batch-tokens."]
    rows.append(Quantity.of("batch_tokens", batch, "tokens/step", note=why))
    steps = evidence.estimate(run.best.tokens[:, 0]).over(batch)
    whole = Estimate(math.ceil(steps.value), steps.low, steps.high)
    rows.append(Quantity.of("steps", whole, "optimizer steps"))
    return rows, []


def cost_quantities(question: Question, run: Run, spent: Estimate) -> Iterator[Quantity]:
    """PF-days, GPU-hours, days and money of the training, and of the tokens served later."""
    machine, served = question.machine, question.limits.inference_tokens
    asked = question.unit is Unit.TARGET_LOSS or served > 0
    flops = spent if asked else Estimate(spent.value)  # what was asked for has no doubt
    yield Quantity.of("pf_days", flops.times(1 / PF_DAY), "PF-days")
    if machine.speed is None:
        return
    of = "training" if served else ""
    per_hour = 1 / machine.speed / HOUR
    hours = flops.times(per_hour)
    yield Quantity.of("gpu_hours", hours, "GPU-hours", note=of)
    yield Quantity.of(
        "days", hours.times(1 / machine.gpus / 24.0), f"days, GPUs: {machine.gpus}", note=of
    )
    later = 2.0 * served * run.params * per_hour
    note = "2 N FLOP per token served, at the speed of training"
    if served:
        yield Quantity("inference_gpu_hours", later, "GPU-hours", note=note)
    if machine.price is None:
        return
    currency = "in the currency of the price"
    yield Quantity.of("money", hours.times(machine.price), currency, note=of)
    if served:
        yield Quantity("inference_money", later * machine.price, currency, note=note)
        whole = (hours.value + later) * machine.price
        yield Quantity("total_money", whole, currency, note="training and inference")
