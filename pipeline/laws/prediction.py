"""What one more run would measure, according to a fit: three sources of doubt, apart and together.

The parameters' doubt is that of the bootstrap replicates. The residuals' is the scatter of runs
around the law, which one more run shares. The seed's is the part of that scatter which other seeds
of the same run show. The error of the form itself is in none of them; a backtest measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Law
from pipeline.laws.interval import interval

DRAWS = 2000  # of parameters and residuals together, for the interval of one more run


class Prediction(NamedTuple):
    """A predicted target and its interval for one more run (m,), with the parts of the doubt.

    ``parameters`` holds low and high of the law itself; ``residual`` and ``seed`` are standard
    deviations of the log target (``seed`` is NaN where no design point was run twice).
    """

    value: Floats
    low: Floats
    high: Floats
    parameters: tuple[Floats, Floats]
    residual: float
    seed: float


def predicted(
    law: Law, values: Mapping[str, float], replicates: Mapping[str, Floats], residuals: Floats,
    inputs: Mapping[str, Floats], level: float, seed_noise: float = np.nan,
) -> Prediction:  # fmt: skip
    """The target at ``inputs`` (each (m,)), from replicates (R,) and the fit's residuals (n,)."""
    best = {name: np.asarray(value, float) for name, value in values.items()}
    mid = law.predict(best, inputs)
    freedom = max(len(residuals) - len(law.parameters), 1)
    scatter = residuals * np.sqrt(len(residuals) / freedom)
    samples = law.predict(replicates, inputs)  # (R, m)
    rng = np.random.default_rng(0)
    rows = rng.integers(len(samples), size=DRAWS)
    noise = rng.choice(scatter, size=(DRAWS, 1))
    low, high = interval(samples[rows] * np.exp(noise), level)
    spread = float(np.sqrt((scatter**2).mean()))
    return Prediction(mid, low, high, interval(samples, level), spread, seed_noise)
