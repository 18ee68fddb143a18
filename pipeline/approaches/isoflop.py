"""The minimum of an isoFLOP curve, by a parabola or an Akima interpolant, all resamples at once.

Each method takes the losses of one budget's sizes, many resamples of them as rows, and gives the
log N of each row's minimum; NaN where the row has none inside its sizes.

The parabola is that of Hoffmann et al. 2022 (arXiv:2203.15556, section 3.2), in log N, through the
``WINDOW`` sizes on either side of the best one: further out an isoFLOP curve is no parabola. Inside
it is none either, so a cubic through the same sizes says how far that moves the vertex. The
interpolant is Akima's (J. ACM 17, 1970) of log loss in log N, as in Porian et al. 2024
(arXiv:2406.19146, appendix B); its minimum is exact, a root of one of its cubics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.laws.base import Floats

WINDOW = 3  # sizes on either side of the best one
NO_BEND = 1e-9  # changes of slope below this share of the largest are none (Akima's special case)


class Minima(NamedTuple):
    """Minimum of each row: natural log of N and the loss there, (R,); NaN where there is none."""

    log_params: Floats
    loss: Floats


Finder = Callable[[Floats, Floats, Floats], Minima]


class Method(NamedTuple):
    """A way to find minima, the line it draws through a budget, and the fewest sizes it needs.

    ``curve`` gives log N and loss along that line, from log N and loss (k,) and a number of points.
    ``wider`` is the same with the next term of the form, whose minima the interval holds as well.
    """

    minima: Finder
    curve: Callable[[Floats, Floats, int], tuple[Floats, Floats]]
    sizes: int
    wider: Finder | None = None


def parabola(x: Floats, loss: Floats, weights: Floats, window: int = WINDOW) -> Minima:
    """Vertices of weighted least-squares parabolas in x.

    x (k,) is log N, ascending; loss (R, k) in nats/token; weights (R, k) says how often each size
    counts. The parabola takes the ``window`` sizes on both sides of the best. A row whose best size
    is its first or last, whose parabola opens downward, or whose vertex lies outside the sizes it
    was fitted to, has no minimum.
    """
    return _vertex(x, loss, weights, window, 2)


def cubic(x: Floats, loss: Floats, weights: Floats, window: int = WINDOW) -> Minima:
    """Minima of cubics through the sizes of ``parabola``, whose arguments it takes.

    Where a curve falls otherwise than it rises, a parabola's vertex is off by the third power of
    log N to first order; the cubic is not, and feels noise about thrice as much. A row of three
    sizes has a parabola only, which is taken.
    """
    few = _near_best(loss, weights, window).sum(1) < 4
    straight, bent = (_vertex(x, loss, weights, window, degree) for degree in (2, 3))
    return Minima(*(np.where(few, a, b) for a, b in zip(straight, bent)))


def _vertex(x: Floats, loss: Floats, weights: Floats, window: int, degree: int) -> Minima:
    near = np.where(_near_best(loss, weights, window), weights, 0.0)
    middle, half = (x[0] + x[-1]) / 2, np.ptp(x) / 2
    scaled = (x - middle) / half
    c0, c1, c2, c3 = _polynomial(scaled, loss, near, degree)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The root of the slope where it rises; c3 = 0 gives that of a parabola.
        vertex = -c1 / (c2 + np.sqrt(c2**2 - 3 * c1 * c3))
        vertex = np.where(c2 + 3 * c3 * vertex > 0, vertex, np.nan)
    lowest = c0 + vertex * (c1 + vertex * (c2 + vertex * c3))
    low = np.where(near > 0, scaled, np.inf).min(1)
    high = np.where(near > 0, scaled, -np.inf).max(1)
    best = scaled[np.where(weights > 0, loss, np.inf).argmin(1)]
    inside = (vertex > low) & (vertex < high) & (low < best) & (best < high)
    return Minima(
        np.where(inside, middle + half * vertex, np.nan), np.where(inside, lowest, np.nan)
    )


def _near_best(loss: Floats, weights: Floats, window: int) -> NDArray[np.bool_]:
    """Mask (R, k) of the sizes within ``window`` places of the best, among those with a weight."""
    taken = weights > 0
    place = np.cumsum(taken, axis=1)
    best = np.where(taken, loss, np.inf).argmin(1)
    distance = np.abs(place - np.take_along_axis(place, best[:, None], 1))
    return taken & (distance <= window)


def _polynomial(x: Floats, y: Floats, weights: Floats, degree: int) -> tuple[Floats, ...]:
    """Coefficients of weighted polynomials c0 + c1 x + c2 x^2 + c3 x^3 in x (k,), each (R,).

    The degree is 2 or 3, and c3 = 0 where it is 2. NaN without more sizes than that.
    """
    count = degree + 1
    powers = x[:, None] ** np.arange(2.0 * degree + 1)
    moments = (weights @ powers)[:, np.arange(count)[:, None] + np.arange(count)]
    right = (weights * y) @ powers[:, :count]
    carries = (weights > 0).sum(1) >= count
    coefficients = np.zeros((len(weights), 4))
    coefficients[~carries] = np.nan
    if carries.any():
        solved = np.linalg.solve(moments[carries], right[carries, :, None])
        coefficients[carries, :count] = solved[..., 0]
    return tuple(coefficients.T)


def akima(x: Floats, loss: Floats, weights: Floats) -> Minima:
    """Minima of Akima interpolants of log loss, through the sizes that have a weight.

    Shapes as for ``parabola``. A row whose interpolant is lowest at its first or last size, or
    that has fewer than three sizes, has no minimum.
    """
    taken = weights > 0
    log_params, lowest = np.full(len(loss), np.nan), np.full(len(loss), np.nan)
    front = np.argsort(~taken, axis=1, kind="stable")
    counts = taken.sum(1)
    for count in np.unique(counts[counts >= 3]):
        rows = np.flatnonzero(counts == count)
        columns = front[rows, :count]
        y = np.log(np.take_along_axis(loss[rows], columns, 1))
        log_params[rows], lowest[rows] = _lowest(x[columns], y)
    return Minima(log_params, np.exp(lowest))


def akima_slopes(x: Floats, y: Floats) -> Floats:
    """Akima's slopes at the knots: x and y (R, m), m at least 3 -> (R, m)."""
    inner = np.diff(y) / np.diff(x)
    slope = np.empty((len(y), y.shape[1] + 3))
    slope[:, 2:-2] = inner
    slope[:, 1] = 2 * slope[:, 2] - slope[:, 3]
    slope[:, 0] = 2 * slope[:, 1] - slope[:, 2]
    slope[:, -2] = 2 * slope[:, -3] - slope[:, -4]
    slope[:, -1] = 2 * slope[:, -2] - slope[:, -3]
    bend = np.abs(np.diff(slope))
    after, before = bend[:, 2:], bend[:, :-2]
    total = after + before
    bends = total > NO_BEND * total.max(1, keepdims=True)
    share = np.divide(after, total, out=np.full_like(total, 0.5), where=bends)
    return share * slope[:, 1:-2] + (1 - share) * slope[:, 2:-1]


