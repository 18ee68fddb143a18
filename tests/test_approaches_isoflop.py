"""Minima of isoFLOP curves against scipy, closed forms and the published exponents."""

from __future__ import annotations

import csv

import law_data
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import Akima1DInterpolator
from scipy.optimize import minimize_scalar

from pipeline.approaches.allocation import Allocation, Options
from pipeline.approaches.budgets import budgets
from pipeline.approaches.isoflop import (
    METHODS,
    WINDOW,
    akima,
    akima_curve,
    akima_slopes,
    cubic,
    parabola,
    parabola_curve,
)
from pipeline.approaches.minima import isoflop
from pipeline.laws import law
from pipeline.laws.base import Runs, Status

RECIPES = {  # Porian et al. 2024, figure 1, from left to right
    "reproducing Kaplan et al.": ("base", "long", "kaplan", "kaplan", "train"),
    "last layer counted": ("base", "long", "kaplan", "standard", "val"),
    "warmup corrected": ("base", "short", "kaplan", "standard", "val"),
    "cosine decay": ("base", "short", "chinchilla", "standard", "val"),
    "tuned, no decay": ("tuned", "short", "const", "standard", "val"),
}
KEYS = ("hparams", "warmup", "decay", "param_count", "split")
NOISE = {"rw": 0.002, "owt2": 0.01}  # nats/token, as their code takes it
PRINTED = {
    "rw": (0.835, 0.706, 0.602, 0.571, 0.497),
    "owt2": (0.864, 0.699, 0.603, 0.574, 0.518),
}
# Their optima are medians of 1,000 random draws on a grid of 25 points between sizes. Step and
# draw alone move the exponent by this much (twice the standard deviation over seeds of a
# repetition with scipy's interpolant).
SCATTER = {"rw": 0.0012, "owt2": 0.003}


def cases(seed: int, rows: int = 200, centre: float = 15.5) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and noisy losses of a bowl, (k,) and (R, k)."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(14, 20, 9))
    loss = 3 + 0.05 * (x - centre) ** 2 + 0.005 * (x - centre) ** 3
    return x, loss + 0.05 * rng.standard_normal((rows, 9))


def test_akima_slopes_are_scipys():
    x, loss = cases(0, 20)
    for row in loss:
        theirs = Akima1DInterpolator(x, row).derivative()(x)
        assert akima_slopes(x[None], row[None])[0] == pytest.approx(theirs, abs=1e-12)


def test_akima_minimum_is_the_lowest_point_of_scipys_interpolant():
    x, loss = cases(1)
    found = akima(x, loss, np.ones_like(loss))
    grid = np.linspace(x[0], x[-1], 20_001)
    inner = np.isfinite(found.loss)
    assert 0.5 < inner.mean() < 1  # some rows have their lowest loss at an end
    for row, at, low in zip(loss[inner], found.log_params[inner], found.loss[inner], strict=True):
        curve = Akima1DInterpolator(x, np.log(row))
        assert np.exp(curve(at)) == pytest.approx(low, rel=1e-12)
        nearby = minimize_scalar(curve, bounds=(at - 1e-3, at + 1e-3), method="bounded",
                                 options={"xatol": 1e-12})  # fmt: skip
        assert np.log(low) <= min(curve(grid).min(), nearby.fun) + 1e-12
    for row in loss[~inner]:
        curve = Akima1DInterpolator(x, np.log(row))(grid)
        assert curve.argmin() in (0, len(grid) - 1)


def test_akima_leaves_out_the_sizes_without_weight():
    x, loss = cases(2, 50)
    weights = np.random.default_rng(3).integers(0, 3, loss.shape).astype(float)
    found = akima(x, loss, weights)
    for row, share, at in zip(loss, weights, found.log_params, strict=True):
        kept = share > 0
        alone = akima(x[kept], row[None, kept], np.ones((1, kept.sum())))
        assert at == pytest.approx(alone.log_params[0], abs=1e-12, nan_ok=True)


def test_parabola_is_numpys_through_the_sizes_around_the_best():
    x, loss = cases(4, centre=17.0)
    weights = np.random.default_rng(5).integers(0, 3, loss.shape).astype(float)
    found = parabola(x, loss, weights)
    some = 0
    for row, share, at, low in zip(loss, weights, *found, strict=True):
        size, y = np.repeat(x, share.astype(int)), np.repeat(row, share.astype(int))
        distinct = np.unique(size)
        if len(distinct) < 3:
            assert np.isnan(at)
            continue
        place = int(np.flatnonzero(distinct == size[y.argmin()])[0])
        near = np.isin(size, distinct[max(0, place - WINDOW) : place + WINDOW + 1])
        edge = place in (0, len(distinct) - 1)
        c2, c1, c0 = np.polyfit(size[near] - 17, y[near], 2)
        vertex = 17 - c1 / (2 * c2)
        if edge or c2 <= 0 or not size[near].min() < vertex < size[near].max():
            assert np.isnan(at)
            continue
        some += 1
        assert at == pytest.approx(vertex, abs=1e-8)
        assert low == pytest.approx(c0 - c1**2 / (4 * c2), rel=1e-9)
    assert some > 50


