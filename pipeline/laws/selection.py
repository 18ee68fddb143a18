"""Which runs a law is measured on: masks over a table of runs, each with its reason in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.laws import COLUMNS
from pipeline.laws.base import Floats, Runs, Selection
from pipeline.laws.objective import Objective

# What a fit to the best settings of sweeps minimises, and why.
SWEPT = Objective(0.5)
SWEPT_REASON = (
    "The best value of a sweep is known to about a step of it, a factor of two or so: such scatter "
    "counts by its squares."
)
SAME = 0.05  # natural log: counts this close are one count, rounded to whole steps


def every_run(runs: Runs, reason: str) -> Selection:
    """All runs."""
    return Selection(np.ones(len(runs), dtype=bool), reason)


def at_largest(column: Floats) -> NDArray[np.bool_]:
    """Mask of the rows whose count is the largest one, up to rounding to whole steps."""
    if not column.size:
        return np.zeros(0, dtype=bool)
    logs = np.log(column)
    return logs >= logs.max() - SAME


def at_most_tokens(runs: Runs) -> Selection:
    """Runs at the largest D, the nearest to models that data do not limit."""
    largest = f"{runs.tokens.max():.4g}" if len(runs) else "none"
    return Selection(
        at_largest(runs.tokens),
        f"Runs at the largest token count (D = {largest}), where data limit N least.",
    )


def of_largest_model(runs: Runs) -> Selection:
    """Runs at the largest N, the nearest to a model that size does not limit."""
    largest = f"{runs.params.max():.4g}" if len(runs) else "none"
    return Selection(
        at_largest(runs.params),
        f"Runs of the largest model (N = {largest}), where size limits D least.",
    )


def efficient(runs: Runs, column: str = "flops") -> Selection:
    """The efficient frontier: runs that no run with the same or less of ``column`` beats.

    Budgets within ``SAME`` are one: of the runs of an isoFLOP budget, whose compute differs by
    rounding, only the best one counts.
    """
    order = np.lexsort((runs.loss, runs.column(column)))
    logs, loss = np.log(runs.column(column)[order]), runs.loss[order]
    best = np.minimum.accumulate(loss)
    cheaper = np.r_[np.inf, best[:-1]][: len(runs)]
    alike = best[np.searchsorted(logs, logs + SAME, side="right") - 1]
    mask = np.zeros(len(runs), dtype=bool)
    mask[order] = (loss < cheaper) & (loss <= alike)
    return Selection(
        mask, "The efficient frontier: runs whose loss no run of equal or less compute reached."
    )


def best_setting(runs: Runs, setting: str, within: tuple[str, ...]) -> Selection:
    """The run of lowest loss of each group of equal counts ``within``.

    A group that tried several values of ``setting`` (a column) and did best at the smallest or
    largest of them shows no optimum, and is left out.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    keys = np.stack([_levels(runs.column(name)) for name in within], axis=-1)
    for row, key in enumerate(keys.tolist()):
        groups.setdefault(tuple(key), []).append(row)
    mask = np.zeros(len(runs), dtype=bool)
    edges: list[int] = []
    for rows in groups.values():
        tried = runs.column(setting)[rows]
        best = int(np.argmin(runs.loss[rows]))
        if np.ptp(tried) > 0 and tried[best] in (tried.min(), tried.max()):
            edges.append(rows[best])
        else:
            mask[rows[best]] = True
    left_out = f"; {len(edges)} left out, best at the edge of what was tried" if edges else ""
    counts = " and ".join(COLUMNS[name].partition(",")[0] for name in within)
    return Selection(mask, f"The run of lowest loss at each {counts}{left_out}.")


def _levels(column: Floats) -> NDArray[np.intp]:
    """The group of each row (n,): counts within rounding of the smallest in a group are one."""
    order = np.argsort(column)
    group = np.empty(len(column), dtype=np.intp)
    number, smallest = -1, -np.inf
    for row in order.tolist():
        if np.log(column[row]) > smallest + SAME:
            number, smallest = number + 1, float(np.log(column[row]))
        group[row] = number
    return group
