"""A law and a table of runs in, one immutable Fit out: optimum, intervals, statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.laws import ALLOCATION
from pipeline.laws.alternatives import Interval, against, exponent, others
from pipeline.laws.base import Floats, Law, Runs, Status, SurfaceLaw
from pipeline.laws.draws import Bootstrap, Clusters, clusters, drawn
from pipeline.laws.identify import Design, Judgement, design, judged
from pipeline.laws.interval import interval
from pipeline.laws.large import affordable
from pipeline.laws.objective import Objective
from pipeline.laws.profile import ROUNDING as NO_SCATTER
from pipeline.laws.profile import Problem, Profile, profiles, tolerated
from pipeline.laws.quality import Quality, quality
from pipeline.laws.remeasured import Remeasured, refitted
from pipeline.laws.resample import SCOUT_STARTS, replicates
from pipeline.laws.search import STARTS, search
from pipeline.laws.surface import Minima, spread
from pipeline.laws.weights import Weighting, Weights, weights
from pipeline.laws.widening import expanded

ROUNDING = 1e-12  # natural log


@dataclass(frozen=True)
class Options:
    """How a law is fitted; ``profile`` says whether profile likelihoods are worth their time.

    Where seeds are drawn they are made whatever it says, for the seeds' noise alone is no judge of
    a parameter. Large tables get fewer resamples than asked for, and no profile (``large.py``).
    """

    objective: Objective | None = None  # None takes the law's own
    bootstraps: int = 1000
    level: float = 0.9
    seed: int = 0
    starts: int = STARTS
    bootstrap: Bootstrap = Bootstrap.AUTO
    weighting: Weighting = Weighting.EQUAL
    profile: bool = True

    def objective_of(self, law: Law) -> Objective:
        """What a law's fit minimises."""
        return self.objective or law.objective


@dataclass(frozen=True)
class Fit:
    """One fitted law. Losses in nats/token; parameters by name, in the units of the law."""

    law: Law
    options: Options
    runs: Runs  # those the law was fitted to, n of them
    reason: str  # why those
    status: Status
    sentence: str
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    profiles: Mapping[str, Profile | None]
    judgements: Mapping[str, Judgement]
    replicates: Mapping[str, Floats]
    replicates_converged: int
    clusters: Clusters  # what the bootstrap drew
    widening: float  # of the replicates' percentiles, so that they cover options.level
    weights: Weights
    objective: float
    starts_at_best: int
    condition: float
    predicted: Floats  # (n,)
    quality: Quality
    allocation: tuple[float, Interval] | None  # exponent a of N* ~ C^a, where the runs tell it

    @property
    def percentiles(self) -> float:
        """The level whose percentiles of replicates cover ``options.level``."""
        return expanded(self.options.level, self.widening)


