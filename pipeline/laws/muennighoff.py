r"""Muennighoff et al. 2023 (arXiv:2305.16264), section 3: Chinchilla's law where tokens repeat.

D' = U_D (1 + R_D* (1 - exp(-R_D/R_D*))) with U_D = min(U, D) distinct tokens and R_D = D/U_D - 1;
N' likewise, with U_N = min(N, the compute-optimal size for U_D tokens) and R_N = N/U_N - 1.

theta = (log E, a, log alpha, b, log beta, log R_D*, log R_N*) with a = log A and b = log B at the
centre of the inputs. The optimal size for U_D tokens is, with w = log U_D,
l = (a - b + log alpha - log beta + beta w) / alpha.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from pipeline.laws.above_floor import AboveFloor
from pipeline.laws.base import Floats, Kind, Parameter, SurfaceLaw, Values, floor, scale
from pipeline.laws.parts import Part, PartLaw
from pipeline.laws.repetition import gain, log_gain

PAPER = "Muennighoff et al. 2023"  # of the published values, section 3 and appendix A


class _Coordinates(NamedTuple):
    """theta by coordinate, each (..., 1)."""

    e: Floats
    a: Floats
    p: Floats
    b: Floats
    q: Floats
    data_rate: Floats
    size_rate: Floats


class Muennighoff(AboveFloor, PartLaw, SurfaceLaw):
    """Chinchilla's law in effective parameters and effective tokens."""

    name = "muennighoff"
    title = "Data-constrained law: repeats decay"
    formula = (
        r"L = E + \frac{A}{N'^{\alpha}} + \frac{B}{D'^{\beta}}, \quad"
        r" D' = U_D + U_D R_D^* \left(1 - e^{-R_D/R_D^*}\right), \quad"
        r" N' = U_N + U_N R_N^* \left(1 - e^{-R_N/R_N^*}\right)"
    )
    citation = "Muennighoff et al. 2023, arXiv:2305.16264, section 3"
    use = "Runs that repeat their tokens, up to a few tens of times; also plans with few tokens."
    failure = "Loss never rises with more epochs or parameters, so it misses overfitting."
    inputs = ("params", "tokens", "unique_tokens")
    unlimited: ClassVar[Mapping[str, float]] = {"unique_tokens": np.inf}
    parameters = (
        Parameter("E", "E", "floor, the loss of unlimited size and data", "nats/token", Kind.FLOOR,
                  (1.87, PAPER)),
        Parameter("A", "A", "loss added by size at N' = 1", "nats/token", Kind.SCALE,
                  (521.0, PAPER)),
        Parameter("alpha", r"\alpha", "exponent of model size", "1", Kind.EXPONENT,
                  (0.353, PAPER)),
        Parameter("B", "B", "loss added by tokens at D' = 1", "nats/token", Kind.SCALE,
                  (1488.0, PAPER)),
        Parameter("beta", r"\beta", "exponent of tokens", "1", Kind.EXPONENT, (0.353, PAPER)),
        Parameter("Rd", "R_D^*", "repetitions of the tokens before they stop to help", "1",
                  Kind.SCALE, (15.39, PAPER)),
        Parameter("Rn", "R_N^*", "excess of the size, over the best one, before it stops to help",
                  "1", Kind.SCALE, (5.31, PAPER)),
    )  # fmt: skip

    def centre(self, x: Floats) -> Floats:
        """Tokens and distinct tokens move together: their ratio counts epochs."""
        size, tokens, _ = x.mean(-1)
        return np.array([size, tokens, tokens])

    def logarithms(self, theta: Floats, x: Floats) -> tuple[Floats, ...]:
        t, distinct = _split(theta), np.minimum(x[1], x[2])
        best = np.minimum(_best_size(t, distinct), x[0])
        size = best + log_gain(t.size_rate, np.expm1(x[0] - best))
        data = distinct + log_gain(t.data_rate, np.expm1(x[1] - distinct))
        return t.e, t.a - np.exp(t.p) * size, t.b - np.exp(t.q) * data

    def parts(self, theta: Floats, x: Floats) -> tuple[Part, ...]:
        t, distinct = _split(theta), np.minimum(x[1], x[2])
        return Part((0,), t.e, (1.0,), {}), _size(t, x[0], distinct), _data(t, x[1], distinct)

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        moved = theta.copy()
        moved[..., 1] += np.exp(theta[..., 2]) * centre[0]
        moved[..., 3] += np.exp(theta[..., 4]) * centre[1]
        return moved

    def values(self, theta: Floats) -> dict[str, Floats]:
        return {
            "E": floor(theta[..., 0]), "A": scale(theta[..., 1]), "alpha": scale(theta[..., 2]),
            "B": scale(theta[..., 3]), "beta": scale(theta[..., 4]),
            "Rd": scale(theta[..., 5]), "Rn": scale(theta[..., 6]),
        }  # fmt: skip

    def theta(self, values: Values) -> Floats:
        with np.errstate(divide="ignore"):  # E = 0 is a law without a floor
            columns = [np.log(values[parameter.name]) for parameter in self.parameters]
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low = [y.min() - 3.0, y.mean() - 2.5, np.log(0.05), y.mean() - 2.5, np.log(0.05), 0.0, 0.0]
        high = [y.min() - 0.02, y.mean(), np.log(0.8), y.mean(), np.log(0.8), np.log(60.0),
                np.log(60.0)]  # fmt: skip
        return np.array(low), np.array(high)


