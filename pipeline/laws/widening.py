"""How much too narrow the percentiles of a bootstrap are, and which percentiles mend it.

Percentiles of a bootstrap of n runs are too narrow twice: residuals of a fit with P parameters are
smaller than errors by sqrt((n - P)/n), and the normal quantile stands where Student's t should.
Both are mended by percentiles further out (the expanded percentile interval of Hesterberg 2015, The
American Statistician 69:371, there for a mean): every replicate stays the fit of a resample.
"""

from __future__ import annotations

import numpy as np
import scipy


def widening(level: float, freedom: float, shrinkage: float) -> float:
    """How much wider than its percentiles a bootstrap interval must be, as a factor.

    ``freedom`` is that of Student's t, ``shrinkage`` the variance of the bootstrap over the true
    one. 1 where there is no freedom left to judge by.
    """
    if not (freedom > 0 and shrinkage > 0):
        return 1.0
    outside = 0.5 + level / 2
    return float(
        scipy.special.stdtrit(freedom, outside) / scipy.special.ndtri(outside) / np.sqrt(shrinkage)
    )


def expanded(level: float, factor: float) -> float:
    """The level whose percentiles are ``factor`` times as far out as those of ``level``."""
    return float(2 * scipy.special.ndtr(factor * scipy.special.ndtri(0.5 + level / 2)) - 1)
