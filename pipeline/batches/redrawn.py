"""Resamples of all fronts of a model at once: its losses are of the same trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.batches.replicates import CARRY
from pipeline.batches.rows import level_key, model_key, model_of
from pipeline.batches.traces import Model
from pipeline.laws.base import Floats, scale
from pipeline.laws.batch_steps import LAW
from pipeline.laws.resample import DRAWS, replicates

Row = Mapping[str, Any]


def replicate_rows(rows: Sequence[Row], count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of the contract ``level_replicates`` of some of ``critical_batches`` that have a fit."""
    logs, batch_sizes = redrawn(rows, count, seed)
    for row, own, drawn in zip(rows, logs.T, batch_sizes, strict=True):
        model = model_of(row)
        key = {
            "cell": level_key(model, row["loss"]), "model": model_key(model), "batch_sizes": drawn
        }  # fmt: skip
        for replicate, batch in enumerate(scale(own).tolist()):
            known = batch if np.isfinite(batch) else None
            yield key | {"replicate": replicate, "critical_batch": known}


def redrawn(rows: Sequence[Row], count: int, seed: int) -> tuple[Floats, list[int]]:
    """Log B_crit (count, n) of n rows of the contract critical_batches on resamples.

    Each draws the batch sizes of a model once, for all of its losses; also how many stand behind
    those of its fronts that has fewest (n,).
    """
    rng = np.random.default_rng(seed)
    models: dict[Model, list[int]] = {}
    for i, row in enumerate(rows):
        models.setdefault(model_of(row), []).append(i)
    logs, batch_sizes = np.empty((count, len(rows))), [0] * len(rows)
    for own in models.values():
        batches = sorted({batch for i in own for batch in rows[i]["batch_tokens"]})
        at = [[batches.index(batch) for batch in rows[i]["batch_tokens"]] for i in own]
        times = _drawn(len(batches), at, count, rng)
        for i, columns in zip(own, at, strict=True):
            logs[:, i] = _refitted(rows[i], times[:, columns])
            batch_sizes[i] = min(map(len, at))
    return logs, batch_sizes


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
