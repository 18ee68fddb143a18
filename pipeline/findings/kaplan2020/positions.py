"""Losses by position in the context: the bins 1, 2, 3-4, 5-8, ..., and a power law through them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.findings.data import Data, Row
from pipeline.laws.base import Floats

EXPONENTS = np.linspace(0.02, 3.0, 1491)  # tried
FREE = 3  # numbers of the power law with a floor
LEAST_BINS = FREE + 1  # for a misfit at all
ENOUGH_BINS = 2 * FREE  # fewer leave too little to miss, for the law to be judged or shown


class Positions(NamedTuple):
    """L(T) = floor + height T^-exponent."""

    floor: float
    height: float
    exponent: float

    @property
    def determined(self) -> bool:
        """Whether the loss falls, to a floor above zero, by an exponent inside those tried."""
        inside = EXPONENTS[0] < self.exponent < EXPONENTS[-1]
        return bool(inside and self.height > 0 and self.floor > 0)

    def at(self, position: Floats) -> Floats:
        return self.floor + self.height * position**-self.exponent


def final(data: Data, run: Row) -> list[float]:
    """Loss in each bin at the end of a run; empty where it was not measured."""
    rows = data.curves.get(run["cell"], [])
    return (rows[-1]["loss_by_position"] or []) if rows else []


def middle(bins: int) -> Floats:
    """The position that stands for each bin: 1, 2, and the geometric middle of 3-4, 5-8, ..."""
    last = 2.0 ** np.arange(bins)
    first = np.r_[1.0, last[:-1] + 1][:bins]
    return np.sqrt(first * last)


def named(index: int) -> str:
    """A bin's positions: 1, 2, 3-4, 5-8, ..."""
    last = 2**index
    first = last // 2 + 1
    return f"{last}" if index < 2 else f"{first}\u2013{last}"


def power(losses: list[float]) -> Positions | None:
    """The least-squares power law with a floor; None for fewer than four bins.

    For each exponent the floor and the height are linear; the best of a fine grid is taken.
    """
    if len(losses) < LEAST_BINS:
        return None
    y, at = np.array(losses), middle(len(losses))
    shapes = at ** -EXPONENTS[:, None]
    away = shapes - shapes.mean(1, keepdims=True)
    heights = (away * (y - y.mean())).sum(1) / (away**2).sum(1)
    floors = y.mean() - heights * shapes.mean(1)
    misfits = ((floors[:, None] + heights[:, None] * shapes - y) ** 2).sum(1)
    least = int(misfits.argmin())
    return Positions(float(floors[least]), float(heights[least]), float(EXPONENTS[least]))


def misfit(losses: list[float]) -> float:
    """Mean square relative distance from the power law with a floor, over the freedom it leaves.

    Of n bins n - 3 are left to miss. Of losses that do not fall with the position, it is the
    distance from their mean.
    """
    measured, found = np.array(losses), power(losses)
    falls = found is not None and found.height > 0
    line = found.at(middle(len(losses))) if found and falls else measured.mean()
    return float(((line / measured - 1) ** 2).sum() / (len(losses) - FREE))
