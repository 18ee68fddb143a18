"""A law and a table of runs in, one immutable Fit out: optimum, intervals, statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Law, Runs, Status, SurfaceLaw
from pipeline.laws.draws import Bootstrap, Clusters, clusters, drawn
from pipeline.laws.identify import Design, Judgement, design, judged
from pipeline.laws.interval import interval
from pipeline.laws.objective import Objective
from pipeline.laws.profile import Problem, Profile, profiles
from pipeline.laws.resample import SCOUT_STARTS, replicates
from pipeline.laws.search import STARTS, search
from pipeline.laws.surface import Minima, spread
from pipeline.laws.weights import Weighting, Weights, weights
from pipeline.laws.widening import expanded

ROUNDING = 1e-12  # natural log
SAME_BEST = 1e-8  # relative: objectives this close are one minimum

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Options:
    """How a law is fitted; ``profile`` says whether profile likelihoods are worth their time."""

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


class Quality(NamedTuple):
    """How well a fit describes its own runs, in log loss; NaN where it is not defined.

    ``r2`` is the share of the variance that the fit explains. ``r2_line``, for laws of one input,
    is that of the best straight line in logarithms, the squared correlation.
    """

    r2: float
    r2_line: float
    rmse: float


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
    allocation: tuple[float, Interval] | None  # exponent a of N* ~ C^a

    @property
    def percentiles(self) -> float:
        """The level whose percentiles of replicates cover ``options.level``."""
        return expanded(self.options.level, self.widening)


def fit(law: Law, runs: Runs, options: Options) -> Fit:
    """Fit a law to the runs it is measured on; too few runs give a Fit that says so, with NaN.

    Raises ValueError where the runs do not allow the bootstrap or the weights asked for.
    """
    selection = law.select(runs)
    chosen = runs.take(selection.mask)
    if len(chosen) <= len(law.parameters):
        return _empty(law, chosen, selection.reason, options)
    rng = np.random.default_rng(options.seed)
    x, y, centre = _centred(law, chosen)
    weighed, objective = weights(options.weighting, chosen, law.target), options.objective_of(law)
    found = search(law, x, y, weighed.value, objective, options.starts, rng)
    best = found.best()
    problem = Problem(law, x, y, weighed.value, found.theta[best], centre, objective)
    log_predicted = law.log_target(problem.theta, x)
    together = clusters(options.bootstrap, chosen, y - log_predicted)
    repeated = _repeated(problem, together, options, rng)
    sample = law.values(law.shifted(repeated.theta, centre))
    known = design(law, problem.theta, x, centre)
    widening = together.widening(options.level, len(law.parameters))
    level = expanded(options.level, widening)
    values = _named(law, problem.theta, centre)
    intervals = {
        name: None if name in known.open else _ends(drawn, level) for name, drawn in sample.items()
    }
    profiled = _profiled(problem, known, options)
    judgements = {
        p.name: judged(p, values[p.name], intervals[p.name], profiled[p.name], known,
                       np.exp(y.min()), len(chosen), law.target)
        for p in law.parameters
    }  # fmt: skip
    status, sentence = _overall(found, best, judgements)
    lowest = found.objective[best]
    return Fit(
        law=law, options=options, runs=chosen, reason=selection.reason,
        status=status, sentence=sentence, values=values, intervals=intervals, profiles=profiled,
        judgements=judgements, replicates=sample,
        replicates_converged=int(repeated.converged.sum()), clusters=together, widening=widening,
        weights=weighed, objective=float(lowest),
        starts_at_best=int((found.objective <= lowest * (1 + SAME_BEST)).sum()),
        condition=known.condition, predicted=np.exp(log_predicted),
        quality=_quality(x, y, y - log_predicted),
        allocation=_allocation(law, values, sample, chosen, level),
    )  # fmt: skip


def _repeated(
    problem: Problem, together: Clusters, options: Options, rng: np.random.Generator
) -> Minima:
    """The law fitted to every resample."""
    law, x, y = problem.law, problem.x, problem.y
    times = drawn(together, x, len(law.parameters), options.bootstraps, rng)
    scouts = spread(law.start_box(y), SCOUT_STARTS, rng)
    return replicates(law, x, y, times * problem.weights, problem.theta, problem.objective, scouts)


def _profiled(problem: Problem, known: Design, options: Options) -> dict[str, Profile | None]:
    names = [p.name for p in problem.law.parameters]
    if not options.profile:
        return dict.fromkeys(names)
    return {**profiles(problem, options.level, [n for n in names if n not in known.open])}


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


def _quality(x: Floats, y: Floats, residual: Floats) -> Quality:
    varied = np.ptp(y) > 0
    straight = varied and len(x) == 1 and np.ptp(x) > 0
    return Quality(
        float(1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()) if varied else np.nan,
        float(np.corrcoef(x[0], y)[0, 1] ** 2) if straight else np.nan,
        float(np.sqrt((residual**2).mean())),
    )


def _named(law: Law, theta: Floats, centre: Floats) -> dict[str, float]:
    return {name: float(v) for name, v in law.values(law.shifted(theta, centre)).items()}


def _overall(found: Minima, best: int, judgements: Mapping[str, Judgement]) -> tuple[Status, str]:
    """The worst status of the search and of the parameters, with the reasons behind it."""
    if not found.converged[best]:
        return Status.NOT_CONVERGED, Status.NOT_CONVERGED.sentence
    status = max((j.status for j in judgements.values()), key=lambda s: s.severity)
    if status is Status.CONVERGED:
        return status, max((j.reason for j in judgements.values()), key=len)
    doubts = {n: j for n, j in judgements.items() if j.status is not Status.CONVERGED}
    return status, " ".join(f"{name}: {j.reason}" for name, j in doubts.items())


def _allocation(
    law: Law, values: Mapping[str, float], drawn: Mapping[str, Floats], runs: Runs, level: float
) -> tuple[float, Interval] | None:
    """At the largest fitted budget, where the exponent is not the same at all."""
    if not isinstance(law, SurfaceLaw):
        return None
    flops = np.asarray((6 * runs.params * runs.tokens).max())
    with np.errstate(divide="ignore", invalid="ignore"):
        point = float(law.allocation({name: np.asarray(v) for name, v in values.items()}, flops))
        return point, _ends(law.allocation(drawn, flops), level)


def _empty(law: Law, runs: Runs, reason: str, options: Options) -> Fit:
    """The Fit of too few runs: every number is NaN, and the status says why."""
    needed = len(law.parameters) + 1
    sentence = (
        f"{len(runs)} runs are too few: {law.name} has {len(law.parameters)} parameters and needs "
        f"{needed} runs or more. {reason}"
    )
    names = [p.name for p in law.parameters]
    return Fit(
        law=law, options=options, runs=runs, reason=reason,
        status=Status.TOO_FEW_POINTS, sentence=sentence,
        values=dict.fromkeys(names, np.nan), intervals=dict.fromkeys(names),
        profiles=dict.fromkeys(names),
        judgements=dict.fromkeys(names, Judgement(Status.TOO_FEW_POINTS, sentence)),
        replicates={name: np.empty(0) for name in names}, replicates_converged=0,
        clusters=Clusters(np.arange(len(runs)), Bootstrap.CASES, "Nothing was drawn."),
        widening=1.0, weights=weights(Weighting.EQUAL, runs, law.target),
        objective=np.nan, starts_at_best=0, condition=np.inf,
        predicted=np.full(len(runs), np.nan), quality=Quality(np.nan, np.nan, np.nan),
        allocation=None,
    )  # fmt: skip
