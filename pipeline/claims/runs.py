"""Runs and curves as evidence: which of them count, along training and at its end."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.claims.claim import Evidence, UnmeasuredError
from pipeline.findings.data import Data, Row
from pipeline.findings.kaplan2020 import along
from pipeline.findings.kaplan2020.along import Course
from pipeline.findings.kaplan2020.collapse import SHALLOW
from pipeline.laws.base import Floats

SAME = 0.05  # natural log: counts this close are one count, rounded to whole steps
BASE = ("sizes", "depths", "seeds")  # experiments with plain transformers to compare others with


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


def trunk(run: Row) -> str:
    """The training that a run branches off; the run itself where it branches off none."""
    return str(run["trunk"] or run["cell"])


def courses(data: Data) -> list[Course]:
    """The longest course of each size at its peak learning rate, by size.

    Raises UnmeasuredError where no run has one.
    """
    found = along.of_sizes(data)
    if not found:
        raise UnmeasuredError("no run has a curve at its peak learning rate")
    return found


@dataclass(frozen=True)
class Baseline:
    """Plain transformers of one token count, and log loss as a polynomial in log N through them.

    ``sizes`` and ``losses`` (S,) are natural logs, by size; a loss is the mean over a size's runs.
    """

    sizes: Floats
    losses: Floats
    runs: int

    @cached_property
    def terms(self) -> Floats:
        return np.polyfit(self.sizes, self.losses, 2 if len(self.sizes) > 4 else 1)

    def holds(self, params: float) -> bool:
        return bool(self.sizes[0] - SAME <= np.log(params) <= self.sizes[-1] + SAME)

    def log_loss(self, params: float) -> float:
        return float(np.polyval(self.terms, np.log(params)))

    def redrawn(self, rng: np.random.Generator) -> Baseline:
        """The same with other losses, which scatter as far from the trend as these do."""
        trend = np.polyval(self.terms, self.sizes)
        freedom = len(self.sizes) - len(self.terms)
        scatter = np.sqrt(((self.losses - trend) ** 2).sum() / freedom)
        return replace(self, losses=trend + scatter * rng.standard_normal(len(trend)))


def baseline(evidence: Evidence, like: Row, layers: int | None = None) -> Baseline:
    """The transformers trained as ``like`` was, of one depth if ``layers`` is given.

    Raises UnmeasuredError where they are too few.
    """
    found = [
        run for name in BASE if name in evidence.experiments for run in counted(evidence[name])
        if _alike(run, like) and layers in (None, run["n_layer"])
    ]  # fmt: skip
    sizes = by(found, "params")
    if len(sizes) < 3:
        deep = "" if layers is None else f" of {layers} layers"
        raise UnmeasuredError(
            f"{len(sizes)} sizes of plain transformers{deep} saw {like['tokens']:.3g} tokens in "
            f"contexts of {like['context']}, which is too few to compare with"
        )
    points = sorted(
        (float(np.log(own[0]["params"])), float(np.log([run["loss"] for run in own]).mean()))
        for own in sizes.values()
    )
    x, y = np.array(points).T
    return Baseline(x, y, len(found))


def trained_as(run: Row, like: Row) -> bool:
    """Whether a run saw as many tokens of the same text as another, in batches of the same size."""
    same = all(run[column] == like[column] for column in ("batch_tokens", "corpus"))
    return same and bool(abs(np.log(run["tokens"] / like["tokens"])) < SAME)


def _alike(run: Row, like: Row) -> bool:
    plain = run["family"] == "transformer" and run["n_layer"] >= SHALLOW
    return plain and run["context"] == like["context"] and trained_as(run, like)
