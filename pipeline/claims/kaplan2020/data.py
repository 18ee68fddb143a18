"""Loss against the size of the dataset, and overfitting: sections 3.3, 4 and 5.3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.fits import algebra, doubted, parameter
from pipeline.claims.rules import AtLeast, AtMost, Near, Within
from pipeline.claims.runs import counted
from pipeline.claims.samples import over_rows, share
from pipeline.findings.kaplan2020.stops import stops
from pipeline.kaplan2020 import tokens_against_overfit
from pipeline.kaplan2020.fits import best

SEEDS = 0.02  # of the loss: the paper's spread between seeds, and its threshold of overfitting
KAPLAN, STEPS = ("data", "kaplan"), ("sizes", "kaplan_steps")
BATCH = ("batches", "critical_batch")
HELD = 0.9  # of the runs: a bound that the paper calls one, with few runs before it


def collapse(evidence: Evidence) -> Measured:
    """Root mean square of the relative residuals of L(N, D), in per cent."""
    points = evidence["data"].fits["kaplan"].points
    residual = np.array([point["residual"] for point in points])
    return over_rows(
        evidence, lambda index: 100 * float(np.sqrt((residual[index] ** 2).mean())), points
    )


def enough_tokens(evidence: Evidence) -> Measured:
    """Tokens at which overfitting costs 2 % at the geometric mean of the sizes, over eq. 4.4's."""
    points = evidence["data"].fits["kaplan"].points
    size = float(np.exp(np.mean([np.log(point["params"]) for point in points])))
    paper = 5e3 * size**0.74
    return algebra(lambda law: tokens_against_overfit(law, size, SEEDS) / paper, KAPLAN)(evidence)


def stopped_late(evidence: Evidence) -> Measured:
    """Share of the runs stopped early whose S_min at the lowest loss keeps to eq. 5.7."""
    laws = [best(evidence[name].fits[law].saved) for name, law in (STEPS, KAPLAN, BATCH)]
    early = [stop for stop in stops(counted(evidence["data"]), *laws) if stop.early]
    if not early:
        raise UnmeasuredError("no run on a subset was stopped early")
    late = [stop.late_enough for stop in early]
    found = share(evidence, late, [stop.run for stop in early], HELD)
    return replace(found, doubt=doubted(evidence, KAPLAN, STEPS, BATCH))


CLAIMS = (
    Claim(
        "alpha_D", "The loss of a large model stopped early is a power of its dataset's size D.",
        "eq. 1.2 and 3.2, figure 1, table 5", "exponent of L(D)",
        {"data": ("power_tokens",)}, parameter("data", "power_tokens", "alpha_D"), Near(),
        paper=0.095,
    ),
    Claim(
        "D_c", "L(D) = (D_c / D)^alpha_D with D_c = 5.4e13, which depends on the vocabulary.",
        "eq. 1.2, table 5", "D_c of L(D)", {"data": ("power_tokens",)},
        parameter("data", "power_tokens", "Dc"), Within(), "tokens", paper=5.4e13,
    ),
    Claim(
        "alpha_N_data", "One law of N and D describes the loss of models stopped early.",
        "eq. 1.5 and 4.1, figures 4 and 9, table 2", "exponent of N in L(N, D)",
        {"data": ("kaplan",)}, parameter(*KAPLAN, "alpha_N"), Near(), paper=0.076,
    ),
    Claim(
        "alpha_D_data", "One law of N and D describes the loss of models stopped early.",
        "eq. 1.5 and 4.1, figures 4 and 9, table 2", "exponent of D in L(N, D)",
        {"data": ("kaplan",)}, parameter(*KAPLAN, "alpha_D"), Near(), paper=0.103,
    ),
    Claim(
        "N_c_data", "L(N, D) has N_c = 6.4e13, which depends on the vocabulary.",
        "eq. 1.5 and 4.1, table 2", "N_c of L(N, D)", {"data": ("kaplan",)},
        parameter(*KAPLAN, "Nc"), Within(), "parameters", paper=6.4e13,
    ),
    Claim(
        "D_c_data", "L(N, D) has D_c = 1.8e13, which depends on the vocabulary.",
        "eq. 1.5 and 4.1, table 2", "D_c of L(N, D)", {"data": ("kaplan",)},
        parameter(*KAPLAN, "Dc"), Within(), "tokens", paper=1.8e13,
    ),
    Claim(
        "collapse", "Overfitting depends on N^(alpha_N/alpha_D) / D alone, up to the spread of "
        "seeds.", "eq. 4.2 and 4.3, figure 9", "residuals of L(N, D), root mean square",
        {"data": ("kaplan",)}, collapse, AtMost(), "%", high=100 * SEEDS,
    ),
    Claim(
        "overfit_exponent", "To avoid overfitting, data must grow as N^0.74.",
        "eq. 4.4", "alpha_N / alpha_D of L(N, D)", {"data": ("kaplan",)},
        algebra(lambda law: law.alpha_N / law.alpha_D, KAPLAN), Near(), paper=0.74,
    ),
    Claim(
        "eightfold", "A model 8 times as large needs only about 5 times the data.",
        "section 1.1, eq. 4.4", "tokens against overfitting at 8 N over those at N",
        {"data": ("kaplan",)},
        algebra(lambda law: 8 ** (law.alpha_N / law.alpha_D), KAPLAN), Near(), paper=5,
    ),
    Claim(
        "overfit_tokens", "With 5e3 N^0.74 tokens, overfitting costs less than 2 % of the loss.",
        "eq. 4.4", "tokens at which overfitting costs 2 %, over 5e3 N^0.74, at the middle size",
        {"data": ("kaplan",)}, enough_tokens, Within(), paper=1,
    ),
    Claim(
        "early_stopping", "Training is best for at least S_c / (L(N, D) - L(N))^(1/alpha_S) steps.",
        "eq. 5.7, figure 16", "share of runs stopped early that keep to the bound",
        {"data": ("kaplan",), "sizes": ("kaplan_steps",), "batches": ("critical_batch",)},
        stopped_late, AtLeast(), low=HELD,
    ),
)  # fmt: skip
