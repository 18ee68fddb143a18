"""Bottlenecks, wrong sizes, larger budgets and overfitting, from closed forms and the papers."""

import math

import numpy as np
import pytest
from law_data import TRUTH, arrays
from scipy import optimize

from pipeline.laws import law
from pipeline.planning.calculators import (
    Bottleneck,
    bottleneck,
    gains,
    larger_budget,
    loss_at,
    price_of_size,
    tokens_against_overfitting,
)
from pipeline.planning.constrained import Limits, constrained

KAPLAN, CHINCHILLA = law("kaplan"), law("chinchilla")
OLD, NEW = arrays(TRUTH["kaplan"]), arrays(TRUTH["chinchilla"])
REPEATED = arrays(TRUTH["overfit_penalty"])


@pytest.mark.parametrize(("form", "values"), [(KAPLAN, OLD), (CHINCHILLA, NEW)])
def test_a_best_run_is_limited_by_compute_and_runs_beside_it_by_what_they_lack(form, values):
    best = form.optimum(values, np.array(1e22))
    n, d = float(best.params), float(best.tokens)
    assert bottleneck(form, values, n, d, {}) is Bottleneck.COMPUTE
    assert bottleneck(form, values, n / 3, d * 3, {}) is Bottleneck.MODEL
    assert bottleneck(form, values, n * 3, d / 3, {}) is Bottleneck.DATA


@pytest.mark.parametrize("served", [1e12, 1e13])
def test_a_best_run_that_is_to_be_served_is_limited_by_compute(served):
    """At the optimum of 6 N D + 2 N D_inf, scipy's, slopes per token and per parameter differ."""
    budget = 1e23
    e, a, alpha, b, beta = (float(NEW[k]) for k in ("E", "A", "alpha", "B", "beta"))

    def along(log_d):
        d = math.exp(log_d)
        return e + a / (budget / (6 * d + 2 * served)) ** alpha + b / d**beta

    d = math.exp(optimize.minimize_scalar(along, bounds=(20, 40), method="bounded").x)
    n = budget / (6 * d + 2 * served)
    assert bottleneck(CHINCHILLA, NEW, n, d, {}, served=served) is Bottleneck.COMPUTE
    assert bottleneck(CHINCHILLA, NEW, n, d, {}) is not Bottleneck.COMPUTE
    longer, shorter = 2 * d, d / 2
    for tokens, limit in ((longer, Bottleneck.MODEL), (shorter, Bottleneck.DATA)):
        size = budget / (6 * tokens + 2 * served)
        assert bottleneck(CHINCHILLA, NEW, size, tokens, {}, served=served) is limit


def test_where_repeats_hurt_only_fresh_tokens_help():
    form, values, fixed = law("overfit_penalty"), REPEATED, {"unique_tokens": 1e9}
    best = constrained(form, values, [1e22], Limits(fixed=fixed))
    n, d = best.params[0, 0], best.tokens[0, 0]
    assert 6 * n * d < 1e21
    assert bottleneck(form, values, n, d, fixed, spare=True) is Bottleneck.DISTINCT
    assert gains(form, values, n, d, {"unique_tokens": 2e9}).tokens[0] > 0


def test_gains_of_doubling_are_differences_of_the_law():
    found = gains(CHINCHILLA, NEW, 1e9, 2e10, {})
    e, a, alpha, b, beta = (float(NEW[k]) for k in ("E", "A", "alpha", "B", "beta"))
    size, data = a / 1e9**alpha, b / 2e10**beta
    assert found.params[0] == pytest.approx(size * (1 - 2**-alpha) / (e + size + data), rel=1e-12)
    assert found.tokens[0] == pytest.approx(data * (1 - 2**-beta) / (e + size + data), rel=1e-12)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_price_of_a_wrong_size_is_the_closed_form(factor):
    """At equal loss, A/N^a + B/D^b stays: D' = (B / (rest))^(1/b)."""
    n, d = 3e9, 5e10
    a, alpha, b, beta = (float(NEW[k]) for k in ("A", "alpha", "B", "beta"))
    rest = a / n**alpha + b / d**beta - a / (factor * n) ** alpha
    expected = factor * (b / rest) ** (1 / beta) / d
    assert price_of_size(CHINCHILLA, NEW, n, d, factor, {})[0] == pytest.approx(expected, rel=1e-9)


def test_at_the_optimum_either_wrong_size_costs_more_and_the_exact_one_nothing():
    best = CHINCHILLA.optimum(NEW, np.array(1e22))
    n, d = float(best.params), float(best.tokens)
    prices = [price_of_size(CHINCHILLA, NEW, n, d, f, {})[0] for f in (0.5, 0.9, 1.0, 1.1, 2.0)]
    assert prices[2] == pytest.approx(1.0, rel=1e-9)
    assert prices[0] > prices[1] > 1 < prices[3] < prices[4]
    # Flat to first order: ten per cent off costs less than half a per cent.
    assert max(prices[1], prices[3]) < 1.005