def test_an_exact_parabola_is_found_exactly_and_all_lines_go_through_it():
    x = np.linspace(15, 19, 7)
    loss = 2 + 0.3 * (x - 16.7) ** 2
    found = parabola(x, loss[None], np.ones((1, 7)))
    assert found.log_params[0] == pytest.approx(16.7, abs=1e-10)
    assert found.loss[0] == pytest.approx(2, abs=1e-10)
    line, y = parabola_curve(x, loss, 50)
    assert y == pytest.approx(2 + 0.3 * (line - 16.7) ** 2)
    line, y = akima_curve(x, loss, 50)
    assert y == pytest.approx(np.exp(Akima1DInterpolator(x, np.log(loss))(line)))


def test_cubic_is_numpys_and_that_of_three_sizes_a_parabola():
    x, loss = cases(6, 60, centre=17.0)
    weights = np.random.default_rng(7).integers(0, 3, loss.shape).astype(float)
    found, known = cubic(x, loss, weights, 9), 0
    for row, share, at, low in zip(loss, weights, *found, strict=True):
        taken, degree = share > 0, min(3, int((share > 0).sum()) - 1)
        if degree < 2 or row[taken].argmin() in (0, taken.sum() - 1):
            assert np.isnan(at)
            continue
        curve = np.polynomial.Polynomial.fit(x[taken], row[taken], degree, w=share[taken] ** 0.5)
        slope = curve.deriv()
        roots = [r.real for r in slope.roots() if abs(r.imag) < 1e-9 and slope.deriv()(r.real) > 0]
        inside = [r for r in roots if x[taken].min() < r < x[taken].max()]
        assert np.isfinite(at) == bool(inside)
        if inside:
            known += 1
            assert at == pytest.approx(inside[0], abs=1e-7)
            assert low == pytest.approx(curve(at), rel=1e-9)
    assert known > 20


@pytest.mark.parametrize("method", METHODS)
def test_edges_hills_and_slopes_have_no_minimum(method):
    x = np.linspace(15, 19, 7)
    losses = np.stack([4 - 0.1 * x, 1 + 0.1 * x, 3 - 0.1 * (x - 17.1) ** 2])
    found = METHODS[method].minima(x, losses, np.ones_like(losses))
    assert np.isnan(found.log_params).all()
    assert np.isnan(found.loss).all()


@given(st.floats(0.1, 10), st.floats(-3, 3), st.integers(0, 50))
def test_minima_move_with_the_units_of_size_and_not_with_those_of_loss(scale, shift, seed):
    x, loss = cases(seed, 5)
    for method in METHODS.values():
        before = method.minima(x, loss, np.ones_like(loss))
        after = method.minima(x + shift, loss * scale, np.ones_like(loss))
        assert after.log_params == pytest.approx(before.log_params + shift, abs=1e-7, nan_ok=True)
        assert after.loss == pytest.approx(before.loss * scale, rel=1e-7, nan_ok=True)


def surface_runs(alpha: float, beta: float, width: float, sizes: int = 15) -> tuple[Runs, float]:
    """Runs without noise around the optima of five budgets, and D* at 1e24 FLOP."""
    form = law("chinchilla")
    values = law_data.arrays({"E": 1.69, "A": 400.0, "alpha": alpha, "B": 400.0, "beta": beta})
    flops = np.geomspace(1e17, 1e21, 5)
    tokens = form.optimum(values, flops).tokens[:, None] * np.geomspace(1 / width, width, sizes)
    params = (flops[:, None] / (6 * tokens)).ravel()
    loss = form.predict(values, {"params": params, "tokens": tokens.ravel()})
    runs = law_data.runs(params, tokens.ravel(), loss)
    return runs, float(form.optimum(values, np.array(1e24)).tokens)


def extrapolated(found: Allocation) -> float:
    best = found.exponent("tokens")
    return float(np.exp(best.level) * (1e24 / best.reference) ** best.value)


