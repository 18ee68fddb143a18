"""Intervals of what is measured on runs: the statistic again on resamples of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.claims.claim import Ends, Evidence, Measured
from pipeline.laws import jackknife
from pipeline.laws.base import Floats
from pipeline.laws.interval import around

Row = Mapping[str, Any]
Statistic = Callable[[NDArray[np.intp]], float]


def resampled(
    evidence: Evidence, groups: Sequence[Sequence[int]], statistic: Statistic
) -> tuple[float | None, float | None]:
    """The interval of a statistic over resamples of groups of its rows, drawn with replacement.

    ``statistic`` takes indices of rows and gives NaN where these do not determine it.
    """
    rng = np.random.default_rng(evidence.seed)
    drawn = rng.integers(len(groups), size=(evidence.bootstraps, len(groups)))
    members = [np.array(group, dtype=np.intp) for group in groups]
    samples = [statistic(np.concatenate([members[i] for i in index])) for index in drawn]
    return around(np.array(samples), evidence.level)


def over_rows(
    evidence: Evidence, statistic: Statistic, rows: Sequence[Row], beyond: float = 1.0,
    shared: Sequence[Hashable] | None = None,
) -> Measured:  # fmt: skip
    """A statistic of some runs with its interval, by resampling these runs.

    Rows of one value of ``shared``, such as the runs of one training, err together: they are drawn
    together, and are of no more weight than it.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, value in enumerate(range(len(rows)) if shared is None else shared):
        groups.setdefault(value, []).append(index)
    everything = np.arange(len(rows))
    low, high = resampled(evidence, list(groups.values()), statistic)
    return Measured(
        float(statistic(everything)), low, high, evidence.level, len(rows),
        span(rows, "params"), span(rows, "tokens"), beyond,
    )  # fmt: skip


def share(evidence: Evidence, held: Sequence[bool], rows: Sequence[Row], limit: float) -> Measured:
    """The share of some runs of which something holds, with the exact interval of a binomial.

    Clopper and Pearson 1934: as wide as so few runs make it where it holds of all or of none, whose
    resamples are all alike. One of ``rows`` stands behind each of ``held``. ``limit`` is what the
    claim says of the share at least; the interval of all of n runs starts at p^(1/n), p being the
    share outside on one side.
    """
    runs, found = len(held), sum(map(bool, held))
    outside = (1 - evidence.level) / 2
    low = float(scipy.special.betaincinv(found, runs - found + 1, outside)) if found else 0.0
    high = (
        float(scipy.special.betaincinv(found + 1, runs - found, 1 - outside))
        if found < runs
        else 1.0
    )
    return Measured(
        found / runs, low, high, evidence.level, runs, span(rows, "params"), span(rows, "tokens"),
        enough=math.ceil(math.log(outside) / math.log(limit)),
    )  # fmt: skip


def over_groups(
    evidence: Evidence, statistic: Statistic, rows: Sequence[Row], column: str
) -> Measured:
    """A positive statistic of some runs; its interval is the jackknife's, in logarithms.

    Runs alike in ``column`` are left out together. For statistics that need most groups at once,
    of which draws with replacement leave too few.
    """
    everything = np.arange(len(rows))
    of = np.array([row[column] for row in rows])
    groups = np.unique(of)
    logs = np.log([statistic(everything[of != group]) for group in groups])
    low: float | None = None
    high: float | None = None
    value = float(statistic(everything))
    reach = jackknife.reach(logs[:, None], evidence.level)
    if reach is not None:
        low, high = value / float(np.exp(reach[0])), value * float(np.exp(reach[0]))
    return Measured(
        value, low, high, evidence.level, len(rows), span(rows, "params"), span(rows, "tokens")
    )


def over_seeds(
    evidence: Evidence, groups: Sequence[Sequence[Row]], statistic: Callable[[Floats], float]
) -> Measured:
    """A statistic of the mean losses (G,) of groups of runs that differ by their seed.

    Resamples add to each mean what the seeds' scatter, pooled over all groups, makes of it; there
    is no interval where no group has two seeds.
    """
    losses = [np.array([run["loss"] for run in group], float) for group in groups]
    means = np.array([values.mean() for values in losses])
    counts = np.array([len(values) for values in losses])
    apart = np.concatenate([v - v.mean() for v in losses if len(v) > 1] or [np.empty(0)])
    freedom = int((counts - 1).sum())
    low: float | None = None
    high: float | None = None
    if freedom:
        scatter = np.sqrt((apart**2).sum() / freedom / counts)
        rng = np.random.default_rng(evidence.seed)
        drawn = means + scatter * rng.standard_normal((evidence.bootstraps, len(means)))
        low, high = around(np.array([statistic(row) for row in drawn]), evidence.level)
    rows = [run for group in groups for run in group]
    return Measured(
        float(statistic(means)), low, high, evidence.level, len(rows), span(rows, "params"),
        span(rows, "tokens"),
    )  # fmt: skip


def span(rows: Iterable[Row], column: str) -> Ends | None:
    """Least and most of a column; None where no row has it."""
    values = [float(row[column]) for row in rows if row[column] is not None]
    return (min(values), max(values)) if values else None