def test_a_size_too_small_for_the_loss_has_no_price():
    assert price_of_size(CHINCHILLA, NEW, 1e9, 1e13, 0.1, {})[0] == math.inf


@pytest.mark.parametrize(("form", "values"), [(KAPLAN, OLD), (CHINCHILLA, NEW)])
def test_a_larger_budget_is_split_by_the_exponents(form, values):
    found = larger_budget(form, values, 1e21, 100.0, Limits())
    a = float(form.allocation(values, np.array(1e21)))
    assert found.params[0] == pytest.approx(100**a, rel=1e-6)
    assert found.tokens[0] == pytest.approx(100 ** (1 - a), rel=1e-6)
    before, after = (float(form.optimum(values, np.array(c)).loss) for c in (1e21, 1e23))
    assert found.loss[0] == pytest.approx(after / before, rel=1e-12)


def test_a_larger_budget_at_a_cap_goes_into_tokens():
    found = larger_budget(CHINCHILLA, NEW, 1e23, 10.0, Limits(params=1e9))
    assert found.params[0] == pytest.approx(1.0, rel=1e-9)
    assert found.tokens[0] == pytest.approx(10.0, rel=1e-9)


@pytest.mark.parametrize("n", [1e7, 1e9, 1e11])
def test_tokens_against_overfitting_are_equation_4_3_solved_for_d(n):
    """Kaplan et al. 2020: delta L = (1 + (N/Nc)^(aN/aD) Dc/D)^aD - 1, about 5e3 N^.74 at 2 %."""
    nc, alpha_n, dc, alpha_d = (TRUTH["kaplan"][k] for k in ("Nc", "alpha_N", "Dc", "alpha_D"))
    exact = (n / nc) ** (alpha_n / alpha_d) * dc / (1.02 ** (1 / alpha_d) - 1)
    found = tokens_against_overfitting(KAPLAN, OLD, n, 0.02, {})[0]
    assert found == pytest.approx(exact, rel=1e-6)
    assert found == pytest.approx(5e3 * n**0.74, rel=0.1)


def test_unlimited_data_never_repeat():
    """The limit is E + A/N^alpha, whatever number of tokens is distinct, and not the loss of 1e30
    tokens of a billion distinct ones."""
    form, n = law("overfit_penalty"), 1e8
    e, a, alpha = (float(REPEATED[k]) for k in ("E", "A", "alpha"))
    for distinct in (1e9, 1e10, 1e15):
        fixed = {"unique_tokens": distinct}
        found = tokens_against_overfitting(form, REPEATED, n, 0.1, fixed)[0]
        d = np.geomspace(1e6, 1e15, 200_001)
        losses = form.predict(
            REPEATED,
            {"params": np.full_like(d, n), "tokens": d, "unique_tokens": np.full_like(d, distinct)},
        )
        expected = d[losses <= 1.1 * (e + a / n**alpha)].min(initial=math.inf)
        assert found == pytest.approx(expected, rel=2e-4)
    assert math.isfinite(found)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_price_of_a_wrong_size_is_that_of_brute_force_where_repeats_hurt(factor):
    """Half or twice the size reaches the loss before its own loss rises again."""
    form, fixed = law("overfit_penalty"), {"unique_tokens": 1e9}
    best = constrained(form, REPEATED, [1e19], Limits(fixed=fixed))
    n, d = best.params[0, 0], best.tokens[0, 0]
    tokens = np.geomspace(1e6, 1e14, 400_001)
    inputs = {"params": np.full_like(tokens, factor * n), "tokens": tokens,
              "unique_tokens": np.full_like(tokens, 1e9)}  # fmt: skip
    expected = tokens[form.predict(REPEATED, inputs) <= best.loss[0, 0]].min(initial=math.inf)
    found = price_of_size(form, REPEATED, n, d, factor, fixed)[0]
    assert found == pytest.approx(factor * expected / d, rel=1e-4)


def test_every_parameter_set_gives_its_own_answer():
    noise = np.exp(0.05 * np.random.default_rng(0).standard_normal((5, 7)))
    values = {key: v * row for (key, v), row in zip(TRUTH["chinchilla"].items(), noise)}
    prices = price_of_size(CHINCHILLA, values, 1e9, 2e10, 2.0, {})
    losses = loss_at(CHINCHILLA, values, 1e9, 2e10, {})
    for row in range(7):
        one = {key: v[row : row + 1] for key, v in values.items()}
        assert prices[row] == pytest.approx(price_of_size(CHINCHILLA, one, 1e9, 2e10, 2.0, {})[0])
        assert losses[row] == pytest.approx(loss_at(CHINCHILLA, one, 1e9, 2e10, {})[0])
