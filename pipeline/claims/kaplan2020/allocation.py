"""How to spend compute: sections 6.1 to 6.3, appendix B, table 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pipeline.claims.claim import Claim, Evidence, Measured
from pipeline.claims.fits import algebra
from pipeline.claims.kaplan2020.frontier import BATCH, at_pf_day, exponent, naive, trusted
from pipeline.claims.rules import Near, Within
from pipeline.findings.kaplan2020.envelopes import Line
from pipeline.kaplan2020 import (
    PAPER,
    PF_DAY,
    Crossing,
    Number,
    Power,
    StepsLaw,
    Trend,
    crossing,
    excess_of_size,
    growth,
)
from pipeline.kaplan2020.fits import best
from pipeline.laws.base import Floats

STEPS = ("sizes", "kaplan_steps")
COMPUTE, TOKENS = ("sizes", "power_compute_min"), ("data", "power_tokens")
SMALL, LARGE = 0.6, 2.2  # times the best size
BY_LAW = growth(PAPER.steps, PAPER.batch)  # what the paper's own constants give


def contradiction(name: str) -> Callable[[Evidence], Measured]:
    """One number of where L(C_min) falls below L(D(C_min)), D = 2 C_min / 6 N(C_min).

    N is that of the frontier, whose line is drawn from the covariance that leaving out sizes gives.
    """

    def measure(evidence: Evidence) -> Measured:
        found, doubt = trusted(evidence, BATCH, COMPUTE, TOKENS)
        if found is None:
            return Measured(np.nan, None, None, evidence.level, 0, doubt=doubt)
        line = found.params
        fits = [evidence[experiment].fits[law].saved for experiment, law in (COMPUTE, TOKENS)]
        count = min(len(next(iter(fit.replicates.values()), [])) for fit in fits)
        drawn = _drawn_lines(evidence, line, count)

        def at(compute: Power, tokens: Power) -> Crossing:
            one = np.ndim(compute.scale) == 0  # the best estimate, or replicates
            level, slope = (line.levels[0], line.slopes[0]) if one else drawn
            return crossed(compute, tokens, _trend(level, slope, line.centre))

        told = algebra(lambda *laws: getattr(at(*laws), name), COMPUTE, TOKENS)(evidence)
        if not np.isfinite(told.value):
            doubt = doubt or (
                "the loss falls no faster with compute than with its data: the lines part"
            )
        with np.errstate(all="ignore"):
            beyond = float(at(*map(best, fits)).flops) * PF_DAY / found.largest
        return replace(told, beyond=beyond, doubt=doubt)

    return measure


def _drawn_lines(evidence: Evidence, line: Line, count: int) -> tuple[Floats, Floats]:
    """Levels and slopes (count,) of the line, normal with the jackknife's covariance."""
    both = np.stack([line.levels, line.slopes])
    left_out = both[:, 1:]
    away = left_out - left_out.mean(1, keepdims=True)
    spread = (left_out.shape[1] - 1) / left_out.shape[1] * away @ away.T
    if not np.isfinite(spread).all():
        spread = np.zeros((2, 2))  # the claim is doubted for it
    rng = np.random.default_rng(evidence.seed)
    levels, slopes = rng.multivariate_normal(both[:, 0], spread, count, method="eigh").T
    return levels, slopes


def wrong_size(steps: StepsLaw) -> Number:
    """More compute, in per cent, at the worse of the two sizes (eq. B.16)."""
    small, large = (excess_of_size(steps, factor).flops for factor in (SMALL, LARGE))
    return 100 * (np.maximum(small, large) - 1)


def _trend(level: Number, slope: Number, centre: float) -> Trend:
    """A line along the envelope as N(C_min) from a PF-day on."""
    return Trend(np.exp(level + slope * (np.log(PF_DAY) - centre)), slope)


def crossed(compute: Power, tokens: Power, params: Trend) -> Crossing:
    """Where the lines cross, C in PF-days; infinite where they part (eq. 6.6 to 6.8)."""
    data = Trend(PF_DAY / (3 * params.factor), 1 - params.exponent)
    at = crossing(compute, tokens, data, params)
    ahead = np.asarray(compute.exponent) > np.asarray(tokens.exponent * data.exponent)
    at = at._replace(flops=at.flops / PF_DAY)
    return Crossing(*(np.where(ahead, number, np.inf) for number in at))


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


def _of_pf_day(
    key: str, has: str, what: str, unit: str, paper: float, amount: Callable[..., Number]
) -> Claim:
    """A coefficient of table 6; ``amount`` takes N and S_min of the best run."""
    return Claim(
        key, f"The best run of one PF-day has {has}.", "figure 14, table 6",
        f"{what} of the best run of a PF-day, along the envelope", ENVELOPE, at_pf_day(amount),
        Within(), unit, paper=paper,
    )  # fmt: skip


def _of_crossing(key: str, what: str, unit: str, paper: float, name: str) -> Claim:
    """Another number of section 6.3 than its compute."""
    return Claim(
        key, f"The compute frontier outruns its data at {what} of about {paper:.2g} {unit}.",
        "section 6.3, eq. 6.8, figure 15", f"{what} where L(C_min) meets L(D(C_min))",
        CONTRADICTED, contradiction(name), Near() if name == "loss" else Within(), unit,
        paper=paper,
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
           exponent(lambda size, _: size)),
    _claim("batch_along", "the batch size B grows", SEEN, 0.24, 0.24, ENVELOPE,
           exponent(lambda size, steps: 1 - size - steps)),
    _claim("steps_along", "the steps S_min grow", SEEN, 0.03, 0.03, ENVELOPE,
           exponent(lambda _, steps: steps)),
    _claim("tokens_along", "the tokens D = B S grow", SEEN, 0.27, 0.26, ENVELOPE,
           exponent(lambda size, _: 1 - size)),
    _of_pf_day("params_at_pf_day", "1.3e9 parameters", "size N", "parameters", 1.3e9,
               lambda size, _: size),
    _of_pf_day("batch_at_pf_day", "batches of 2e6 tokens", "batch size B", "tokens", 2.0e6,
               lambda size, steps: PF_DAY / (6 * size * steps)),
    _of_pf_day("steps_at_pf_day", "5.4e3 steps S_min", "steps S_min", "steps", 5.4e3,
               lambda _, steps: steps),
    _of_pf_day("tokens_at_pf_day", "2e10 tokens", "tokens D = 2 C_min / 6 N", "tokens", 2e10,
               lambda size, _: 2 * PF_DAY / (6 * size)),
    Claim(
        "params_naive", "At a fixed batch size, the best size N grows faster with the compute.",
        "figure 14", "exponent of the best size N, along the envelope of C at a fixed batch size",
        {"sizes": ()}, naive, Near(), paper=0.88,
    ),
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
        "compute at which L(C_min) meets L(D(C_min))", CONTRADICTED, contradiction("flops"),
        Within(), "PF-days", paper=1e4,
    ),
    _of_crossing("contradiction_params", "a size N", "parameters", 1e12, "params"),
    _of_crossing("contradiction_tokens", "a dataset D", "tokens", 1e12, "tokens"),
    _of_crossing("contradiction_loss", "a loss L", "nats/token", 1.7, "loss"),
)  # fmt: skip
