"""A question about a budget in, a plan out: the best run, its loss, and how far to trust both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.config import positive
from pipeline.laws.base import Floats
from pipeline.laws.prediction import predicted
from pipeline.planning import budget, details, trust
from pipeline.planning.budget import Unit
from pipeline.planning.calculators import Bottleneck, bottleneck
from pipeline.planning.constrained import Best, Limits, cheapest, constrained
from pipeline.planning.evidence import Evidence, surface
from pipeline.planning.records import Plan, Quantity, Question, Run
from pipeline.planning.support import Estimate, Reach, with_form_error, with_rivals

ROUNDING = 1e-6  # relative: a budget spent to this share is spent
HALVINGS = 60  # of log C, for the budget whose best run meets a cap


def answered(evidence: Evidence, question: Question) -> Plan:
    """The plan for a question; its ``refusal`` says why where there is none.

    Raises ValueError where the question is impossible in itself.
    """
    run, refusal = best_run(evidence, question)
    fit = evidence.fit
    if run is None:
        return Plan(question.asked, fit.law.name, fit.points, fit.level, None, refusal=refusal)
    found = (*run_quantities(evidence, question, run), *caps(question))
    loss = next(one for one in found if one.name == "loss")
    spent = _training(evidence, question, run)
    more, told = details.quantities(evidence, question, run, loss.value, spent)
    sentences = (*trust.sentences(evidence, question, run), run.bottleneck.sentence, *told)
    return Plan(
        question.asked, fit.law.name, fit.points, fit.level, run, (*found, *more), sentences
    )


def total_flops(evidence: Evidence, question: Question) -> Floats:
    """What the question may cost in all: FLOP (1 + R,), which differ only for a target loss.

    Raises ValueError where nothing, or something impossible, is asked.
    """
    limits, count = question.limits, len(next(iter(evidence.values.values())))
    if question.unit is Unit.TARGET_LOSS:
        positive(Unit.TARGET_LOSS.option, question.amount)
        return cheapest(evidence.law, evidence.values, question.amount, limits)[0][:, 0]
    if question.unit is not None:
        return np.full(count, budget.flops(question.unit, question.amount, question.machine))
    if math.isfinite(limits.params) and math.isfinite(limits.tokens):
        served = 2.0 * limits.params * limits.inference_tokens
        return np.full(count, 6.0 * limits.params * limits.tokens + served)
    return np.full(count, _filling(evidence, limits))


def _filling(evidence: Evidence, limits: Limits) -> float:
    """The budget whose unlimited optimum has the size, or the tokens, of the one cap there is."""
    name = "params" if math.isfinite(limits.params) else "tokens"
    cap = getattr(limits, name)
    if not math.isfinite(cap):
        raise ValueError(
            "nothing is asked: give --flops, --pf-days, --gpu-hours, --money, --target-loss, or a "
            "cap, --max-params or --max-tokens"
        )
    free = Limits(inference_tokens=limits.inference_tokens, fixed=limits.fixed)
    best = {key: value[:1] for key, value in evidence.values.items()}
    lower, upper = math.log(1e3), math.log(1e45)
    for _ in range(HALVINGS):
        middle = (lower + upper) / 2
        at = constrained(evidence.law, best, np.exp([middle]), free)
        below = not float(getattr(at, name)[0, 0]) >= cap
        lower, upper = (middle, upper) if below else (lower, middle)
    return math.exp(upper)


def best_run(evidence: Evidence, question: Question) -> tuple[Run | None, str | None]:
    """The best run, or why there is none."""
    cost = total_flops(evidence, question)
    if not math.isfinite(cost[0]):
        return None, (
            f"{evidence.law.name} reaches no loss of {question.amount:g} {evidence.loss_unit} "
            "within these limits, whatever is spent: ask for a higher loss or lift a cap"
        )
    usable = np.where(np.isfinite(cost), cost, 1.0)[:, None]  # a NaN answer where infinite
    best = constrained(evidence.law, evidence.values, usable, question.limits)
    n, d = float(best.params[0, 0]), float(best.tokens[0, 0])
    if not math.isfinite(n):
        return None, (
            f"{evidence.law.name} has no best run of one parameter and one token or more for "
            f"{cost[0]:.3g} FLOP within these limits: the budget is too small, a cap too low, or "
            "these runs do not determine the split"
        )
    factors = evidence.support.factors(n, d)
    name, far = max(factors.items(), key=lambda item: item[1])
    if far > question.reach.refused * (1 + ROUNDING):
        what = {"params": f"{n:.3g} parameters", "tokens": f"{d:.3g} tokens"}
        span = getattr(evidence.support, name)
        value = {"params": n, "tokens": d}.get(name, 6 * n * d)
        cure = "train larger runs first (python -m pipeline.next_cells says which)"
        if value < span.low:
            cure = "ask for a larger run, or train smaller ones first"
        return None, (
            f"{what.get(name, f'{6 * n * d:.3g} FLOP')} lie {far:.3g} times beyond the runs behind "
            f"{evidence.law.name} ({span.low:.3g} to {span.high:.3g}), and past "
            f"{question.reach.refused:g} times no interval means anything: {cure}, or raise "
            "--refuse-beyond"
        )
    limit, balanced = _limited(evidence, question, n, d, float(cost[0]))
    return Run(best, np.where(np.isfinite(cost), cost, np.nan), factors, limit, balanced), None


def _limited(
    evidence: Evidence, question: Question, n: float, d: float, cost: float
) -> tuple[Bottleneck, bool]:
    """What holds a run up, and whether it is the best size of its compute, bent by no limit."""
    limits, served = question.limits, question.limits.inference_tokens
    capped = [math.isfinite(limits.params), math.isfinite(limits.tokens)]
    alone = question.unit is None and not all(capped)  # the optimum whose N or D is the cap
    spent = 6.0 * n * d + 2.0 * n * served
    spare = not alone and (question.unit is None or spent < cost * (1 - ROUNDING))
    found = bottleneck(evidence.law, evidence.values, n, d, limits.fixed, spare, served)
    balanced = found is Bottleneck.COMPUTE and not served
    if alone and found is Bottleneck.COMPUTE:
        found = Bottleneck.MODEL_CAP if capped[0] else Bottleneck.DATA_CAP
    return found, balanced


def run_quantities(evidence: Evidence, question: Question, run: Run) -> Iterator[Quantity]:
    """N*, D*, their ratio, the training FLOP and the loss, with the intervals of this distance."""
    level, reach, far = evidence.fit.level, question.reach, run.extrapolation
    rivals = _rival_runs(evidence, question, float(run.cost[0]))
    for name, unit in (("params", "parameters"), ("tokens", "tokens")):
        found = evidence.estimate(getattr(run.best, name)[:, 0])
        others = [getattr(rival, name)[0, 0] for rival in rivals.values()]
        wide = with_rivals(found, far, others, reach)
        yield Quantity.of(name, wide, unit, run.factors[name])
    ratio = evidence.estimate((run.best.tokens / run.best.params)[:, 0])
    ratios = [r.tokens[0, 0] / r.params[0, 0] for r in rivals.values()]
    yield Quantity.of(
        "tokens_per_param", with_rivals(ratio, far, ratios, reach), "tokens/parameter"
    )
    spent = _training(evidence, question, run)
    yield Quantity.of("flops", spent, "FLOP, 6 N D", run.factors["flops"])
    if question.limits.inference_tokens:
        served = 2.0 * question.limits.inference_tokens * run.params
        yield Quantity("inference_flops", served, "FLOP, 2 N per token served")
    loss = loss_of(evidence, run.params, run.tokens, reach, question.limits.fixed)
    yield Quantity.of("loss", loss, evidence.loss_unit, far, f"one more run, {level:.0%}")


def _training(evidence: Evidence, question: Question, run: Run) -> Estimate:
    """The training FLOP; an interval only where they follow from the law.

    For a target loss the error of the form is in it too: it is the compute at which the law reaches
    that loss if it errs by as much as the backtest says.
    """
    spent = evidence.estimate(run.best.flops[:, 0])
    if question.unit is not Unit.TARGET_LOSS:
        return spent if question.limits.inference_tokens else Estimate(spent.value)
    rate, far = evidence.rate, run.extrapolation
    if rate is None or far <= 1 or not spent.known:
        return spent
    goal = with_form_error(
        Estimate(question.amount, question.amount, question.amount), far, rate, evidence.fit.level
    )
    best = {name: value[:1] for name, value in evidence.values.items()}
    ends = [
        cheapest(evidence.law, best, loss, question.limits)[1].flops[0, 0]
        for loss in (goal.high, goal.low)
    ]
    logs = [abs(math.log(end / spent.value)) for end in ends]
    below = math.hypot(math.log(spent.value / spent.low), logs[0])
    above = math.hypot(math.log(spent.high / spent.value), logs[1])
    return Estimate(spent.value, spent.value * math.exp(-below), spent.value * math.exp(above))


def caps(question: Question) -> Iterator[Quantity]:
    """The caps that were asked for."""
    given = {"parameters": question.limits.params, "tokens": question.limits.tokens}
    for (unit, cap), name in zip(given.items(), ("max_params", "max_tokens")):
        if math.isfinite(cap):
            yield Quantity(name, cap, unit, note="as asked")


def loss_of(
    evidence: Evidence, params: float, tokens: float, reach: Reach, fixed: Mapping[str, float]
) -> Estimate:
    """The loss of one more run of N and D, its interval widened by its distance from the runs."""
    inputs = {"params": np.array([params]), "tokens": np.array([tokens])}
    inputs |= {name: np.array([value]) for name, value in fixed.items()}
    fit, far = evidence.fit, max(evidence.support.factors(params, tokens).values())
    one = predicted(
        evidence.law, fit.values, fit.replicates, evidence.residuals, inputs, fit.level,
        factor=fit.widening,
    )  # fmt: skip
    found = Estimate(float(one.value[0]), float(one.low[0]), float(one.high[0]))
    widened = with_form_error(found, far, evidence.rate, fit.level)
    others = [float(other.predict(**inputs)[0]) for other in evidence.rivals.values()]
    return with_rivals(widened, far, others, reach, evidence.rate is not None)


def _rival_runs(evidence: Evidence, question: Question, cost: float) -> dict[str, Best]:
    """What each other law would train for the same question."""
    found = {}
    for name, fit in evidence.rivals.items():
        law, values = surface(fit), {key: np.array([value]) for key, value in fit.values.items()}
        if question.unit is Unit.TARGET_LOSS:
            found[name] = cheapest(law, values, question.amount, question.limits)[1]
        else:
            found[name] = constrained(law, values, np.array([cost]), question.limits)
    return found