@pytest.mark.parametrize("method", METHODS)
def test_symmetric_surfaces_are_recovered(method):
    runs, truth = surface_runs(0.31, 0.31, 8.0)
    found = isoflop(method, budgets(runs), Options(bootstraps=0))
    assert found.exponent("params").value == pytest.approx(0.5, abs=1e-9)
    assert extrapolated(found) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize(("alpha", "beta", "published"), [
    (0.34, 0.28, (-1.3, -2.9, -5.1)), (0.465, 0.155, (-6.5, -13.9, -23.1)),
])  # fmt: skip
def test_parabolas_through_all_sizes_have_the_known_bias(alpha, beta, published):
    # The vertex of a least-squares parabola through a bowl that is none, from its sums: the bias
    # is the same at every budget, and grows with the grid and with alpha / beta.
    for width, percent in zip((4.0, 8.0, 16.0), published, strict=True):
        runs, truth = surface_runs(alpha, beta, width)
        whole = METHODS["isoflop_parabola"]._replace(
            minima=lambda x, y, w: parabola(x, y, w, window=15)
        )
        found = isoflop("isoflop_parabola", budgets(runs), Options(bootstraps=0), whole)
        u = np.log(np.geomspace(1 / width, width, 15))
        # Around the optimum, along a budget: L - E ~ beta exp(alpha u) + alpha exp(-beta u).
        c2, c1, _ = np.polyfit(u, beta * np.exp(alpha * u) + alpha * np.exp(-beta * u), 2)
        expected = 100 * np.expm1(-c1 / (2 * c2))
        assert 100 * (extrapolated(found) / truth - 1) == pytest.approx(expected, rel=1e-6)
        if alpha == 0.465:
            assert expected == pytest.approx(percent, abs=0.05)
        narrow = isoflop("isoflop_parabola", budgets(runs), Options(bootstraps=0))
        smooth = isoflop("isoflop_akima", budgets(runs), Options(bootstraps=0))
        assert abs(extrapolated(narrow) / truth - 1) < abs(expected) / 100 / 3
        assert abs(extrapolated(smooth) / truth - 1) < abs(expected) / 100 / 10


def recipe_runs(text: str, recipe: str) -> Runs:
    keep = {"dataset": text, **dict(zip(KEYS, RECIPES[recipe], strict=True))}
    table = law_data.published("porian_isoflops.csv", keep)
    return law_data.runs(table.params, table.tokens, table.loss)


def published_fit(text: str, recipe: str, kind: str) -> dict[str, str]:
    keep = {"dataset": text, **dict(zip(KEYS, RECIPES[recipe], strict=True)), "fit": kind}
    path = law_data.DATA / "porian_published_fits.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        (row,) = (r for r in csv.DictReader(lines) if all(r[k] == v for k, v in keep.items()))
    return row


@pytest.mark.parametrize("text", PRINTED)
@pytest.mark.parametrize("recipe", RECIPES)
def test_akima_gives_the_published_exponents_and_intervals(text, recipe):
    runs = recipe_runs(text, recipe)
    found = isoflop("isoflop_akima", budgets(runs), Options(level=0.95, noise=NOISE[text]))
    best = found.exponent("params")
    theirs = published_fit(text, recipe, "bs_median_weighted")
    assert best.value == pytest.approx(float(theirs["n_exponent"]), abs=SCATTER[text])
    printed = PRINTED[text][list(RECIPES).index(recipe)]
    assert best.value == pytest.approx(printed, abs=SCATTER[text])
    drawn = published_fit(text, recipe, "bootstrap_weighted")
    low, high = float(drawn["n_exponent_lo"]), float(drawn["n_exponent_hi"])
    # Four standard errors of the difference of two 2.5 % quantiles of 1,000 normal draws.
    error = 4 * np.sqrt(2 * 0.025 * 0.975 / 1000) / 0.0584 * (high - low) / 3.92
    assert best.resampled["noise"].low == pytest.approx(low, abs=error)
    assert best.resampled["noise"].high == pytest.approx(high, abs=error)
    assert best.status is Status.CONVERGED
    assert found.exponent("tokens").value == pytest.approx(1 - best.value, abs=1e-9)


def test_parabolas_weighed_by_noise_alone_give_the_known_exponents():
    known = (0.877, 0.688, 0.586, 0.537, 0.486)
    how = Options(bootstraps=10_000, noise=1e-5, least_spread=0.0)
    for recipe, value in zip(RECIPES, known, strict=True):
        found = isoflop("isoflop_parabola", budgets(recipe_runs("rw", recipe)), how)
        assert found.exponent("params").value == pytest.approx(value, abs=1e-3)
