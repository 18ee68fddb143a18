"""The target, its samples, the fitted polynomial, and its test error, which needs no test set.

With x = cos(theta) and theta uniform, the Chebyshev polynomials phi_0 = 1 and
phi_k(x) = sqrt(2) cos(k theta) are orthonormal. The angles are drawn from ``GRID`` equal steps of
the circle, so every sum over samples is a Fourier transform of their histogram; on them the terms
up to degree GRID/2 - 1 are orthonormal too, and by Parseval's theorem the mean square error over
all x is the sum of the squared errors of the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.regression.definition import TERMS

GRID = 2 * TERMS
NORM = np.full(TERMS, np.sqrt(2.0))  # phi_k over cos(k theta)
NORM[0] = 1.0

Floats = NDArray[np.float64]
Points = NDArray[np.int64]


@cache
def spectrum(exponent: float) -> Floats:
    """Variance of the target in each degree (TERMS,), 1 in all.

    From degree N on it is N^-exponent, exactly: degree k has k^-exponent - (k+1)^-exponent, the
    constant none, and the last degree all that is left.
    """
    rest = np.arange(1, TERMS, dtype=np.float64) ** -exponent
    found = np.zeros(TERMS)
    found[1:] = rest - np.append(rest[1:], 0.0)
    return found


def prior(exponent: float, size: int) -> Floats:
    """What the regressor expects of each squared coefficient (size,): the target's own variances.

    The constant, which the target lacks, is expected to be like the next term.
    """
    found = spectrum(exponent)[:size].copy()
    found[0] = found[1]
    return found


@dataclass(frozen=True)
class Target:
    """A function by its coefficients (TERMS,) and by its values on the circle (GRID,)."""

    coefficients: Floats
    values: Floats


def target(exponent: float, seed: int) -> Target:
    """The target of a seed: coefficients of the spectrum's size with random signs."""
    signs = np.random.default_rng([seed, 0]).choice([-1.0, 1.0], TERMS)
    coefficients = signs * np.sqrt(spectrum(exponent))
    return Target(coefficients, on_circle(coefficients * NORM))


def on_circle(weights: Floats) -> Floats:
    """sum_k weights_k cos(k theta) at every angle of the circle (GRID,)."""
    halves = np.zeros(GRID // 2 + 1)
    halves[: len(weights)] = weights
    halves[1:] /= 2
    found: Floats = np.fft.irfft(halves, GRID) * GRID
    return found


def cosines(points: Points, weights: Floats | None = None) -> Floats:
    """sum_i weights_i cos(k theta_i) for k = 0 to GRID/2, of points (D,) given by their steps."""
    histogram = np.bincount(points, weights=weights, minlength=GRID)
    found: Floats = np.fft.rfft(histogram).real
    return found


def least_squares(points: Points, y: Floats, expected: Floats, ridge: float) -> Floats:
    """Coefficients (N,) of ridge regression by the normal equations, an N x N system.

    They minimise sum_i (y_i - f(x_i))^2 + ridge sum_k w_k^2 / expected_k.
    """
    size = len(expected)
    norm, degree, sums = NORM[:size], np.arange(size), cosines(points)
    # cos j cos k = (cos(j - k) + cos(j + k)) / 2
    apart, together = abs(degree[:, None] - degree), degree[:, None] + degree
    gram = norm[:, None] * norm * (sums[apart] + sums[together]) / 2
    right = norm * cosines(points, y)[:size]
    found: Floats = np.linalg.solve(gram + np.diag(ridge / expected), right)
    return found


def kernel_regression(points: Points, y: Floats, expected: Floats, ridge: float) -> Floats:
    """The same coefficients (N,) by way of the kernel, a D x D system whatever N is.

    The kernel is K(x, x') = sum_k expected_k phi_k(x) phi_k(x').
    """
    norm = NORM[: len(expected)]
    table = on_circle(expected * norm**2)
    apart, together = points[:, None] - points, points[:, None] + points
    kernel = (table[apart % GRID] + table[together % GRID]) / 2
    dual = np.linalg.solve(kernel + ridge * np.eye(len(points)), y)
    return expected * norm * cosines(points, dual)[: len(expected)]


def excess_error(
    of: Target, exponent: float, noise: float, size: int, samples: int, seed: int
) -> float:
    """Mean square test error, less that of the noise, of ``size`` terms fitted to ``samples``.

    The ridge is the variance of all that the polynomial cannot express: the target's terms beyond
    it, and the noise. With the target's own variances as prior no other linear regressor has a
    smaller expected error, as far as the terms beyond it are like noise.
    """
    random = np.random.default_rng([seed, 1, size, samples])
    points = random.integers(GRID, size=samples)
    y = of.values[points] + noise * random.standard_normal(samples)
    beyond = float(spectrum(exponent)[size:].sum())
    solve = least_squares if size <= samples else kernel_regression
    found = solve(points, y, prior(exponent, size), beyond + noise**2)
    return float(((found - of.coefficients[:size]) ** 2).sum()) + beyond