def _lowest(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Where Akima's interpolants are lowest, and how low: (R, m) -> (R,), (R,)."""
    start, width = x[:, :-1], np.diff(x)
    slope = akima_slopes(x, y)
    rise = np.diff(y) / width
    first, last = slope[:, :-1], slope[:, 1:]
    second = (3 * rise - 2 * first - last) / width
    third = (first + last - 2 * rise) / width**2
    # The root of first + 2 second s + 3 third s^2 where the cubic bends upward.
    root = np.sqrt(np.maximum(second**2 - 3 * third * first, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.where(second >= 0, -first / (second + root), (root - second) / (3 * third))
    within = (s > 0) & (s < width)
    s = np.where(within, s, 0.0)
    value = y[:, :-1] + s * (first + s * (second + s * third))
    # Where a cubic has no minimum inside, its first knot stands for it.
    best = np.where(within | (np.arange(width.shape[1]) > 0), value, np.inf).argmin(1)
    rows = np.arange(len(y))
    at, low = (start + s)[rows, best], value[rows, best]
    inner = low < np.minimum(y[:, 0], y[:, -1])
    return np.where(inner, at, np.nan), np.where(inner, low, np.nan)


def parabola_curve(x: Floats, loss: Floats, points: int) -> tuple[Floats, Floats]:
    """The parabola of ``parabola``, over the sizes that it was fitted to."""
    near = _near_best(loss[None], np.ones((1, len(x))), WINDOW)[0]
    line = np.linspace(x[near][0], x[near][-1], points)
    return line, np.polynomial.Polynomial.fit(x[near], loss[near], 2)(line)


def akima_curve(x: Floats, loss: Floats, points: int) -> tuple[Floats, Floats]:
    """The interpolant of ``akima``."""
    y = np.log(loss)
    line = np.linspace(x[0], x[-1], points)
    slopes = akima_slopes(x[None], y[None])[0]
    return line, np.exp(scipy.interpolate.CubicHermiteSpline(x, y, slopes)(line))


METHODS: dict[str, Method] = {
    "isoflop_parabola": Method(parabola, parabola_curve, 3, cubic),
    "isoflop_akima": Method(akima, akima_curve, 5),
}
