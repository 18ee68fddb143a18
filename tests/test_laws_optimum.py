"""The numeric optimum against closed forms, scipy and the laws' own limits."""

import numpy as np
import pytest
from law_data import TRUTH, arrays
from scipy import optimize

from pipeline.laws import SURFACES, law
from pipeline.laws.balance import BalancedLaw
from pipeline.laws.base import SurfaceLaw
from pipeline.laws.optimum import SPACING, exponent, log_optimum

BUDGETS = np.geomspace(1e17, 1e26, 10)
balanced = [name for name in SURFACES if isinstance(law(name), BalancedLaw)]


@pytest.mark.parametrize("name", balanced)
def test_search_agrees_with_the_closed_form(name):
    found, values = law(name), arrays(TRUTH[name])
    log_n, log_loss = log_optimum(found, values, BUDGETS, {})
    closed = found.optimum(values, BUDGETS)
    np.testing.assert_allclose(np.exp(log_n), closed.params, rtol=1e-6)
    np.testing.assert_allclose(np.exp(log_loss), closed.loss, rtol=1e-12)
    slope = exponent(found, values, BUDGETS, {})
    np.testing.assert_allclose(slope, found.allocation(values, BUDGETS), rtol=1e-6)


def test_closed_forms_are_known():
    assert {"kaplan", "chinchilla", "kaplan_symmetric", "additive", "overtraining"} == set(balanced)


@pytest.mark.parametrize("name", SURFACES)
def test_optimum_is_that_of_scipy(name):
    found, values, flops = law(name), arrays(TRUTH[name]), 1e21

    def log_loss(log_n):
        inputs = {"params": np.exp([log_n]), "tokens": flops / 6 / np.exp([log_n])}
        return np.log(found.predict(values, inputs)[0])

    best = found.optimum(values, np.array(flops))
    at = np.log(float(best.params))
    theirs = optimize.minimize_scalar(
        log_loss, bracket=(at - 1.0, at + 0.1, at + 1.0), method="brent", tol=1e-10
    )
    # A minimum is known from values to the root of their rounding; that of Muennighoff's law is at
    # a corner of the slope, which differences see to within their spacing.
    assert theirs.x == pytest.approx(at, abs=SPACING if name == "muennighoff" else 2e-6)
    assert float(best.loss) == pytest.approx(np.exp(theirs.fun), rel=1e-10)


def test_replicates_and_budgets_broadcast():
    found = law("chinchilla")
    rng = np.random.default_rng(0)
    values = {k: v * rng.uniform(0.9, 1.1, (7, 1)) for k, v in TRUTH["chinchilla"].items()}
    log_n, _ = log_optimum(found, values, BUDGETS, {})
    assert log_n.shape == (7, 10)
    np.testing.assert_allclose(np.exp(log_n), found.optimum(values, BUDGETS).params, rtol=1e-6)


@pytest.mark.parametrize("change", [{"alpha": -0.1}, {"beta": -0.1}, {"A": np.nan}])
def test_no_interior_minimum_is_not_a_number(change):
    values = arrays(TRUTH["chinchilla"] | change)
    assert np.isnan(log_optimum(law("chinchilla"), values, BUDGETS, {})).all()


def test_budget_of_less_than_a_token_is_not_a_number():
    values = arrays(TRUTH["chinchilla"])
    assert np.isnan(log_optimum(law("chinchilla"), values, np.array([5.0, 6.0]), {})).all()


@pytest.mark.parametrize(
    ("name", "fixed"),
    [("overfit_penalty", "unique_tokens"), ("bounded", "unique_tokens"), ("precision", "bits")],
)
def test_what_is_left_out_is_without_limit(name, fixed):
    found, values = law(name), arrays(TRUTH[name])
    free = found.optimum(values, BUDGETS)
    plenty = found.optimum(values, BUDGETS, {fixed: np.array(1e30)})
    np.testing.assert_allclose(free.params, plenty.params, rtol=1e-9)


@pytest.mark.parametrize("name", ["muennighoff", "overfit_penalty"])
def test_unlimited_data_give_the_optimum_of_chinchilla(name):
    truth = TRUTH[name]
    chinchilla = arrays({key: truth[key] for key in ("E", "A", "alpha", "B", "beta")})
    want = law("chinchilla").optimum(chinchilla, BUDGETS)
    got = law(name).optimum(arrays(truth), BUDGETS)
    # Muennighoff's excess parameters begin exactly there: the slope has a corner in it.
    np.testing.assert_allclose(got.params, want.params, rtol=1e-4)
    np.testing.assert_allclose(got.loss, want.loss, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "epochs"),
    [  # a penalty with delta below 1 rises steeply from the first repeated token
        ("muennighoff", (2, 1000)), ("overfit_penalty", (0.999, 1.001)), ("bounded", (2, 1000)),
    ],
)  # fmt: skip
def test_few_distinct_tokens_cost_loss_and_the_best_run_repeats_what_it_may(name, epochs):
    found, values = law(name), arrays(TRUTH[name])
    flops, distinct = np.array(1e21), np.array([1e9, 1e10, 1e11, 1e12])
    best = found.optimum(values, flops, {"unique_tokens": distinct})
    assert (np.diff(best.loss) <= 1e-12).all()
    assert float(best.loss[0]) > float(best.loss[-1]) + 0.01
    assert epochs[0] < float(best.tokens[0]) / 1e9 < epochs[1]


def test_fewer_bits_call_for_more_parameters():
    found, values = law("precision"), arrays(TRUTH["precision"])
    best = found.optimum(values, np.array(1e21), {"bits": np.array([2.0, 4.0, 16.0])})
    assert (np.diff(best.params) < 0).all()
    # N_eff takes the place of N: A is multiplied by (1 - exp(-P/gamma))^-alpha.
    kept = 1 - np.exp(-2.0 / TRUTH["precision"]["gamma"])
    truth = {k: v for k, v in TRUTH["precision"].items() if k != "gamma"}
    same = truth | {"A": truth["A"] * kept ** -truth["alpha"]}
    want = law("chinchilla").optimum(arrays(same), np.array(1e21))
    assert float(best.params[0]) == pytest.approx(float(want.params), rel=1e-6)


def test_every_surface_splits_a_budget_without_naming_its_further_inputs():
    for name in SURFACES:
        found = law(name)
        assert isinstance(found, SurfaceLaw)
        assert set(found.inputs) == {"params", "tokens", *found.unlimited}
        best = found.optimum(arrays(TRUTH[name]), np.array(1e21))
        assert 1e8 < float(best.params) < 1e12, name
