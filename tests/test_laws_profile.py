"""Profile-likelihood intervals against closed forms and scipy's constrained fits."""

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn, runs, toy
from scipy import optimize, stats

from pipeline.laws import law
from pipeline.laws.objective import LEAST_ABSOLUTE, LEAST_SQUARES, Objective
from pipeline.laws.profile import Problem, dispersion, profiles
from pipeline.laws.search import search

SQUARES = Objective(LEAST_SQUARES)


def problem(name, data, objective, starts=64):
    """The best fit of a law to all of some runs."""
    found = law(name)
    x, y = found.log_inputs(data), np.log(data.loss)
    centre, ones = x.mean(1), np.ones(len(y))
    x = x - centre[:, None]
    ended = search(found, x, y, ones, objective, starts, np.random.default_rng(0))
    return Problem(found, x, y, ones, ended.theta[ended.best()], centre, objective)


def ends(of, level, names=None):
    names = names or [p.name for p in of.law.parameters]
    return profiles(of, level, names)


@pytest.fixture(scope="module")
def line():
    """Twelve runs of a power law with five per cent of noise."""
    n = np.geomspace(1e6, 1e9, 12)
    loss = (8.8e13 / n) ** 0.076 * np.exp(0.05 * np.random.default_rng(4).standard_normal(12))
    return runs(n, np.full(12, 1e10), loss)


def test_a_straight_line_has_the_interval_of_students_t(line):
    found = ends(problem("power_params", line, SQUARES), 0.9)["alpha_N"]
    fitted = stats.linregress(np.log(line.params), np.log(line.loss))
    half = stats.t.ppf(0.95, 10) * fitted.stderr
    expected = -fitted.slope - half, -fitted.slope + half
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_ratio_of_parameters_has_the_interval_of_fieller(line):
    """N_c is where the line reaches a loss of one: (a + b u)^2 = t^2 s^2 (1/n + u^2 / S_uu)."""
    found = ends(problem("power_params", line, SQUARES), 0.9)["Nc"]
    x, y = np.log(line.params), np.log(line.loss)
    u = x - x.mean()
    b, a = np.polyfit(u, y, 1)
    s2 = ((y - a - b * u) ** 2).sum() / 10
    t2 = stats.t.ppf(0.95, 10) ** 2
    roots = np.roots([b**2 - t2 * s2 / (u**2).sum(), 2 * a * b, a**2 - t2 * s2 / 12])
    expected = np.sort(roots) + x.mean()
    assert np.log(found) == pytest.approx(expected, rel=1e-4)


def test_a_curved_law_is_fitted_again_at_each_end():
    """scipy's least squares with alpha held: its sum rises by t^2 s^2 at the ends."""
    data = drawn("chinchilla", 0.01, 5)
    found = ends(problem("chinchilla", data, SQUARES), 0.95)["alpha"]
    u, v, y = np.log(data.params), np.log(data.tokens), np.log(data.loss)
    u, v = u - u.mean(), v - v.mean()

    def total(alpha):
        def residual(at):
            e, a, b, beta = at
            return y - np.logaddexp(np.logaddexp(e, a - alpha * u), b - beta * v)

        start = [0.6, -1.4, -1.2, 0.366]
        return 2 * optimize.least_squares(residual, start, xtol=1e-14, ftol=1e-14).cost

    best = optimize.minimize_scalar(total, bounds=(0.3, 0.4), method="bounded")
    limit = best.fun * (1 + stats.t.ppf(0.975, len(y) - 5) ** 2 / (len(y) - 5))
    low = optimize.brentq(lambda alpha: total(alpha) - limit, 0.25, best.x)
    high = optimize.brentq(lambda alpha: total(alpha) - limit, best.x, 0.5)
    assert found == pytest.approx((low, high), rel=1e-3)


def test_a_robust_fit_is_held_to_the_robust_threshold():
    """Held at an end, kaplan's D_c lets Huber's objective rise by t^2 A / 2 B."""
    of = problem("kaplan", toy(), Objective(0.01))
    found = ends(of, 0.9, ["Dc"])["Dc"]
    square, bend = dispersion(of)
    limit = of.cost(of.theta) + stats.t.ppf(0.95, 24) ** 2 * square / (2 * bend)
    for end in found:

        def held(at, end=end):
            k_n, alpha_n, log_s = at
            k_d = np.exp(log_s) * (np.log(end) - of.centre[1])
            return float(of.cost(np.array([k_n, alpha_n, k_d, log_s])))

        lowest = min(
            optimize.minimize(held, of.theta[[0, 1, 3]] + step, method="Nelder-Mead",
                              options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000}).fun
            for step in (0.0, 0.01, -0.01)
        )  # fmt: skip
        rise, allowed = lowest - of.cost(of.theta), limit - of.cost(of.theta)
        assert rise == pytest.approx(allowed, rel=5e-3)