def _split(theta: Floats) -> _Coordinates:
    return _Coordinates(*np.moveaxis(theta[..., None], -2, 0))


def _best_size(t: _Coordinates, distinct: Floats) -> Floats:
    """log of the compute-optimal N for the distinct tokens."""
    return np.exp(-t.p) * (t.a - t.b + t.p - t.q) + np.exp(t.q - t.p) * distinct


def _size(t: _Coordinates, log_n: Floats, distinct: Floats) -> Part:
    """The size term, in (a, p, b, q, log R_N*).

    log N' = H(l, log R_N*) = l + gain(R_N) with R_N = N exp(-l) - 1, where N exceeds its best size
    exp(l), and log N where it does not; there the derivatives of H vanish.
    """
    alpha, inverse, tilt = np.exp(t.p), np.exp(-t.p), np.exp(t.q - t.p) * distinct
    best = _best_size(t, distinct)
    excess = np.maximum(log_n - best, 0.0)
    over = (log_n > best).astype(float)
    repeats = np.expm1(excess)
    found = gain(t.size_rate, repeats)
    size = log_n - excess + found.value
    grow = 1 + repeats  # -dR/dl
    by_best = over * (1 - found.left)
    by_best_twice = over * grow * found.left_by_repeats
    by_both = -over * grow * found.by_rate_by_repeats
    # l to second order in (a, p, b, q).
    first = (inverse, inverse - best, -inverse, tilt - inverse)
    second = {
        (0, 1): -inverse, (1, 1): best - 2 * inverse, (1, 2): inverse, (1, 3): inverse - tilt,
        (3, 3): tilt,
    }  # fmt: skip
    slopes = [by_best * one for one in first] + [over * found.by_rate]
    bends = {
        (i, j): by_best_twice * first[i] * first[j] + by_best * second.get((i, j), 0.0)
        for i in range(4) for j in range(i, 4)
    }  # fmt: skip
    bends |= {(i, 4): by_both * first[i] for i in range(4)} | {(4, 4): over * found.by_rate_twice}
    # The term is a - exp(p) H.
    scaled = {pair: -alpha * bend for pair, bend in bends.items()}
    for j in range(5):
        pair = (min(1, j), max(1, j))
        scaled[pair] = scaled[pair] - alpha * slopes[j] * (2.0 if j == 1 else 1.0)
    scaled[1, 1] = scaled[1, 1] - alpha * size
    outer = [-alpha * slope for slope in slopes]
    outer[0], outer[1] = outer[0] + 1.0, outer[1] - alpha * size
    return Part((1, 2, 3, 4, 6), t.a - alpha * size, tuple(outer), scaled)


def _data(t: _Coordinates, log_d: Floats, distinct: Floats) -> Part:
    """The data term b - exp(q) log D', in (b, q, log R_D*)."""
    beta = np.exp(t.q)
    found = gain(t.data_rate, np.expm1(log_d - distinct))
    data = distinct + found.value
    return Part(
        (3, 4, 5),
        t.b - beta * data,
        (1.0, -beta * data, -beta * found.by_rate),
        {(1, 1): -beta * data, (1, 2): -beta * found.by_rate, (2, 2): -beta * found.by_rate_twice},
    )


LAW = Muennighoff()
