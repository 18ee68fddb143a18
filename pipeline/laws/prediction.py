"""What one more run would measure, according to a fit: three sources of doubt, apart and together.

The parameters' doubt is that of the bootstrap replicates. The residuals' is the scatter of runs
around the law, which one more run shares. The seed's is the part of that scatter which other seeds
of the same run show. The error of the form itself is in none of them; a backtest measures it.

In a linear law with normal errors one more run lies within t s sqrt(1 + h) of the line: both parts
are widened alike, by Student's t and by the residuals' lost degrees of freedom (``widening.py``).
Here each part keeps the shape it has. Few residuals are a coarse picture of their scatter, so they
are drawn with a little normal noise, at the same variance (smoothed bootstrap: Silverman and Young
1987, Biometrika 74:469).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Law
from pipeline.laws.interval import interval
from pipeline.laws.widening import expanded, widening

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
    factor: float | None = None,
) -> Prediction:  # fmt: skip
    """The target at ``inputs`` (each (m,)), from replicates (R,) and the fit's residuals (n,).

    ``factor`` widens the percentiles of replicates; where not given, as for n single runs.
    """
    best = {name: np.asarray(value, float) for name, value in values.items()}
    mid = law.predict(best, inputs)
    n, freedom = len(residuals), len(residuals) - len(law.parameters)
    of_scatter = widening(level, freedom, freedom / n)
    of_law = of_scatter if factor is None else factor
    samples = law.predict(replicates, inputs)  # (R, m)
    rng = np.random.default_rng(0)
    rows = rng.integers(len(samples), size=DRAWS)
    noise = of_scatter * smoothed(residuals, DRAWS, rng)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # a replicate may have no value here
        drawn = mid * np.exp(of_law * np.log(samples[rows] / mid) + noise)
    low, high = interval(drawn, level)
    spread = float(np.sqrt((residuals**2).sum() / max(freedom, 1)))
    ends = interval(samples, expanded(level, of_law))
    return Prediction(mid, low, high, ends, spread, seed_noise)


def smoothed(residuals: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Draws (count,) around residuals (n,), of their mean and variance.

    The bandwidth is that of Silverman 1986, eq. 3.31.
    """
    mean, deviation = residuals.mean(), residuals.std()
    drawn = rng.choice(residuals, size=count)
    normal = rng.standard_normal(count)
    if not deviation > 0:
        return drawn
    quartiles = np.ptp(np.quantile(residuals, [0.25, 0.75])) / 1.34
    width = 0.9 * (min(deviation, quartiles) or deviation) * len(residuals) ** -0.2
    shrunk = np.sqrt(1 + (width / deviation) ** 2)
    return np.asarray(mean + (drawn - mean + width * normal) / shrunk)
