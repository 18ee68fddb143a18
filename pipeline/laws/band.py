"""Predictions of a fit that stands on disk, with intervals, and without fitting again.

A band is the interval of the law itself, from the bootstrap replicates' predictions: it holds
neither the noise of one more run, which ``SavedFit.prediction`` adds, nor the error of the form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline import contracts
from pipeline.laws import law as law_named
from pipeline.laws.base import Floats, Law, Status, SurfaceLaw
from pipeline.laws.interval import interval
from pipeline.laws.prediction import Prediction, predicted

CHUNK = 2_000_000  # numbers evaluated at once
UNUSABLE = (Status.TOO_FEW_POINTS, Status.NOT_CONVERGED)


class Band(NamedTuple):
    """A predicted quantity and its interval, arrays of one shape; NaN where there is none."""

    low: Floats
    mid: Floats
    high: Floats


def band(
    law: Law, values: Mapping[str, float], replicates: Mapping[str, Floats],
    inputs: Mapping[str, Floats], level: float,
) -> Band:  # fmt: skip
    """The loss along ``inputs`` (each (m,), in the units of the runs), nats/token.

    ``values`` holds the best estimate of every parameter, ``replicates`` (R,) of each; ``level`` is
    the share of them that stays between the ends.
    """
    columns = {name: np.atleast_1d(column) for name, column in law.own(inputs).items()}
    size = next(iter(columns.values())).size
    best = {name: np.asarray(value, float) for name, value in values.items()}
    count = len(next(iter(replicates.values()))) if replicates else 0
    low, high = np.full(size, np.nan), np.full(size, np.nan)
    width = max(1, CHUNK // max(count, 1))
    for first in range(0, size, width):
        part = slice(first, first + width)
        if count:
            samples = law.predict(replicates, {n: c[part] for n, c in columns.items()})
            low[part], high[part] = interval(samples, level)
    return Band(low, law.predict(best, columns), high)


def optimum_bands(
    law: SurfaceLaw, values: Mapping[str, float], replicates: Mapping[str, Floats],
    flops: Floats, level: float,
) -> dict[str, Band]:  # fmt: skip
    """params, tokens and loss of the compute-optimal run of each budget (m,), C = 6 N D."""
    flops = np.atleast_1d(np.asarray(flops, float))
    best = law.optimum({name: np.asarray(value, float) for name, value in values.items()}, flops)
    drawn = law.optimum({name: sample[:, None] for name, sample in replicates.items()}, flops)
    return {
        quantity: _around(mid, samples, level)
        for quantity, mid, samples in zip(best._fields, best, drawn)
    }


def _around(mid: Floats, samples: Floats, level: float) -> Band:
    low, high = interval(samples, level)
    return Band(low, mid, high)


@dataclass(frozen=True)
class SavedFit:
    """A fitted law as it stands in its folder."""

    law: Law
    values: Mapping[str, float]
    replicates: Mapping[str, Floats]
    level: float
    points: int
    card: Mapping[str, Any]
    folder: Path

    @property
    def percentiles(self) -> float:
        """The share between the percentiles of replicates that cover ``level``."""
        return float(self.card["bootstrap"]["percentiles"])

    @property
    def widening(self) -> float | None:
        """How much further out than their own percentiles replicates reach; None if unsaid."""
        return self.card.get("bootstrap", {}).get("widening")

    @property
    def usable(self) -> bool:
        """Whether it has values to predict with: the solver found them, from enough runs."""
        known = all(map(math.isfinite, self.values.values()))
        return known and self.card.get("status") not in UNUSABLE

    def predict(self, **inputs: Floats) -> Floats:
        """The predicted target at inputs such as params=, tokens=, flops=."""
        best = {name: np.asarray(value, float) for name, value in self.values.items()}
        return self.law.predict(best, inputs)

    def band(self, **inputs: Floats) -> Band:
        """The predicted target with its interval."""
        return band(self.law, self.values, self.replicates, inputs, self.percentiles)

    @property
    def residuals(self) -> Floats:
        """Of the log target (points,); raises ContractError where the table is broken."""
        points = contracts.read(self.folder / "points.parquet", contracts.POINTS)
        return np.asarray(points["residual"].to_numpy(), dtype=float)

    def prediction(self, **inputs: Floats) -> Prediction:
        """One more run at inputs (each (m,)), with the parts of its doubt; needs replicates."""
        noise = self.card.get("weights", {}).get("seed_noise")
        return predicted(
            self.law, self.values, self.replicates, self.residuals, inputs, self.level,
            np.nan if noise is None else noise, self.widening,
        )  # fmt: skip

    def optimum(self, flops: Floats) -> dict[str, Band]:
        """Bands of params, tokens and loss; raises TypeError for a law of one variable."""
        if not isinstance(self.law, SurfaceLaw):
            raise TypeError(f"{self.law.name} is a law of one variable and splits no budget")
        return optimum_bands(self.law, self.values, self.replicates, flops, self.percentiles)


def read(folder: str | Path) -> SavedFit:
    """Read fits/<law>/; raises ContractError where a file is missing or broken."""
    folder = Path(folder)
    parameters = contracts.read(folder / "parameters.parquet", contracts.PARAMETERS).to_pylist()
    drawn = contracts.read(folder / "bootstrap.parquet", contracts.BOOTSTRAP)
    path = folder / "card.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        law = law_named(card["law"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise contracts.ContractError(
            f"{path}: not a readable fit card ({error}); fit the law again"
        ) from error
    names = np.array(drawn["parameter"].to_pylist(), dtype=object)
    values = drawn["value"].to_numpy()
    order = np.argsort(drawn["replicate"].to_numpy(), kind="stable")
    names, values = names[order], values[order]
    estimates = {row["parameter"]: row["value"] for row in parameters}
    if missing := [p.name for p in law.parameters if p.name not in estimates]:
        raise contracts.ContractError(
            f"{folder / 'parameters.parquet'}: lacks the parameter {missing[0]!r} of {law.name}; "
            "fit the law again"
        )
    return SavedFit(
        law, {p.name: estimates[p.name] for p in law.parameters},
        {p.name: values[names == p.name] for p in law.parameters},
        parameters[0]["level"], parameters[0]["points"], card,
        folder,
    )  # fmt: skip
