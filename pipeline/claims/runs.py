"""Runs and curves as evidence: which of them count, along training and at its end."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.batches.traces import at_peak
from pipeline.claims.claim import Evidence, UnmeasuredError
from pipeline.figures.data import Data, Row
from pipeline.kaplan2020 import BatchLaw, fewest_steps, least_flops
from pipeline.laws.base import Floats

SAME = 0.05  # natural log: counts this close are one count, rounded to whole steps
BASE = ("sizes", "depths", "seeds")  # experiments with plain transformers to compare others with
SHALLOW = 2  # layers; the paper finds that models of fewer are worse, and leaves them out


def counted(data: Data) -> list[Row]:
    """The included runs, by size."""
    return [run for run in data.runs if run["included"] and run["loss"] is not None]


def by(rows: Iterable[Row], *columns: str) -> dict[tuple[Hashable, ...], list[Row]]:
    """Rows by their values in some columns, in the order of appearance."""
    found: dict[tuple[Hashable, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[column] for column in columns), []).append(row)
    return found


def longest(rows: Iterable[Row]) -> list[Row]:
    """The run of most tokens of each size, by size."""
    best: dict[float, Row] = {}
    for row in rows:
        if row["params"] not in best or row["tokens"] > best[row["params"]]["tokens"]:
            best[row["params"]] = row
    return [best[size] for size in sorted(best)]


class Course(NamedTuple):
    """One run while its learning rate was at its peak: steps, tokens and loss (n,), by step.

    A loss in the warmup or the cooldown tells neither what a step nor what a token is worth.
    """

    run: Row
    steps: Floats
    tokens: Floats
    loss: Floats

    @property
    def params(self) -> float:
        return float(self.run["params"])

    def fewest_steps(self, law: BatchLaw) -> Floats:
        """S_min, eq. 5.4."""
        return np.asarray(fewest_steps(law, self.steps, self.run["batch_tokens"], self.loss))

    def least_flops(self, law: BatchLaw) -> Floats:
        """C_min, eq. 5.5, of C = 6 N B S."""
        flops = self.run["flops_6nd"] * self.tokens / self.run["tokens"]
        return np.asarray(least_flops(law, flops, self.run["batch_tokens"], self.loss))


def courses(data: Data) -> list[Course]:
    """The longest course of each size, by size; raises UnmeasuredError where there is none.

    Only points below all before them count.
    """
    best: dict[float, Course] = {}
    for run in counted(data):
        rows = at_peak(run, data.curves.get(run["cell"], []))
        course = _falling(run, rows)
        known = best.get(course.params)
        if len(course.steps) > 1 and (known is None or course.steps[-1] > known.steps[-1]):
            best[course.params] = course
    if not best:
        raise UnmeasuredError("no run has a curve at its peak learning rate")
    return [best[size] for size in sorted(best)]


def _falling(run: Row, rows: Sequence[Row]) -> Course:
    columns = (np.array([row[c] for row in rows], float) for c in ("step", "tokens", "val_loss"))
    steps, tokens, loss = columns
    lowest = np.minimum.accumulate(loss)
    new = np.r_[True, loss[1:] < lowest[:-1]][: len(loss)]
    return Course(run, steps[new], tokens[new], loss[new])


def reached(x: Floats, loss: Floats, target: float) -> float:
    """The x at which a falling loss (n,) meets a target, in log-log between its points; or NaN."""
    if not loss[-1] <= target <= loss[0]:
        return np.nan
    return float(np.exp(np.interp(-np.log(target), -np.log(loss), np.log(x))))


class Baseline(NamedTuple):
    """Plain transformers of one token count: log loss as a polynomial in log N, and their range."""

    terms: Floats
    low: float
    high: float
    runs: int

    def holds(self, params: float) -> bool:
        return self.low * (1 - SAME) <= params <= self.high * (1 + SAME)

    def log_loss(self, params: float) -> float:
        return float(np.polyval(self.terms, np.log(params)))


def baseline(evidence: Evidence, like: Row) -> Baseline:
    """The transformers trained as ``like`` was; raises UnmeasuredError where they are too few."""
    found = [
        run for name in BASE if name in evidence.experiments for run in counted(evidence[name])
        if _alike(run, like)
    ]  # fmt: skip
    sizes = {run["params"] for run in found}
    if len(sizes) < 3:
        raise UnmeasuredError(
            f"{len(sizes)} sizes of plain transformers saw {like['tokens']:.3g} tokens in contexts "
            f"of {like['context']}, which is too few to compare with"
        )
    x, y = (np.log([run[column] for run in found]) for column in ("params", "loss"))
    terms = np.polyfit(x, y, 2 if len(sizes) > 4 else 1)
    return Baseline(terms, min(sizes), max(sizes), len(found))


def _alike(run: Row, like: Row) -> bool:
    same = all(run[column] == like[column] for column in ("context", "batch_tokens", "corpus"))
    plain = run["family"] == "transformer" and run["n_layer"] >= SHALLOW
    return same and plain and abs(np.log(run["tokens"] / like["tokens"])) < SAME


def bins(data: Data, run: Row) -> list[float]:
    """Loss in each bin of positions (1, 2, 3-4, 5-8, ...) at the end of a run; or none."""
    rows: list[Any] = data.curves.get(run["cell"], [])
    return (rows[-1]["loss_by_position"] or []) if rows else []
