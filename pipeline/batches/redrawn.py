"""Resamples of all fronts of a model at once: its losses are of the same trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.batches.traces import Model
from pipeline.laws.base import Floats
from pipeline.laws.batch_steps import LAW
from pipeline.laws.resample import DRAWS, replicates
from pipeline.laws.widening import expanded, widening

Row = Mapping[str, Any]
CARRY = len(LAW.parameters)  # distinct batch sizes that a front needs


def redrawn(rows: Sequence[Row], count: int, level: float, seed: int) -> tuple[Floats, float]:
    """Log B_crit (count, n) of n rows of the contract critical_batches on resamples.

    Each draws the batch sizes of a model once, for all of its losses. Also the level whose
    percentiles cover ``level``, widened for the fewest batch sizes of a model (``widening.py``).
    """
    rng = np.random.default_rng(seed)
    models: dict[tuple[Any, ...], list[int]] = {}
    for i, row in enumerate(rows):
        models.setdefault(tuple(row.get(name) for name in Model._fields), []).append(i)
    logs, fewest = np.empty((count, len(rows))), np.inf
    for own in models.values():
        batches = sorted({batch for i in own for batch in rows[i]["batch_tokens"]})
        fewest = min(fewest, len(batches))
        at = [[batches.index(batch) for batch in rows[i]["batch_tokens"]] for i in own]
        times = _drawn(len(batches), at, count, rng)
        for i, columns in zip(own, at, strict=True):
            logs[:, i] = _refitted(rows[i], times[:, columns])
    factor = widening(level, fewest - CARRY, 1 - CARRY / fewest)
    return logs, expanded(level, factor)


def _drawn(
    batches: int, at: Sequence[Sequence[int]], count: int, rng: np.random.Generator
) -> Floats:
    """How often each batch size is drawn (count, batches), again where a front cannot be fitted."""

    def draw(number: int) -> Floats:
        return rng.multinomial(batches, np.full(batches, 1 / batches), number).astype(float)

    def bad(times: Floats) -> NDArray[np.intp]:
        fewest = np.min([(times[:, columns] > 0).sum(1) for columns in at], axis=0)
        return np.flatnonzero(fewest < CARRY)

    times = draw(count)
    for _ in range(DRAWS):
        times[bad(times)] = draw(len(bad(times)))
    times[bad(times)] = np.nan
    return times


def _refitted(row: Row, times: Floats) -> Floats:
    """Log B_crit (R,) of a front on draws (R, batch sizes); NaN where there is none."""
    logs = np.full(len(times), np.nan)
    known = np.isfinite(times).all(1)
    x = np.log(np.array(row["batch_tokens"], dtype=float))[None]
    centre, critical = x.mean(), np.log(row["critical_batch"])
    best = np.array([np.log(row["tokens_min"]) - critical, critical - centre])
    found = replicates(
        LAW, x - centre, np.log(row["steps"]), times[known], best, LAW.objective, best[None]
    )
    logs[known] = found.theta[:, 1] + centre
    return logs
