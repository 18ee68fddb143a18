"""Learning curves where the learning rate is at its peak, and the step at which each meets a loss.

A step of the warmup does less than one at the peak, and a cooldown lowers the loss without one:
neither tells what a batch size costs, so only the rows between them count. A rate that falls all
the way, as along a cosine, has none: no row of it is where a run of its length would have ended.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy

from pipeline import contracts
from pipeline.batches import HELD
from pipeline.laws.base import Floats

WARMED = 2  # times the warmup; from there on its low rates are a quarter of the steps or less
Row = dict[str, Any]


class Model(NamedTuple):
    """What runs must share for their batch sizes to be compared, as columns of contracts.RUNS."""

    params: int
    n_layer: int
    d_model: int
    d_ff: int
    n_head: int
    context: int
    family: str
    unique_tokens: int
    reuse: int | None  # None, as of the two below, where the table does not tell
    dropout: float | None
    optimizer: str | None

    @property
    def order(self) -> tuple[tuple[bool, Any], ...]:
        """What models are sorted by: the smallest first, the unknown before the known."""
        return tuple((value is not None, value) for value in self)


@dataclass(frozen=True)
class Trace:
    """The rows (contract curves) of one run at its peak learning rate, by step."""

    run: Row
    rows: list[Row]

    @property
    def model(self) -> Model:
        return Model(*(self.run[name] for name in Model._fields))

    @property
    def batch(self) -> int:
        """Tokens per step."""
        return int(self.run["batch_tokens"])

    @property
    def rate(self) -> tuple[float, float]:
        """Peak learning rates of matrices, and of embeddings and gains."""
        return self.run["lr"], self.run["lr_embedding"]

    @property
    def schedule(self) -> tuple[str, int]:
        """The schedule of the rates, as far as it changes what comes before a cooldown.

        Rate and schedule are all, beside the seed, in which runs of one study may differ that have
        the model (with its optimizer) and the batch size in common.
        """
        return self.run["schedule"], self.run["warmup_steps"]

    @property
    def training(self) -> tuple[Any, ...]:
        """What is the same training, whenever it ended: a run of fewer tokens goes along it."""
        return self.model, self.batch, self.schedule, self.rate, self.run["seed"]

    @property
    def loss(self) -> Floats:
        """Validation loss (n,), nats/token."""
        return np.array([row["val_loss"] for row in self.rows])

    @property
    def steps(self) -> Floats:
        """Optimizer steps (n,)."""
        return np.array([row["step"] for row in self.rows], dtype=float)


def traces(runs: Path, curves: Path) -> list[Trace]:
    """The traces of a study's included runs, the longest of each training; some have no curve.

    Says on stderr which schedules have no row that counts. Raises ContractError, naming the file,
    where a table is missing or broken.
    """
    rows = [row for row in contracts.read(runs, contracts.RUNS).to_pylist() if row["included"]]
    by_cell: dict[str, list[Row]] = {row["cell"]: [] for row in rows}
    wanted = ["cell", "step", "tokens", "val_loss", "val_loss_se", "grad_squared", "grad_variance"]
    for row in contracts.read(curves, contracts.CURVES).select(wanted).to_pylist():
        if row["cell"] in by_cell:
            by_cell[row["cell"]].append(row)
    falling = {row["schedule"] for row in rows if by_cell[row["cell"]]} - set(HELD)
    if falling:
        told = "are left out, as they never hold the peak learning rate; take"
        print(f"{runs}: curves of {', '.join(sorted(falling))} {told} {' or '.join(HELD)}",
              file=sys.stderr)  # fmt: skip
    found: dict[tuple[Any, ...], Trace] = {}
    for run in (row for row in rows if by_cell[row["cell"]]):
        trace = Trace(run, at_peak(run, by_cell[run["cell"]]))
        known = found.get(trace.training)
        if trace.rows and (known is None or len(trace.rows) > len(known.rows)):
            found[trace.training] = trace
    return list(found.values())


def at_peak(run: Mapping[str, Any], rows: Iterable[Row]) -> list[Row]:
    """The evaluated rows of a run's curve, by step, after the warmup and before a wsd cooldown.

    None of a schedule that does not hold its peak rate.
    """
    if run["schedule"] not in HELD:
        return []
    last = run["steps"] - (run["cooldown_steps"] if run["schedule"] == "wsd" else 0)
    first = max(1, WARMED * run["warmup_steps"])
    kept = [row for row in rows if first <= row["step"] <= last and row["val_loss"] is not None]
    return sorted(kept, key=lambda row: row["step"])


def by_model(found: Iterable[Trace]) -> dict[Model, list[Trace]]:
    """Traces by model, smallest first."""
    groups: dict[Model, list[Trace]] = {}
    for trace in sorted(found, key=lambda trace: (trace.model.order, trace.batch, trace.rate)):
        groups.setdefault(trace.model, []).append(trace)
    return groups


def crossed(trace: Trace, log_levels: Floats) -> Floats:
    """Log of the step at which a trace first meets each of the log losses (L,); NaN where not.

    A monotone cubic (Fritsch and Carlson 1980) of log step against log loss goes through the rows
    that are lower than all before them. A loss that the first row had passed already is not met.
    """
    logs, steps = np.log(trace.loss), np.log(trace.steps)
    lowest = np.minimum.accumulate(logs)
    new = np.r_[True, logs[1:] < lowest[:-1]]
    if new.sum() < 2:
        return np.full(len(log_levels), np.nan)
    between = scipy.interpolate.PchipInterpolator(-logs[new], steps[new], extrapolate=False)
    return np.asarray(between(-log_levels), dtype=float)
