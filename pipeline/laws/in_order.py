"""What laws share whose theta holds the formula's parameters themselves, in the formula's order."""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Floats, Kind, Law, Values, floor, scale


class InOrder(Law):
    """Exponents, slopes and offsets stand in theta as they are; scales and floors as logarithms."""

    def values(self, theta: Floats) -> dict[str, Floats]:
        named = zip(self.parameters, np.moveaxis(theta, -1, 0))
        return {p.name: _value(p.kind, coordinate) for p, coordinate in named}

    def theta(self, values: Values) -> Floats:
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            columns = [_coordinate(p.kind, np.asarray(values[p.name])) for p in self.parameters]
        return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(float)


def _value(kind: Kind, coordinate: Floats) -> Floats:
    if kind is Kind.FLOOR:
        return floor(coordinate)
    return scale(coordinate) if kind is Kind.SCALE else coordinate


def _coordinate(kind: Kind, value: Floats) -> Floats:
    return np.log(value) if kind in (Kind.FLOOR, Kind.SCALE) else value
