"""How well a fit describes its own runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats


class Quality(NamedTuple):
    """How well a fit describes its own runs, in log loss; NaN where it is not defined.

    ``r2`` is the share of the variance that the fit explains. ``r2_line``, for laws of one input,
    is that of the best straight line in logarithms, the squared correlation.
    """

    r2: float
    r2_line: float
    rmse: float


def quality(x: Floats, y: Floats, residual: Floats) -> Quality:
    """Of a fit to log targets y (n,) at log inputs x (K, n)."""
    varied = np.ptp(y) > 0
    straight = varied and len(x) == 1 and np.ptp(x) > 0
    return Quality(
        float(1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()) if varied else np.nan,
        float(np.corrcoef(x[0], y)[0, 1] ** 2) if straight else np.nan,
        float(np.sqrt((residual**2).mean())),
    )
