"""How far apart two places are where a fit may end: by the law there, and not by its numbers.

Numbers are no measure: the logarithm of a floor that vanished may be anything.
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.base import Floats, Law


def moves(law: Law, x: Floats, theta: Floats, others: Floats) -> Floats:
    """How far others (B, P) are from theta (P,), in log target: to first order, over the runs."""
    gradient = law.expansion(theta, x).gradient
    step = np.where(np.isfinite(others), others, np.inf) - theta
    with np.errstate(invalid="ignore"):
        squares = np.einsum("bp,pq,bq->b", step, gradient @ gradient.T / x.shape[1], step)
    return np.sqrt(np.maximum(np.nan_to_num(squares, nan=np.inf), 0.0))
