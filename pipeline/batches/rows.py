"""Fronts as rows of the contract critical_batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.batches.fronts import QUANTITIES, Front
from pipeline.batches.noise_scale import NoiseScale
from pipeline.batches.traces import Model
from pipeline.cells import digest, short


def front_row(front: Front, noise: NoiseScale, run: dict[str, Any], level: float) -> dict[str, Any]:
    """One row of the contract ``critical_batches``; ``run`` is one of those behind the front."""
    lowest, highest = noise.interval or (None, None)
    row: dict[str, Any] = {
        **front.model._asdict(), "loss": front.loss, "level": level,
        "bits_per_byte": scaled(run, front.loss),
        "status": front.status.value, "reason": front.reason,
        "batch_tokens": [point.batch for point in front.points],
        "steps": [point.steps for point in front.points],
        "lr": [point.rate for point in front.points],
        "at_edge": [point.at_edge for point in front.points],
        "cells": [point.cell for point in front.points],
        "noise_scale": noise.value, "noise_scale_low": lowest, "noise_scale_high": highest,
    }  # fmt: skip
    for name in QUANTITIES:
        low, high = front.intervals[name] or (None, None)
        value = front.values[name]
        known = value if math.isfinite(value) else None
        row |= {name: known, f"{name}_low": low, f"{name}_high": high}
    return row


def model_of(row: Mapping[str, Any]) -> Model:
    """The model of such a row; None where an older table does not tell."""
    return Model._make(row.get(name) for name in Model._fields)


def model_key(model: Model) -> str:
    """A model in a word."""
    return f"N{short(model.params)}-{digest(list(model))}"


def level_key(model: Model, loss: float) -> str:
    """What stands for a cell key: readable, and of one model and loss alone."""
    return f"N{short(model.params)}-L{loss:.4g}-{digest([list(model), loss])}"


def scaled(run: dict[str, Any], loss: float) -> float | None:
    """A loss in nats/token on a run's text as bits/byte."""
    if not (run["bits_per_byte"] and run["loss"]):
        return None
    return float(run["bits_per_byte"] * loss / run["loss"])
