"""Sample efficiency, seeds and learning-rate schedules: figures 2 and 19, appendix D.6."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.rules import FARTHEST, ROUGHLY, AtLeast, AtMost, Within, said
from pipeline.claims.runs import by, counted, courses
from pipeline.claims.samples import over_groups, over_seeds, share, span
from pipeline.findings.data import Row
from pipeline.findings.kaplan2020.along import Course, reached

PAPER_SIZES = 1e6  # times between the least and the largest model of figure 19
TARGETS = 8  # losses
MOSTLY = 0.9  # of the neighbouring sizes: the order of sizes, up to noise
DECAYING = ("wsd", "cosine", "linear", "polynomial", "exponential")
VANISHING = 0.1  # of the peak: the paper asks for a decay to near nothing
SUMMED = 1 / 3  # of the median sum of rates: the paper asks for a sum that is large enough
SCHEDULE = ("schedule", "warmup_steps", "lr", "schedule_power", "final_lr")


def tokens_to(found: list[Course], target: float) -> np.ndarray:
    """Tokens that each course took to a loss; NaN where it never met it."""
    return np.array([reached(course.tokens, course.loss, target) for course in found])


def monotone(evidence: Evidence) -> Measured:
    """Share of neighbouring sizes of which the larger needs fewer tokens to the same loss.

    In the mean over losses that both meet, from that which the smallest model ends at down. Pairs
    count as independent, although neighbours have a size in common.
    """
    found = courses(evidence["sizes"])
    last = [float(course.loss.min()) for course in found]
    if len(found) < 3 or min(last) >= last[0]:
        raise UnmeasuredError("no larger size reaches a lower loss than the smallest")
    levels = np.geomspace(last[0], float(np.sort(last)[1]), TARGETS)
    taken = np.log([tokens_to(found, level) for level in levels])
    fewer = np.diff(taken, axis=1)
    pairs = np.flatnonzero(np.isfinite(fewer).any(0))
    if not len(pairs):
        raise UnmeasuredError("no two neighbouring sizes reach the same low loss")
    runs = [found[pair + 1].run for pair in pairs]
    ordered = (np.nanmean(fewer[:, pairs], axis=0) < 0).tolist()
    return share(evidence, ordered, runs, MOSTLY)


def efficiency(evidence: Evidence) -> Measured:
    """Tokens of the smallest model to its last loss over the fewest of any larger model.

    The interval is the jackknife's over the larger sizes, so that it tells how much hangs on one of
    them: in resamples the fewest tokens of all could only become more.
    """
    found = courses(evidence["sizes"])
    taken = tokens_to(found, float(found[0].loss.min()))
    if len(found) < 2:
        raise UnmeasuredError("one size has a curve")
    sizes = found[-1].params / found[0].params
    told = f"these sizes span a factor of {said(sizes)}, and those of figure 19 about a million"
    doubt = told if PAPER_SIZES / sizes > FARTHEST else ""
    larger = [course.run for course in found[1:]]

    def ratio(index: NDArray[np.intp]) -> float:
        met = taken[1:][index]
        met = met[np.isfinite(met)]
        return float(taken[0] / met.min()) if len(met) else np.nan

    measured = over_groups(evidence, ratio, larger, "params")
    return replace(measured, doubt=doubt)


def seeds(evidence: Evidence) -> Measured:
    """Standard deviation over seeds of the largest size over that of the smallest.

    The interval is that of Fisher's F for losses that scatter normally.
    """
    groups = [
        own for own in by(counted(evidence["seeds"]), "params", "tokens").values() if len(own) > 1
    ]
    if len(groups) < 2:
        raise UnmeasuredError("fewer than two sizes have several seeds")
    small, large = groups[0], groups[-1]
    deviations = [np.std([run["loss"] for run in own], ddof=1) for own in (small, large)]
    ratio = float(deviations[1] / deviations[0]) if deviations[0] > 0 else np.nan
    outside = (1 - evidence.level) / 2
    freedom = (len(large) - 1, len(small) - 1)
    low, high = (ratio / np.sqrt(scipy.special.fdtri(*freedom, p)) for p in (1 - outside, outside))
    runs = [run for own in groups for run in own]
    return Measured(
        ratio, float(low), float(high), evidence.level, len(runs), span(runs, "params"),
        span(runs, "tokens"),
    )  # fmt: skip


def schedules(evidence: Evidence) -> Measured:
    """Largest less least mean loss of the schedules that the paper calls reasonable, nats/token."""
    groups = list(by(counted(evidence["schedules"]), *SCHEDULE).values())
    sums = [own[0]["lr_sum"] for own in groups if own[0]["lr_sum"] is not None]
    kept = [own for own in groups if reasonable(own[0], float(np.median(sums)) if sums else 0.0)]
    if len(kept) < 2:
        raise UnmeasuredError("fewer than two schedules warm up, decay and sum to enough")
    return over_seeds(evidence, kept, lambda loss: float(np.ptp(loss)))


def reasonable(run: Row, usual: float) -> bool:
    """Whether a schedule warms up, decays to near nothing, and has rates that sum to enough.

    ``usual`` is the median sum of the learning rates over all schedules.
    """
    decays = run["schedule"] in DECAYING and (run["final_lr"] or 0) <= VANISHING
    return bool(decays and run["warmup_steps"] and (run["lr_sum"] or 0) >= SUMMED * usual)


CLAIMS = (
    Claim(
        "sample_order", "Larger models need fewer tokens to reach the same loss.",
        "figures 2 and 19", "share of neighbouring sizes of which the larger needs fewer tokens",
        {"sizes": ()}, monotone, AtLeast(), low=MOSTLY,
    ),
    Claim(
        "sample_efficiency", "From the smallest to very large models, sample efficiency improves "
        "by a factor of nearly 100.", "figures 2 and 19",
        "tokens of the smallest model to its last loss over the fewest of a larger one",
        {"sizes": ()}, efficiency, Within(), paper=100,
    ),
    Claim(
        "seeds", "The spread between seeds is about the same at all sizes.",
        "appendix D.6, figure 22; section 4",
        "spread at the largest size over that at the smallest",
        {"seeds": ()}, seeds, Within(ROUGHLY), paper=1,
    ),
    Claim(
        "schedules", "The choice of the learning-rate schedule hardly matters, if it warms up, "
        "decays, and sums to enough: it changes the loss by no more than 0.05.",
        "appendix D.6, figure 22", "largest less least loss of reasonable schedules",
        {"schedules": ()}, schedules, AtMost(), "nats/token", high=0.05,
    ),
)  # fmt: skip
