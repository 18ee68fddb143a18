"""Stored fits as evidence: a parameter with its interval, or what the algebra makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.claims.claim import Evidence, Measured
from pipeline.claims.rules import said
from pipeline.claims.samples import span
from pipeline.findings.data import UNUSABLE, FittedLaw
from pipeline.kaplan2020.fits import best, resampled
from pipeline.laws.axis import CurveLaw
from pipeline.laws.base import Kind, Status
from pipeline.laws.interval import around

Named = tuple[str, str]  # experiment and law
MISSED = 0.02  # of the loss, RMS over one size: the paper's spread between seeds


def parameter(
    experiment: str, law: str, name: str, scale: float = 1.0
) -> Callable[[Evidence], Measured]:
    """How one parameter of a fit is measured; ``scale`` is its unit in the claim's."""

    def measure(evidence: Evidence) -> Measured:
        fit = evidence[experiment].fits[law]
        row = fit.parameters[name]
        low, high = (None if row[end] is None else row[end] / scale for end in ("low", "high"))
        unknown = "" if row["status"] == Status.CONVERGED else f"{law}: {row['reason']}"
        doubt = unknown or missed(fit)
        params, tokens = (span(fit.points, column) for column in ("params", "tokens"))
        return Measured(
            row["value"] / scale, low, high, row["level"], fit.runs, params, tokens, doubt=doubt
        )

    return measure


def algebra(function: Callable[..., Any], *named: Named) -> Callable[[Evidence], Measured]:
    """How a number that follows from some fits is measured; ``function`` takes them as laws.

    Replicate i of one fit goes with replicate i of the others, as if their runs had nothing in
    common.
    """

    def measure(evidence: Evidence) -> Measured:
        fits = [evidence[experiment].fits[law] for experiment, law in named]
        with np.errstate(all="ignore"):  # replicates far out overflow, and count as undefined
            value = float(function(*(best(fit.saved) for fit in fits)))
            drawn = resampled(*(fit.saved for fit in fits))
            samples = function(*drawn) if drawn else []
        level = fits[0].level
        low, high = around(samples, fits[0].saved.percentiles)
        points = [point for fit in fits for point in fit.points]
        params, tokens = span(points, "params"), span(points, "tokens")
        return Measured(
            value,
            low,
            high,
            level,
            _runs(named, fits),
            params,
            tokens,
            doubt=doubted(evidence, *named),
        )

    return measure


def doubted(evidence: Evidence, *named: Named) -> str:
    """Why what follows from some fits cannot be trusted, a sentence; empty where it can."""
    fits = (evidence[experiment].fits[law] for experiment, law in named)
    return next(filter(None, map(_doubt, fits)), "")


def _doubt(fit: FittedLaw) -> str:
    """The first exponent of a fit that is not determined, or the size that it misses, and why."""
    for parameter, row in fit.estimates:
        bad = row["status"] != Status.CONVERGED
        if row["status"] in UNUSABLE or (bad and parameter.kind is Kind.EXPONENT):
            return f"{fit.key}, {parameter.name}: {row['reason']}"
    return missed(fit)


def missed(fit: FittedLaw) -> str:
    """The size whose losses a law misses most, a sentence, if by more than seeds lie apart.

    Solvers converge on laws of a wrong form too; their parameters are those of no trend. Laws of
    something else than the loss, which scatters more, are not asked.
    """
    if fit.law.target != "loss":
        return ""
    residuals: dict[float | None, list[float]] = {}
    for point in fit.points:
        residuals.setdefault(point["params"], []).append(point["residual"])
    errors = {size: float(np.sqrt(np.mean(np.square(r)))) for size, r in residuals.items()}
    size = max(errors, key=lambda one: errors[one], default=None)
    if not errors or errors[size] <= MISSED:
        return ""
    of = "" if size is None else f" of the size {said(size)}"
    limit = fit.law.axis.limit if isinstance(fit.law, CurveLaw) else ""
    cure = f"; if the loss levels off at the largest, {limit}" if limit else ""
    return (
        f"{fit.key} misses the losses{of} by {said(100 * errors[size])} % (root mean square), more "
        f"than the {100 * MISSED:g} % between seeds{cure}"
    )


def _runs(named: Sequence[Named], fits: Sequence[FittedLaw]) -> int:
    """Runs behind some fits: of each experiment those of the fit that has the most."""
    most: dict[str, int] = {}
    for (experiment, _), fit in zip(named, fits, strict=True):
        most[experiment] = max(most.get(experiment, 0), fit.runs)
    return sum(most.values())
