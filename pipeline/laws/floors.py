"""When a fitted floor is none, whatever the unit of the target."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.laws.base import Floats, Kind, Law

NO_LOSS = 1e-9  # of the lowest target: only rounding gives digits to a floor below


def grounded(law: Law, values: Mapping[str, Floats], lowest: float) -> dict[str, Floats]:
    """A law's values with floors that are none beside the lowest target at exactly zero."""
    floors = {p.name for p in law.parameters if p.kind is Kind.FLOOR}
    return {
        name: np.where(value < NO_LOSS * lowest, 0.0, value) if name in floors else value
        for name, value in values.items()
    }