def fit(law: Law, runs: Runs, options: Options, remeasured: Remeasured | None = None) -> Fit:
    """Fit a law to the runs it is measured on; runs that allow none give a Fit that says so.

    Its numbers are then NaN. Targets that were ``remeasured`` take the place of resampled runs.
    Raises ValueError where the runs do not allow the bootstrap or the weights asked for.
    """
    selection = law.select(runs)
    chosen = runs.take(selection.mask)
    if without := _impossible(law, chosen, selection.reason):
        return _empty(law, chosen, selection.reason, options, *without)
    rng = np.random.default_rng(options.seed)
    x, y, centre = _centred(law, chosen)
    weighed, objective = weights(options.weighting, chosen, law.target), options.objective_of(law)
    found = search(law, x, y, weighed.value, objective, options.starts, rng)
    best = found.best()
    problem = Problem(law, x, y, weighed.value, found.theta[best], centre, objective)
    log_predicted = law.log_target(problem.theta, x)
    plan = affordable(len(chosen), options.bootstraps)
    again = remeasured.take(chosen.cell) if remeasured else None
    together = (
        again.clusters() if again
        else clusters(options.bootstrap, chosen, y - log_predicted, law.sizes_together)
    )  # fmt: skip
    together = together._replace(reason=" ".join(filter(None, [together.reason, plan.reason])))
    if again:
        repeated = refitted(problem, again.logs[: 0 if together.refused else plan.resamples])
    else:
        repeated = _repeated(problem, together, plan.resamples, rng)
    sample = problem.values(repeated.theta)
    known = design(law, problem.theta, x, centre)._replace(refused=together.refusal)
    widening = together.widening(options.level, len(law.parameters))
    level = expanded(options.level, widening)
    values = {name: float(value) for name, value in problem.values(problem.theta).items()}
    intervals = {
        name: None if name in known.open else _ends(drawn, level) for name, drawn in sample.items()
    }
    asked = plan.profile and (options.profile or together.kind is Bootstrap.SEED)
    asked &= together.trainings is None  # a profile takes all that it is of to be independent
    profiled = _profiled(problem, known, options.level, asked and bool(found.converged[best]))
    allocation = _allocation(problem, known, values, sample, level)
    other = others(problem, found, tolerated(problem, options.level))
    reported = _reported(together, intervals, profiled)
    told = {name: ends for name, ends in reported.items() if name not in known.open}
    doubted = against(problem, other.theta, values, told, allocation)
    if allocation is not None and ALLOCATION in doubted:
        allocation = allocation[0], None
    judgements = _judgements(problem, known, values, reported, profiled, doubted, together)
    status, sentence = _overall(bool(found.converged[best]), known, judgements, doubted)
    return Fit(
        law=law, options=options, runs=chosen, reason=selection.reason,
        status=status, sentence=sentence, values=values, intervals=intervals, profiles=profiled,
        judgements=judgements, replicates=sample,
        replicates_converged=int(repeated.converged.sum()), clusters=together, widening=widening,
        weights=weighed, objective=float(found.objective[best]), starts_at_best=other.at_best,
        condition=known.condition, predicted=np.exp(log_predicted),
        quality=quality(x, y, y - log_predicted), allocation=allocation,
    )  # fmt: skip


def _repeated(problem: Problem, together: Clusters, count: int, rng: np.random.Generator) -> Minima:
    """The law fitted to every resample."""
    law, x, y = problem.law, problem.x, problem.y
    times = drawn(together, x, len(law.parameters), count, rng)
    times *= problem.weights
    scouts = spread(law.start_box(y), SCOUT_STARTS, rng)
    return replicates(law, x, y, times, problem.theta, problem.objective, scouts)


def _profiled(
    problem: Problem, known: Design, level: float, asked: bool
) -> dict[str, Profile | None]:
    names = [p.name for p in problem.law.parameters]
    if not asked:
        return dict.fromkeys(names)
    return {**profiles(problem, level, [n for n in names if n not in known.open])}


def _reported(
    together: Clusters, intervals: Mapping[str, Interval], profiled: Mapping[str, Profile | None]
) -> Mapping[str, Interval]:
    """The intervals that parameters are judged by: seeds' alone hold too little of the noise."""
    if together.kind is not Bootstrap.SEED:
        return intervals
    return {name: None if found is None else found.ends for name, found in profiled.items()}


def _judgements(
    problem: Problem, known: Design, values: Mapping[str, float],
    reported: Mapping[str, Interval], profiled: Mapping[str, Profile | None],
    doubted: Mapping[str, float], together: Clusters,
) -> dict[str, Judgement]:  # fmt: skip
    law, y = problem.law, problem.y
    points = together.trainings or len(y)
    exact = bool(np.abs(y - law.log_target(problem.theta, problem.x)).max() < NO_SCATTER)
    return {
        p.name: judged(p, values[p.name], reported[p.name], profiled[p.name], known,
                       np.exp(y.min()), points, law.target, doubted.get(p.name), exact,
                       "batch sizes" if together.batch_sizes else "runs")
        for p in law.parameters
    }  # fmt: skip


