"""Runs and curves as evidence: which of them count, along training and at its end."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np

from pipeline.claims.claim import Evidence, UnmeasuredError
from pipeline.figures.data import Data, Row
from pipeline.figures.kaplan2020 import along
from pipeline.figures.kaplan2020.along import Course
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


def courses(data: Data) -> list[Course]:
    """The longest course of each size at its peak learning rate, by size.

    Raises UnmeasuredError where no run has one.
    """
    found = along.of_sizes(data)
    if not found:
        raise UnmeasuredError("no run has a curve at its peak learning rate")
    return found


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
