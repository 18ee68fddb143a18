"""The critical batch size: section 5.1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.batches.replicates import of_levels
from pipeline.batches.rows import level_key, model_of
from pipeline.claims.claim import Claim, Evidence, Measured, UnmeasuredError
from pipeline.claims.fits import algebra, parameter
from pipeline.claims.rules import ROUGHLY, Near, Within
from pipeline.claims.runs import counted
from pipeline.claims.samples import span
from pipeline.findings.data import Data, Row
from pipeline.laws.base import Floats, Status
from pipeline.laws.interval import around
from pipeline.laws.widening import expanded

NEARBY = 0.02  # of a loss: evaluations this near to it tell the noise scale there
FEWEST = 3  # fronts


def determined(data: Data) -> list[Row]:
    """Fronts whose critical batch is known; raises UnmeasuredError where they are too few."""
    found = [row for row in data.critical_batches if row["status"] == Status.CONVERGED]
    if len(found) < FEWEST:
        raise UnmeasuredError(
            f"{len(found)} fronts determine a critical batch, fewer than {FEWEST}"
        )
    return [row | {"tokens": row["tokens_min"]} for row in found]


def over_fronts(
    evidence: Evidence, statistic: Callable[[Floats], float], rows: Sequence[Row]
) -> Measured:
    """A statistic of log B_crit (n,) of some fronts; the fronts of a model are drawn together."""
    keys = [level_key(model_of(row), row["loss"]) for row in rows]
    again = of_levels(evidence["batches"].level_replicates, keys)
    together = again.clusters()
    low, high = None, None
    if not together.refused:
        widening = together.widening(evidence.level, again.carried)
        drawn = [statistic(logs) for logs in again.logs]
        low, high = around(drawn, expanded(evidence.level, widening))
    return Measured(
        statistic(np.log([row["critical_batch"] for row in rows])), low, high, evidence.level,
        len(rows), span(rows, "params"), span(rows, "tokens"),
    )  # fmt: skip


def noise_ratio(evidence: Evidence) -> Measured:
    """Noise scale over critical batch at the same size and loss, geometric mean over fronts."""
    data = evidence["batches"]
    scales, rows = [], []
    for front in determined(data):
        noise = [
            row["noise_scale"] for run in counted(data) if run["params"] == front["params"]
            for row in data.curves.get(run["cell"], [])
            if (row["noise_scale"] or 0) > 0 and abs(row["val_loss"] / front["loss"] - 1) < NEARBY
        ]  # fmt: skip
        if noise:
            scales.append(np.log(np.median(noise)))
            rows.append(front)
    if len(rows) < FEWEST:
        raise UnmeasuredError(f"the noise scale was measured at {len(rows)} fronts")
    scale = np.mean(scales)
    return over_fronts(evidence, lambda logs: float(np.exp(scale - logs.mean())), rows)


def size_factor(evidence: Evidence) -> Measured:
    """B_crit of the largest size over that of the smallest at the same loss, by a plane in logs."""
    rows = determined(evidence["batches"])
    sizes = np.log([row["params"] for row in rows])
    if np.ptp(sizes) == 0:
        raise UnmeasuredError("all fronts belong to one size")
    terms = np.stack([np.ones(len(rows)), np.log([row["loss"] for row in rows]), sizes], axis=1)

    def factor(logs: Floats) -> float:
        if not np.isfinite(logs).all():
            return np.nan
        found, _, rank, _ = np.linalg.lstsq(terms, logs)
        return float(np.exp(found[2] * np.ptp(sizes))) if rank == 3 else np.nan

    return over_fronts(evidence, factor, rows)


FIT = ("batches", "critical_batch")
CLAIMS = (
    Claim(
        "alpha_B", "The critical batch size is a power of the loss alone.",
        "eq. 1.4 and 5.3, figure 10, table 5", "alpha_B of B_crit = B* / L^(1/alpha_B)",
        {"batches": ("critical_batch",)}, parameter(*FIT, "alpha_B"), Near(), paper=0.21,
    ),
    Claim(
        "B_star", "B_crit = B* / L^(1/alpha_B) with B* = 2.1e8 tokens.",
        "eq. 1.4 and 5.3, table 5", "B* of B_crit(L)", {"batches": ("critical_batch",)},
        parameter(*FIT, "B"), Within(), "tokens", paper=2.1e8,
    ),
    Claim(
        "doubling", "The critical batch size doubles for every 13 % that the loss falls.",
        "section 5.1, figure 10", "fall of the loss that doubles B_crit",
        {"batches": ("critical_batch",)},
        algebra(lambda batch: 100 * (1 - 2**-batch.alpha_B), FIT), Near(), "%", paper=13,
    ),
    Claim(
        "batch_of_sizes", "At the same loss the critical batch size does not depend on model size.",
        "section 5.1, figure 10", "B_crit of the largest size over that of the smallest",
        {"batches": ()}, size_factor, Within(ROUGHLY), paper=1,
    ),
    Claim(
        "noise_scale", "The noise scale of the gradient roughly predicts the critical batch size.",
        "section 5.1, figure 10", "noise scale over critical batch size", {"batches": ()},
        noise_ratio, Within(ROUGHLY), paper=1,
    ),
)  # fmt: skip
