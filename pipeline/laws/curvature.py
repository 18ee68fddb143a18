"""Weighted sums of Hessians that are mostly zero."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.laws.base import Floats


def contracted(weights: Floats, entries: Mapping[tuple[int, int], Floats], size: int) -> Floats:
    """The sum over runs of weights (..., n) times symmetric Hessians, (..., size, size).

    ``entries`` holds those on and above the diagonal that are not zero, each of shape (..., n).
    """
    matrix = np.zeros((*weights.shape[:-1], size, size))
    for (row, column), entry in entries.items():
        matrix[..., row, column] = (weights * entry).sum(-1)
        matrix[..., column, row] = matrix[..., row, column]
    return matrix