@pytest.mark.parametrize(
    ("delta", "factor"),
    [(LEAST_SQUARES, 1.0), (LEAST_ABSOLUTE, np.sqrt(np.pi / 2)), (0.01, 1.0 / np.sqrt(0.90347))],
)
def test_dispersion_is_that_of_the_estimators_variance(delta, factor):
    """sqrt(A)/B over the noise: sqrt(pi/2) for a median; Huber's at one sigma is 90.3 % efficient.

    The efficiency follows from A = E min(r^2, 1) = .51606 and B = P(|r| < 1) = .68269.
    """
    n = np.geomspace(1e6, 1e9, 4000)
    loss = (8.8e13 / n) ** 0.076 * np.exp(0.01 * np.random.default_rng(2).standard_normal(4000))
    of = problem("power_params", runs(n, np.full(4000, 1e10), loss), Objective(delta))
    square, bend = dispersion(of)
    assert np.sqrt(square) / bend / 0.01 == pytest.approx(factor, rel=0.06)


def test_no_floor_leaves_the_floor_open_downwards():
    found = ends(problem("chinchilla", toy(), Objective(0.01)), 0.9)["E"]
    assert found.low == 0.0
    assert 0.5 < found.high < toy().loss.min()


def test_flat_runs_leave_an_exponent_open():
    n = np.geomspace(1e5, 1e8, 16)
    u = np.log(n) - np.log(n).mean()
    noise = 0.05 * np.random.default_rng(0).standard_normal(16)
    noise -= u * (u @ noise) / (u @ u)
    loss = 3.0 * np.exp(noise - 0.003 * u)  # an exponent of half its standard error
    found = ends(problem("power_params", runs(n, np.full(16, 1e9), loss), SQUARES), 0.9)
    assert found["alpha_N"].low is None
    assert found["Nc"].high is None


def test_parameters_that_the_design_leaves_open_are_not_profiled():
    found = ends(problem("kaplan", toy(), SQUARES), 0.9, ["alpha_D"])
    assert found["alpha_N"] == (None, None)
    assert None not in found["alpha_D"]


def test_runs_on_the_law_leave_nothing_open():
    of = problem("kaplan", drawn("kaplan", 0.0, 0), Objective(0.01))
    for name, profile in ends(of, 0.9).items():
        assert profile == pytest.approx((TRUTH["kaplan"][name],) * 2, rel=1e-4)


@pytest.mark.parametrize("name", ["kaplan", "chinchilla", "power_params"])
def test_profiles_do_not_depend_on_units(name):
    data = drawn(name, 0.01, 6)
    units = data.params / 1e9, data.tokens / 1e9
    one = ends(problem(name, data, Objective(0.01)), 0.9)
    other = ends(problem(name, runs(*units, data.loss), Objective(0.01)), 0.9)
    for parameter in law(name).parameters:
        if parameter.kind in ("exponent", "floor"):
            assert one[parameter.name] == pytest.approx(other[parameter.name], rel=2e-3)


def test_profiles_hold_the_truth_at_their_level():
    """Of 40 tables at 90 %, fewer than 29, or all for every parameter, are hardly chance (1e-3)."""
    hits = dict.fromkeys(TRUTH["kaplan"], 0)
    for seed in range(40):
        found = ends(problem("kaplan", drawn("kaplan", 0.01, seed), Objective(0.01), 8), 0.9)
        for name, value in TRUTH["kaplan"].items():
            hits[name] += found[name].low <= value <= found[name].high
    assert min(hits.values()) >= 29
    assert sum(hits.values()) < 4 * 40, hits


def test_law_at_the_ends_is_predicted_as_well_as_allowed():
    """The profile's ends of every parameter lie on or beyond one standard error of least squares."""
    data = drawn("chinchilla", 0.01, 7)
    of = problem("chinchilla", data, SQUARES)
    jacobian = of.law.expansion(of.theta, of.x).gradient
    error = np.sqrt(
        2 * of.cost(of.theta) / (len(data) - 5) * np.diag(np.linalg.inv(jacobian @ jacobian.T))
    )
    values = arrays(of.law.values(of.law.shifted(of.theta, of.centre)))
    for j, name in ((2, "alpha"), (4, "beta")):  # coordinates themselves
        low, high = ends(of, 0.6827, [name])[name]
        assert high - low == pytest.approx(2 * error[j] * stats.t.ppf(0.84135, 43), rel=0.02)
        assert low < values[name] < high
