"""The solver against scipy, and where problems are hard."""

import numpy as np
import pytest
from law_data import drawn, toy
from scipy import optimize

from pipeline.laws import LAWS, law
from pipeline.laws.objective import Objective
from pipeline.laws.resample import replicates, resamples
from pipeline.laws.surface import minimise, spread

LEAST_SQUARES = 1e3  # a delta beyond every residual


def problem(name, runs):
    """Law, centred log inputs and log losses."""
    found = law(name)
    chosen = runs.take(found.select(runs).mask)
    x = found.log_inputs(chosen)
    return found, x - found.centre(x)[:, None], np.log(chosen.column(found.target))


def solved(found, x, y, delta, count=128):
    starts = spread(found.start_box(y), count, np.random.default_rng(0))
    return minimise(found, x, y, np.ones((count, len(y))), starts, Objective(delta))


@pytest.mark.parametrize("name", LAWS)
def test_least_squares_is_that_of_scipy(name):
    found, x, y = problem(name, drawn(name, 0.01, 5))
    ours = solved(found, x, y, LEAST_SQUARES)
    theirs = optimize.least_squares(
        lambda theta: y - found.log_target(theta, x),
        np.mean(found.start_box(y), axis=0), xtol=1e-15, ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    best = ours.best()
    assert ours.objective[best] == pytest.approx(theirs.cost, rel=1e-10)
    np.testing.assert_allclose(ours.theta[best], theirs.x, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["power_params", "power_compute", "kaplan", "chinchilla"])
def test_huber_is_never_worse_than_a_derivative_free_search(name):
    found, x, y = problem(name, toy())
    ours = solved(found, x, y, 1e-3)
    best = ours.best()
    theirs = optimize.minimize(
        lambda theta: Objective(1e-3).cost(y - found.log_target(theta, x)).sum(),
        ours.theta[best] + 0.05, method="Nelder-Mead",
        options={"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-9, "fatol": 1e-15},
    )  # fmt: skip
    assert ours.objective[best] <= theirs.fun * (1 + 1e-9)
    # From so near, the other search gets close too; otherwise the line above would say nothing.
    assert theirs.fun == pytest.approx(ours.objective[best], rel=0.05)


def test_small_delta_is_the_least_absolute_line():
    """Ten collinear points and a far one: least absolute deviations ignore the far one."""
    x = np.linspace(-1, 1, 11)
    y = 1.2 - 0.1 * x
    y[3] += 0.5
    found = law("power_params")
    ended = solved(found, x[None], y, 1e-9, 16)
    np.testing.assert_allclose(ended.theta[ended.best()], [1.2, 0.1], atol=1e-7)


def test_nearly_every_start_finds_the_same_minimum():
    found, x, y = problem("kaplan", toy())
    ended = solved(found, x, y, 1e-3, 256)
    assert (ended.objective <= ended.objective.min() * (1 + 1e-8)).mean() > 0.9


def test_weights_count_runs():
    found, x, y = problem("kaplan", toy())
    weights = np.r_[np.full(14, 2.0), np.ones(14)]
    start = solved(found, x, y, 1e-3).theta[:1]
    weighted = minimise(found, x, y, weights[None], start, Objective(1e-3))
    index = np.repeat(np.arange(28), weights.astype(int))
    repeated = minimise(
        found, x[:, index], y[index], np.ones((1, len(index))), start, Objective(1e-3)
    )
    assert weighted.objective[0] == pytest.approx(repeated.objective[0], rel=1e-12)
    np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=1e-6)


def test_batches_do_not_change_the_answer(monkeypatch):
    found, x, y = problem("chinchilla", toy())
    whole = solved(found, x, y, 1e-3, 12)
    monkeypatch.setattr("pipeline.laws.surface.ELEMENTS", 5 * 28 * 5)
    parts = solved(found, x, y, 1e-3, 12)
    np.testing.assert_allclose(parts.objective, whole.objective, rtol=1e-9)


def test_inputs_that_are_not_finite_are_refused():
    found = law("power_params")
    with pytest.raises(ValueError, match="positive and finite"):
        minimise(
            found,
            np.array([[0.0, np.inf]]),
            np.zeros(2),
            np.ones((1, 2)),
            np.ones((1, 2)),
            Objective(1),
        )


@pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0])
def test_weights_that_are_none_are_refused(weight):
    found, x, y = problem("power_params", toy())
    weights = np.where(np.arange(len(y)) == 3, weight, 1.0)
    with pytest.raises(ValueError, match="zero or positive, and finite"):
        minimise(found, x, y, weights[None], np.ones((1, 2)), Objective(1))


def test_spread_fills_the_box_evenly():
    points = spread((np.array([1.0, -2.0, 0.0]), np.array([3.0, -1.0, 5.0])), 512,
                    np.random.default_rng(0))  # fmt: skip
    unit = (points - [1, -2, 0]) / [2, 1, 5]
    cells = (unit * 4).astype(int)
    counts = np.unique(cells @ [16, 4, 1], return_counts=True)[1]
    assert len(counts) == 64  # every one of 4 x 4 x 4 boxes has points, eight on average
    assert counts.max() <= 16


def test_resamples_can_carry_the_fit():
    x = np.log(np.array([[1.0, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]]))
    weights = resamples(x, 3, 500, np.random.default_rng(0))
    assert weights.shape == (500, 4)
    assert (weights.sum(1) == 4).all()
    assert ((weights > 0).sum(1) >= 3).all()
    assert (weights[:, 3] > 0).all()  # the only run of the second size
    assert (weights[:, :3].sum(1) > 0).all()


def test_replicates_are_hardly_ever_worse_than_a_full_search():
    """Each replicate alone from 32 starts finds at most a few thousandths less, and rarely."""
    found, x, y = problem("chinchilla", toy())
    weights = resamples(x, 5, 20, np.random.default_rng(2))
    best = solved(found, x, y, 1e-3)
    scouts = spread(found.start_box(y), 8, np.random.default_rng(1))
    quick = replicates(found, x, y, weights, best.theta[best.best()], Objective(1e-3), scouts)
    starts = spread(found.start_box(y), 32, np.random.default_rng(3))
    full = minimise(
        found, x, y, np.repeat(weights, 32, 0), np.tile(starts, (20, 1)), Objective(1e-3)
    )
    excess = quick.objective / full.objective.reshape(20, 32).min(1) - 1
    assert (excess > 1e-6).mean() <= 0.1
    assert excess.max() < 0.01
