r"""Farseer (Li et al. 2025, arXiv:2506.10972): data decay at a rate that depends on the size.

L = exp(s N^q + S) + exp(B N^b + Q) D^(-exp(A N^a + E)). Each N-dependence k N^p + K is written
around the centre of log N as  K0 + k0 f(p, u) with f = (exp(p u) - 1)/p, which is u where p = 0,
so that K0 is its value there and k0 its slope; and the data term by its value at ``PIVOT`` tokens:

theta = (S0, s0, q, Q0, B0, b, E0, A0, a),
g_data = Q0 + B0 f(b, u) - exp(E0 + A0 f(a, u)) v + exp(E0) log PIVOT, v = log D.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.laws.base import Floats, Kind, Parameter, SurfaceLaw, Values
from pipeline.laws.parts import Part, PartLaw

PIVOT = 1e10  # tokens
STRAIGHT = 0.3  # |p u| below which the series is the more exact
ORDER = 12  # of the series
WILD = 50.0  # exponents are held inside this: beyond are those of no fit, which would overflow


class Farseer(PartLaw, SurfaceLaw):
    """A size term and a data term, both with coefficients that bend with size."""

    name = "farseer"
    title = "Farseer"
    formula = r"L(N, D) = e^{s N^q + S} + e^{B N^b + Q} D^{-e^{A N^a + E}}"
    citation = "Li et al. 2025, arXiv:2506.10972"
    use = "Hundreds of runs on a wide grid, where Chinchilla's residuals show a pattern."
    failure = (
        "Nine numbers that trade off; fitted in tokens, another unit of D is another law. A small "
        "grid leaves most of them open and the loss far out with them."
    )
    parameters = (
        Parameter("s", "s", "factor of the size in the size term", "1", Kind.SLOPE),
        Parameter("q", "q", "exponent of the size in the size term", "1", Kind.SLOPE),
        Parameter("S", "S", "log of the size term where its factor vanishes", "1", Kind.OFFSET),
        Parameter("B", "B", "factor of the size in the data term", "1", Kind.SLOPE),
        Parameter("b", "b", "exponent of the size in the data term", "1", Kind.SLOPE),
        Parameter("Q", "Q", "log of the data term where its factor vanishes", "1", Kind.OFFSET),
        Parameter("A", "A", "factor of the size in the data exponent", "1", Kind.SLOPE),
        Parameter("a", "a", "exponent of the size in the data exponent", "1", Kind.SLOPE),
        Parameter("E", "E", "log of the data exponent where its factor vanishes", "1", Kind.OFFSET),
    )

    def centre(self, x: Floats) -> Floats:
        """Tokens stay: their unit is part of the formula."""
        return np.array([x[0].mean(), 0.0])

    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        size, height, decay = (_bent(theta, first, x[0]).value for first in (0, 3, 6))
        anchor = _grown(theta[..., 6, None]) * np.log(PIVOT)
        return size, height - _grown(decay) * x[1] + anchor

    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        size, height, decay = (_bent(theta, first, x[0]) for first in (0, 3, 6))
        anchor = _grown(theta[..., 6, None]) * np.log(PIVOT)
        pull = _grown(decay.value) * x[1]
        slopes = [-pull * slope for slope in decay.slopes]
        bends = {
            (i + 3, j + 3): -pull * (decay.bends.get((i, j), 0.0) + decay.slopes[i] * slope)
            for j, slope in enumerate(decay.slopes) for i in range(j + 1)
        }  # fmt: skip
        bends[3, 3] = bends[3, 3] + anchor
        slopes[0] = slopes[0] + anchor
        data = Part(
            (3, 4, 5, 6, 7, 8), height.value - pull + anchor, (*height.slopes, *slopes),
            {**height.bends, **bends},
        )  # fmt: skip
        return Part((0, 1, 2), size.value, size.slopes, size.bends), data

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        for first in (0, 3, 6):
            slope, power = theta[..., first + 1], theta[..., first + 2]
            moved[..., first] += slope * _powers(power, -centre[0])[0]
            moved[..., first + 1] = slope * _grown(-power * centre[0])
        moved[..., 3] += (_grown(theta[..., 6]) - _grown(moved[..., 6])) * np.log(PIVOT)
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        named: dict[str, Floats] = {}
        anchor = _grown(theta[..., 6]) * np.log(PIVOT)
        for first, names in ((0, "sqS"), (3, "BbQ"), (6, "AaE")):
            value, slope, power = np.moveaxis(theta[..., first : first + 3], -1, 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = slope / power
            named |= dict(zip(names, (factor, power, value - factor)))
        return named | {"Q": named["Q"] + anchor}

    def theta(self, values: Values) -> Floats:
        columns: list[Floats] = []
        for names in ("sqS", "BbQ", "AaE"):
            factor, power, value = (np.asarray(values[name], float) for name in names)
            columns += [value + factor, factor * power, power]
        columns[3] = columns[3] - _grown(columns[6]) * np.log(PIVOT)
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        """Power laws and near ones; the signs in the data term are those of larger models."""
        low = [y.min() - 1.5, -0.3, -0.2, y.mean() - 2.5, -0.5, -0.3, np.log(0.1), -0.1, -0.2]
        high = [y.mean(), -0.02, 0.3, y.mean() - 0.5, 0.1, 0.1, np.log(0.6), 0.15, 0.2]
        return np.array(low), np.array(high)


class _Bent(NamedTuple):
    """K0 + k0 f(p, u) to second order in (K0, k0, p)."""

    value: Floats
    slopes: tuple[Floats | float, ...]
    bends: dict[tuple[int, int], Floats | float]


def _bent(theta: Floats, first: int, u: Floats) -> _Bent:
    value, slope, power = np.moveaxis(theta[..., first : first + 3, None], -2, 0)
    shape, turn, turn_again = _powers(power, u)
    return _Bent(
        value + slope * shape, (1.0, shape, slope * turn),
        {(1, 2): turn, (2, 2): slope * turn_again},
    )  # fmt: skip


def _powers(p: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
    """(exp(p u) - 1)/p and its first and second derivatives by p; p = 0 gives the limits.

    They are u, u^2 and u^3 times the integrals of exp(z t), t exp(z t) and t^2 exp(z t) from 0 to
    1, with z = p u.
    """
    if u.ndim == 1 and p.ndim and p.shape[-1] == 1:  # a design has few sizes
        sizes, of = np.unique(u, return_inverse=True)
        if len(sizes) < len(u):
            at_zero, at_one, at_two = _powers(p, sizes)
            return at_zero[..., of], at_one[..., of], at_two[..., of]
    z = np.clip(p * u, -WILD, WILD)
    straight = np.abs(z) < STRAIGHT
    grown, near, far = np.exp(z), np.where(straight, z, 0.0), np.where(straight, 1.0, z)
    series, term = np.full_like(near, 1 / 3), np.ones_like(near)
    for k in range(1, ORDER):
        term = term * near / k
        series = series + term / (k + 3)
    # By parts, each from the next where z is small, and from the one before where it is not.
    one = (grown - near * series) / 2
    zero = grown - near * one
    far_zero = (grown - 1) / far
    far_one = (grown - far_zero) / far
    far_two = (grown - 2 * far_one) / far
    return (
        u * np.where(straight, zero, far_zero),
        u**2 * np.where(straight, one, far_one),
        u**3 * np.where(straight, series, far_two),
    )


def _grown(exponent: Floats) -> Floats:
    return np.exp(np.clip(exponent, -WILD, WILD))


LAW = Farseer()
