"""Laws that are a sum of positive terms whose logarithms bend in theta: log sum exp g_k(theta, x).

``terms.SumLaw`` is for terms whose logarithms are linear in theta, which costs less.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Expansion, Floats, Law
from pipeline.laws.curvature import contracted


class Part(NamedTuple):
    """The logarithm of one term to second order in the coordinates ``at`` of theta.

    ``slopes`` holds the derivative by each of them, ``bends`` the second derivatives that are not
    zero, by pairs (i, j), i <= j, of positions in ``at``; all broadcast to (..., n).
    """

    at: tuple[int, ...]
    value: Floats
    slopes: tuple[Floats | float, ...]
    bends: Mapping[tuple[int, int], Floats | float]


class PartLaw(Law):
    """A sum of positive terms; a final class gives their logarithms and derivatives."""

    @abstractmethod
    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        """The logarithm of each term, each broadcasting to (..., n)."""

    @abstractmethod
    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        """The same to second order."""

    def log_target(self, theta: Floats, x: Floats) -> Floats:
        return log_sum(self.logarithms(theta, x))

    def expansion(self, theta: Floats, x: Floats) -> Expansion:
        return summed(self.parts(theta, x), (*theta.shape[:-1], theta.shape[-1], x.shape[-1]))


def log_sum(logarithms: Sequence[Floats]) -> Floats:
    """log sum exp, without overflow."""
    top = reduce(np.maximum, logarithms)
    return top + np.log(sum(np.exp(log - top) for log in logarithms))


def summed(parts: Sequence[Part], shape: tuple[int, ...]) -> Expansion:
    """The logarithm of a sum of terms to second order; ``shape`` is (..., P, n)."""
    wide = (*shape[:-2], shape[-1])
    logs = np.stack([np.broadcast_to(part.value, wide) for part in parts])
    value = log_sum(tuple(logs))
    shares = np.exp(logs - value)
    slopes = [np.stack(np.broadcast_arrays(*part.slopes, value)[:-1], axis=-2) for part in parts]
    gradient = np.zeros(shape)
    for part, share, slope in zip(parts, shares, slopes):
        gradient[..., list(part.at), :] += share[..., None, :] * slope

    def curvature(weights: Floats) -> Floats:
        matrix = -(gradient * weights[..., None, :]) @ np.swapaxes(gradient, -1, -2)
        for part, share, slope in zip(parts, shares, slopes):
            weighted = weights * share
            block = (slope * weighted[..., None, :]) @ np.swapaxes(slope, -1, -2)
            bends = {pair: np.broadcast_to(bend, wide) for pair, bend in part.bends.items()}
            rows, columns = np.ix_(part.at, part.at)
            matrix[..., rows, columns] += block + contracted(weighted, bends, len(part.at))
        return matrix

    return Expansion(value, gradient, curvature)