def _ends(sample: Floats, level: float) -> Interval:
    """The interval of a sample (R,); None where the sample gives none."""
    low, high = interval(sample[:, None], level)
    return (float(low[0]), float(high[0])) if np.isfinite(low[0]) else None


def _centred(law: Law, runs: Runs) -> tuple[Floats, Floats, Floats]:
    x = law.log_inputs(runs)
    centre = law.centre(x)
    centred = x - centre[:, None]
    # An input that does not vary is exactly zero, not the rounding of its mean.
    centred = np.where(np.abs(centred) < ROUNDING, 0.0, centred)
    return centred, np.log(runs.column(law.target)), centre


def _overall(
    converged: bool, known: Design, judgements: Mapping[str, Judgement],
    doubted: Mapping[str, float],
) -> tuple[Status, str]:  # fmt: skip
    """The worst status of the search and of the parameters, with the reasons behind it."""
    if not converged:
        return Status.NOT_CONVERGED, Status.NOT_CONVERGED.sentence
    sentences = [*filter(None, (known.tied, known.refused))]
    for name, judgement in judgements.items():
        own = judgement.reason.removesuffix(known.tied).removesuffix(known.refused).strip()
        if own and judgement.status is not Status.CONVERGED:
            sentences.append(f"{name}: {own}")
    status = max((j.status for j in judgements.values()), key=lambda s: s.severity)
    if ALLOCATION in doubted:
        status = max(status, Status.UNIDENTIFIABLE, key=lambda s: s.severity)
        sentences.append(
            f"{ALLOCATION}: Another minimum, which these runs do not reject, has the exponent "
            f"{doubted[ALLOCATION]:.3g}."
        )
    return status, " ".join(sentences) or max((j.reason for j in judgements.values()), key=len)


def _allocation(
    problem: Problem, known: Design, values: Mapping[str, float], sample: Mapping[str, Floats],
    level: float,
) -> tuple[float, Interval] | None:  # fmt: skip
    """None where the law splits no budget, or the runs leave the split to its form alone."""
    if not isinstance(problem.law, SurfaceLaw) or known.tied or ALLOCATION in known.open:
        return None
    point = exponent(problem, {name: np.asarray(v) for name, v in values.items()})
    return float(point), _ends(exponent(problem, sample), level)


def _impossible(law: Law, runs: Runs, reason: str) -> tuple[Status, str] | None:
    """Why runs allow no fit at all, as a status and a sentence."""
    needed = len(law.parameters) + 1
    if len(runs) < needed:
        return Status.TOO_FEW_POINTS, (
            f"{len(runs)} runs are too few: {law.name} has {len(law.parameters)} parameters and "
            f"needs {needed} runs or more. {reason}"
        )
    if np.ptp(np.log(runs.column(law.target))) <= ROUNDING:
        return Status.UNIDENTIFIABLE, (
            f"All runs have one {law.target}, so that they show no effect of any input; add runs "
            f"that differ. {reason}"
        )
    return None


def _empty(
    law: Law, runs: Runs, reason: str, options: Options, status: Status, sentence: str
) -> Fit:
    """The Fit of runs that allow none: every number is NaN, and the status says why."""
    names = [p.name for p in law.parameters]
    return Fit(
        law=law, options=options, runs=runs, reason=reason,
        status=status, sentence=sentence,
        values=dict.fromkeys(names, np.nan), intervals=dict.fromkeys(names),
        profiles=dict.fromkeys(names),
        judgements=dict.fromkeys(names, Judgement(status, sentence)),
        replicates={name: np.empty(0) for name in names}, replicates_converged=0,
        clusters=Clusters(np.arange(len(runs)), Bootstrap.CASES, "Nothing was drawn."),
        widening=1.0, weights=weights(Weighting.EQUAL, runs, law.target),
        objective=np.nan, starts_at_best=0, condition=np.inf,
        predicted=np.full(len(runs), np.nan), quality=Quality(np.nan, np.nan, np.nan),
        allocation=None,
    )  # fmt: skip
