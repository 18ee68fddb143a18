"""Exponents without embeddings: the published ones, their limits, and direct minimisation."""

import numpy as np
import pytest
from scipy import optimize

from pipeline.approaches.pearce_song import (
    OMEGA,
    apparent_exponent,
    local_exponent,
    optimal_counts,
    total,
)

HOFFMANN = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}
BESIROGLU = {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658}
both = pytest.mark.parametrize("values", [HOFFMANN, BESIROGLU])


@pytest.mark.parametrize(("values", "want"), [(BESIROGLU, 0.78), (HOFFMANN, 0.74)])
def test_published_exponents(values, want):
    assert apparent_exponent(values) == pytest.approx(want, abs=5e-3)


@both
def test_counting_everything_gives_chinchilla(values):
    want = values["beta"] / (values["alpha"] + values["beta"])
    assert apparent_exponent(values, omega=0.0) == pytest.approx(want, rel=1e-6)
    sizes = np.geomspace(1e3, 1e12, 4)
    np.testing.assert_allclose(local_exponent(sizes, values, 0.0), want, rtol=1e-12)


@both
def test_limits_of_the_local_exponent(values):
    ends = local_exponent(np.array([1e-6, 1e24]), values)
    a, b = values["alpha"], values["beta"]
    np.testing.assert_allclose(ends, [b / (a / 3 + b), b / (a + b)], rtol=1e-5)


@both
def test_local_exponent_rises_above_both_limits_and_falls(values):
    path = local_exponent(np.geomspace(1e-6, 1e24, 2000), values)
    top = int(path.argmax())
    assert path[top] > 1.2 * max(path[0], path[-1])
    assert (np.diff(path[: top + 1]) > -1e-12).all()
    assert (np.diff(path[top:]) < 1e-12).all()


@both
def test_local_exponent_is_the_slope_of_the_counts(values):
    sizes, step = np.geomspace(768, 1.5e9, 9), 1e-4
    below, above = (optimal_counts(sizes * np.exp(s), values).flops for s in (-step, step))
    np.testing.assert_allclose(
        2 * step / np.log(above / below), local_exponent(sizes, values), rtol=1e-7
    )


@both
@pytest.mark.parametrize("size", [1e4, 1e7, 1e9])
def test_size_is_the_best_of_its_budget(values, size):
    counts = optimal_counts(np.array(size), values)

    def loss(log_n):
        n = np.exp(log_n)
        whole, tokens = n + OMEGA * n ** (1 / 3), float(counts.flops) / (6 * n)
        return values["A"] * whole ** -values["alpha"] + values["B"] * tokens ** -values["beta"]

    found = optimize.minimize_scalar(
        loss, bracket=(np.log(size) - 0.5, np.log(size) + 0.1, np.log(size) + 0.5), tol=1e-10
    )
    assert np.exp(found.x) == pytest.approx(size, rel=1e-4)


def test_total_of_a_size_whose_halves_are_alike():
    half = OMEGA**1.5  # N = omega N^(1/3)
    assert total(np.array(half)) == pytest.approx(2 * half, rel=1e-12)
