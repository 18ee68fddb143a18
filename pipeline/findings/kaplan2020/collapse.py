"""How far models of several depths lie from one curve in their size, however that is counted.

Figure 6 draws, and the claim about embeddings judges, what is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pipeline.findings.data import Row
from pipeline.laws.base import Floats

SHALLOW = 2  # layers; the paper finds that models of fewer are worse, and leaves them out
LEAST_SIZES = 5  # for a curve of three numbers
COUNTS = ("params_total", "params")  # with embeddings and without


def deep(runs: Iterable[Row]) -> list[Row]:
    """The included runs of two layers or more."""
    kept = (run for run in runs if run["included"] and run["loss"] is not None)
    return [run for run in kept if run["n_layer"] >= SHALLOW]


def scatter(size: Floats, loss: Floats) -> float:
    """Root mean square distance of log losses (n,) from a parabola in log size (n,).

    A bend of the trend so does not count as scatter. NaN where the sizes do not determine it.
    """
    if len(np.unique(size)) < LEAST_SIZES:
        return np.nan
    x, y = (size - size.mean()) / size.std(), loss
    freedom = len(x) - 3
    return float(np.sqrt(((y - np.polyval(np.polyfit(x, y, 2), x)) ** 2).sum() / freedom))


def logs(runs: Iterable[Row], column: str) -> Floats:
    """Natural logs of a column (n,)."""
    return np.log([run[column] for run in runs])
