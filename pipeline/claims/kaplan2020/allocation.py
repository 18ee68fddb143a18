"""How to spend compute: sections 6.1 to 6.3, appendix B, table 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pipeline.approaches.allocation import Allocation, Options
from pipeline.approaches.envelope import Curve, envelope
from pipeline.approaches.exponents import Exponent
from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.fits import algebra, best, doubted, drawn
from pipeline.claims.rules import Near, Within
from pipeline.claims.runs import Course, courses
from pipeline.claims.samples import around, span
from pipeline.kaplan2020 import (
    PAPER,
    PF_DAY,
    Number,
    Power,
    StepsLaw,
    Trend,
    crossing,
    excess_of_size,
    growth,
)
from pipeline.laws.base import Floats, Status

STEPS, BATCH = ("sizes", "kaplan_steps"), ("batches", "critical_batch")
COMPUTE, TOKENS = ("sizes", "power_compute_min"), ("data", "power_tokens")
SMALL, LARGE = 0.6, 2.2  # times the best size
BY_LAW = growth(PAPER.steps, PAPER.batch)  # what the paper's own constants give
Shares = Callable[[Number, Number], Number]


def frontier(evidence: Evidence) -> tuple[Allocation, list[Course], float]:
    """The best sizes along C_min, S_min in the place of tokens; the courses; the largest C_min."""
    law = best(evidence["batches"].fits["critical_batch"])
    found = courses(evidence["sizes"])
    curves = [
        Curve(c.params, c.least_flops(law), c.fewest_steps(law), c.loss)
        for c in found if (np.diff(c.least_flops(law)) > 0).all()
    ]  # fmt: skip
    if not curves:
        raise UnmeasuredError("no curve of a size has a C_min at each of its points")
    options = Options(evidence.bootstraps, evidence.level, evidence.seed)
    return envelope(curves, options), found, max(float(c.flops[-1]) for c in curves)


def along_frontier(shares: Shares) -> Callable[[Evidence], Measured]:
    """An exponent in C_min, from those of N and S_min along the envelope; sizes are resampled."""

    def measure(evidence: Evidence) -> Measured:
        if doubt := doubted(evidence, BATCH):
            return Measured(np.nan, None, None, evidence.level, 0, doubt=doubt)
        split, found, _ = frontier(evidence)
        size, steps = split.exponents
        runs = [course.run for course in found]
        low = high = None
        if size.resampled:
            samples = [one.resampled["sizes"].line.slope for one in (size, steps)]
            low, high = around(np.asarray(shares(*samples)), evidence.level)
        return Measured(
            float(shares(size.value, steps.value)), low, high, evidence.level, len(runs),
            span(runs, "params"), span(runs, "tokens"),
            doubt="" if size.status is Status.CONVERGED else _no_line(size),
        )  # fmt: skip

    return measure


def contradiction(evidence: Evidence) -> Measured:
    """Compute at which L(C_min) falls below L(D(C_min)), D = 2 C_min / 6 N(C_min), in PF-days."""
    if doubt := doubted(evidence, BATCH, COMPUTE, TOKENS):
        return Measured(np.nan, None, None, evidence.level, 0, doubt=doubt)
    split, _, largest = frontier(evidence)
    size = split.exponents[0]
    fits = [evidence[experiment].fits[law] for experiment, law in (COMPUTE, TOKENS)]
    best_trend = _trend(size.level, size.value, size.reference)

    def at_best(compute: Power, tokens: Power) -> Floats:
        return crossed(compute, tokens, best_trend)

    found = algebra(at_best, COMPUTE, TOKENS)(evidence)
    found = replace(found, low=None, high=None, beyond=found.value * PF_DAY / largest)
    if size.status is not Status.CONVERGED:
        return replace(found, doubt=_no_line(size))
    if not np.isfinite(found.value):
        lines = "the loss falls no faster with compute than with its data: the lines part"
        return replace(found, doubt=lines)
    if "sizes" in size.resampled:
        lines_ = size.resampled["sizes"].line
        count = min(
            len(lines_.slope), *(len(next(iter(f.saved.replicates.values()))) for f in fits)
        )
        trends = _trend(lines_.level[:count], lines_.slope[:count], size.reference)
        with np.errstate(all="ignore"):
            samples = crossed(drawn(fits[0], count), drawn(fits[1], count), trends)
        low, high = around(samples, evidence.level)
        found = replace(found, low=low, high=high)
    return found


def wrong_size(steps: StepsLaw) -> Number:
    """More compute, in per cent, at the worse of the two sizes (eq. B.16)."""
    small, large = (excess_of_size(steps, factor).flops for factor in (SMALL, LARGE))
    return 100 * (np.maximum(small, large) - 1)


def _no_line(size: Exponent) -> str:
    return f"the envelope has no line: {size.reason}"


def _trend(level: Number, slope: Number, reference: float) -> Trend:
    """A line of the envelope as N(C_min) from a PF-day on."""
    return Trend(np.exp(level + slope * np.log(PF_DAY / reference)), slope)


def crossed(compute: Power, tokens: Power, params: Trend) -> Floats:
    """Where the lines cross, PF-days; infinite where they part (eq. 6.6 to 6.8)."""
    data = Trend(PF_DAY / (3 * params.factor), 1 - params.exponent)
    at = crossing(compute, tokens, data, params).flops
    ahead = np.asarray(compute.exponent) > np.asarray(tokens.exponent * data.exponent)
    return np.where(ahead, at / PF_DAY, np.inf)


def _claim(
    key: str, what: str, source: str, paper: float, other: float,
    needs: Mapping[str, tuple[str, ...]], measure: Callable[[Evidence], Measured],
) -> Claim:  # fmt: skip
    """An exponent in compute; ``other`` is another value that the paper gives or implies."""
    way = "by the fitted laws" if needs is BOTH else "along the envelope"
    return Claim(
        key, f"With the compute budget, {what} as a power of it.", source,
        f"exponent of {what.partition(' grow')[0]}, {way}", needs, measure, Near(), paper=paper,
        low=round(min(paper, other), 3), high=round(max(paper, other), 3),
    )  # fmt: skip


BOTH = {"sizes": ("kaplan_steps",), "batches": ("critical_batch",)}
ENVELOPE = {"sizes": (), "batches": ("critical_batch",)}
CONTRADICTED = {**BOTH, "sizes": ("power_compute_min",), "data": ("power_tokens",)}
LAW, SEEN = "eq. 1.7 and 1.8", "eq. 6.1, 6.2 and 6.7, figure 14, table 6"


def _by_law(name: str) -> Callable[[Evidence], Measured]:
    return algebra(lambda steps, batch: getattr(growth(steps, batch), name), STEPS, BATCH)


CLAIMS = (
    _claim("params_by_law", "the best size N grows", f"{LAW}; eq. 6.5", 0.71,
           float(BY_LAW.params), BOTH, _by_law("params")),
    _claim("batch_by_law", "the batch size B grows", LAW, 0.24, float(BY_LAW.batch), BOTH,
           _by_law("batch")),
    _claim("steps_by_law", "the steps S_min grow", LAW, 0.03, float(BY_LAW.steps), BOTH,
           _by_law("steps")),
    _claim("tokens_by_law", "the tokens D = B S grow", LAW, 0.27, float(BY_LAW.tokens), BOTH,
           _by_law("tokens")),
    _claim("params_along", "the best size N grows", SEEN, 0.73, 0.73, ENVELOPE,
           along_frontier(lambda size, _: size)),
    _claim("batch_along", "the batch size B grows", SEEN, 0.24, 0.24, ENVELOPE,
           along_frontier(lambda size, steps: 1 - size - steps)),
    _claim("steps_along", "the steps S_min grow", SEEN, 0.03, 0.03, ENVELOPE,
           along_frontier(lambda _, steps: steps)),
    _claim("tokens_along", "the tokens D = B S grow", SEEN, 0.27, 0.26, ENVELOPE,
           along_frontier(lambda size, _: 1 - size)),
    Claim(
        "converged_excess", "Compute-efficient training stops about 10 % above the converged loss.",
        "section 6.2, eq. B.5", "alpha_N / alpha_S: the loss above the converged one",
        {"sizes": ("kaplan_steps",)},
        algebra(lambda steps: 100 * steps.alpha_N / steps.alpha_S, STEPS), Near(), "%", paper=10,
    ),
    Claim(
        "wrong_size", "Models of 0.6 to 2.2 times the best size need at most 20 % more compute.",
        "figure 12, eq. B.16", "more compute at 0.6 or 2.2 times the best size, whichever is more",
        {"sizes": ("kaplan_steps",)},
        algebra(wrong_size, STEPS), Near(), "%", paper=20, low=0, high=20,
    ),
    Claim(
        "fewer_steps", "A model of 2.2 times the best size needs 45 % fewer steps.",
        "figure 12, eq. B.17", "fewer steps at 2.2 times the best size",
        {"sizes": ("kaplan_steps",)},
        algebra(lambda steps: 100 * (1 - excess_of_size(steps, LARGE).steps), STEPS), Near(), "%",
        paper=45,
    ),
    Claim(
        "contradiction", "The compute frontier outruns its data at about 1e4 PF-days, give or take "
        "an order of magnitude.", "section 6.3, eq. 6.8, figure 15",
        "compute at which L(C_min) meets L(D(C_min))", CONTRADICTED, contradiction, Within(),
        "PF-days", paper=1e4,
    ),
)  # fmt: skip
