"""The best run within limits: against closed forms, brute force and scipy."""

import math

import numpy as np
import pytest
from law_data import TRUTH, arrays
from scipy import optimize

from pipeline import laws as registry
from pipeline.laws import law
from pipeline.planning.constrained import Limits, cheapest, constrained, tokens_for

BUDGETS = np.array([1e18, 3e20, 1e23, 1e26])
SURFACES = ("kaplan", "chinchilla")
EVERY = registry.SURFACES


def loss(name, n, d):
    found = law(name).predict(
        arrays(TRUTH[name]), {"params": np.atleast_1d(n), "tokens": np.atleast_1d(d)}
    )
    return found[0] if np.ndim(n) == 0 else found


def several(name, count=60):
    """Parameter sets around the truth, as replicates are."""
    noise = np.exp(0.05 * np.random.default_rng(3).standard_normal((len(TRUTH[name]), count)))
    return {key: value * row for (key, value), row in zip(TRUTH[name].items(), noise)}


@pytest.mark.parametrize("name", SURFACES)
def test_without_limits_it_is_the_closed_form(name):
    values = several(name)
    found = constrained(law(name), values, BUDGETS, Limits())
    closed = law(name).optimum({key: v[:, None] for key, v in values.items()}, BUDGETS)
    assert found.params == pytest.approx(closed.params, rel=1e-6)
    assert found.tokens == pytest.approx(closed.tokens, rel=1e-6)
    assert found.loss == pytest.approx(closed.loss, rel=1e-12)
    assert found.flops == pytest.approx(np.broadcast_to(BUDGETS, found.flops.shape), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "own"),
    [(name, {}) for name in EVERY]
    + [
        (name, {key: value})
        for name in EVERY
        for key, value in (("unique_tokens", 1e11), ("bits", 8.0))
        if key in registry.LAWS[name].inputs
    ],
)
def test_every_law_of_the_registry_agrees_with_its_own_optimum(name, own):
    """Two searches, one along log N and one along log D, or a closed form."""
    values = arrays(TRUTH[name])
    found = constrained(law(name), values, BUDGETS, Limits(fixed=own))
    held = {key: np.asarray(value) for key, value in own.items()}
    expected = law(name).optimum(values, BUDGETS, held)
    assert np.isfinite(found.params).all()
    # At a kink, where data begin to repeat, N is only as sure as the loss is flat.
    kinked = "unique_tokens" in law(name).inputs
    assert found.params[0] == pytest.approx(expected.params, rel=2e-3 if kinked else 1e-6)
    assert found.loss[0] == pytest.approx(expected.loss, rel=1e-5 if kinked else 1e-10)
    assert (found.loss[0] <= expected.loss * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("cap", [1e8, 1e10])
def test_a_cap_that_binds_is_filled_and_the_other_count_takes_the_rest(name, cap):
    values = arrays(TRUTH[name])
    free = law(name).optimum(values, BUDGETS)
    by_size = constrained(law(name), values, BUDGETS, Limits(params=cap))
    expected = np.minimum(free.params, cap)
    assert by_size.params[0] == pytest.approx(expected, rel=1e-6)
    assert by_size.tokens[0] == pytest.approx(BUDGETS / (6 * expected), rel=1e-6)
    by_data = constrained(law(name), values, BUDGETS, Limits(tokens=cap))
    expected = np.minimum(free.tokens, cap)
    assert by_data.tokens[0] == pytest.approx(expected, rel=1e-6)
    assert by_data.params[0] == pytest.approx(BUDGETS / (6 * expected), rel=1e-6)


def test_both_caps_leave_budget_over():
    found = constrained(law("chinchilla"), arrays(TRUTH["chinchilla"]), BUDGETS, Limits(1e9, 1e10))
    assert found.params[0, -1] == pytest.approx(1e9, rel=1e-9)
    assert found.tokens[0, -1] == pytest.approx(1e10, rel=1e-9)
    assert found.flops[0, -1] == pytest.approx(6e19, rel=1e-9)


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("served", [1e9, 1e12, 3e13])
def test_inference_is_paid_for_and_the_split_is_scipys(name, served):
    """Sardana et al. 2024, eq. 3, for a total budget: 6 N D + 2 N D_inf = C."""
    budget = 1e23

    def along(log_n):
        n = math.exp(log_n)
        rest = budget / n - 2 * served
        return math.log(loss(name, n, rest / 6)) if rest > 6 else 10.0

    top = math.log(budget / (6 + 2 * served))
    best = optimize.minimize_scalar(
        along, bounds=(max(top - 20, 0), top), method="bounded", options={"xatol": 1e-10}
    )
    found = constrained(law(name), arrays(TRUTH[name]), [budget], Limits(inference_tokens=served))
    n, d = found.params[0, 0], found.tokens[0, 0]
    assert 6 * n * d + 2 * n * served == pytest.approx(budget, rel=1e-9)
    assert math.log(n) == pytest.approx(best.x, abs=2e-5)  # scipy stops at the curve's rounding
    assert found.loss[0, 0] <= math.exp(best.fun) * (1 + 1e-12)


def test_no_point_of_a_fine_grid_is_better():
    limits = Limits(params=5e9, tokens=2e11, inference_tokens=1e11)
    found = constrained(law("chinchilla"), arrays(TRUTH["chinchilla"]), BUDGETS, limits)
    n, d = (
        g.ravel() for g in np.meshgrid(np.geomspace(1e6, 5e9, 400), np.geomspace(1e6, 2e11, 400))
    )
    cost, losses = 6 * n * d + 2 * n * 1e11, loss("chinchilla", n, d)
    for i, budget in enumerate(BUDGETS):
        allowed = cost <= budget
        assert found.loss[0, i] <= losses[allowed].min()
        assert found.loss[0, i] == pytest.approx(losses[allowed].min(), rel=2e-3)


def test_each_row_is_its_own_problem():
    values = several("chinchilla", 5)
    limits = Limits(tokens=3e11, inference_tokens=1e11)
    together = constrained(law("chinchilla"), values, BUDGETS, limits)
    for row in range(5):
        alone = constrained(
            law("chinchilla"), {k: v[row : row + 1] for k, v in values.items()}, BUDGETS, limits
        )
        for both, one in zip(together, alone):
            assert both[row] == pytest.approx(one[0], rel=1e-12)


def test_a_law_that_falls_on_with_size_has_no_best_run():
    values = arrays(TRUTH["chinchilla"] | {"beta": -0.1})
    found = constrained(law("chinchilla"), values, BUDGETS, Limits())
    assert np.isnan(np.array(found)).all()


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize(
    "limits", [Limits(), Limits(params=2e9), Limits(tokens=3e11), Limits(inference_tokens=1e12)]
)
def test_the_cheapest_run_of_a_loss_is_the_best_of_its_cost(name, limits):
    values = several(name, 8)
    cost, best = cheapest(law(name), values, 2.4, limits)
    reached = np.isfinite(cost[:, 0])
    assert reached.any()
    assert best.loss[reached] == pytest.approx(2.4, rel=1e-9)
    one = {key: value[reached] for key, value in values.items()}
    again = constrained(law(name), one, cost[reached], limits)
    assert again.loss == pytest.approx(2.4, rel=1e-9)
    cheaper = constrained(law(name), one, cost[reached] * 0.999, limits)
    assert (cheaper.loss > 2.4).all()


def test_serving_makes_the_cheapest_model_of_a_loss_smaller_and_longer_trained():
    """The finding of Sardana et al. 2024; their problem by scipy over N as a second opinion."""
    values, served = arrays(TRUTH["chinchilla"]), 2e12
    known = {key: float(v) for key, v in TRUTH["chinchilla"].items()}

    def total(log_n):
        n = math.exp(log_n)
        rest = 2.2 - known["E"] - known["A"] / n ** known["alpha"]
        if rest <= 0:
            return 1e6
        return math.log(6 * n * (known["B"] / rest) ** (1 / known["beta"]) + 2 * n * served)

    second = optimize.minimize_scalar(
        total, bounds=(20, 26), method="bounded", options={"xatol": 1e-9}
    )
    cost, best = cheapest(law("chinchilla"), values, 2.2, Limits(inference_tokens=served))
    assert math.log(cost[0, 0]) == pytest.approx(second.fun, rel=1e-10)
    assert math.log(best.params[0, 0]) == pytest.approx(second.x, abs=1e-5)
    _, alone = cheapest(law("chinchilla"), values, 2.2, Limits())
    assert best.params[0, 0] < alone.params[0, 0]
    assert best.tokens[0, 0] > alone.tokens[0, 0]


@pytest.mark.parametrize(
    ("goal", "limits"), [(1.8, Limits()), (2.2, Limits(params=1e8)), (2.2, Limits(tokens=1e9))]
)
def test_a_loss_out_of_reach_costs_infinitely_much(goal, limits):
    cost, best = cheapest(law("chinchilla"), arrays(TRUTH["chinchilla"]), goal, limits)
    assert cost[0, 0] == math.inf
    assert np.isnan(np.array(best)).all()


FIXED = {
    "muennighoff": {"unique_tokens": 1e9}, "overfit_penalty": {"unique_tokens": 1e9},
    "bounded": {"unique_tokens": 1e9}, "precision": {"bits": 6.0},
}  # fmt: skip


def on_grid(name, fixed, low, high, count=500):
    """N, D and losses on a fine grid with a line at the distinct tokens, flattened."""
    along = np.geomspace(low, high, count)
    n, d = (g.ravel() for g in np.meshgrid(along, np.r_[along, fixed.get("unique_tokens", [])]))
    held = {key: np.full_like(n, value) for key, value in fixed.items()}
    return n, d, law(name).predict(arrays(TRUTH[name]), {"params": n, "tokens": d, **held})


def test_every_law_of_further_inputs_is_tried():
    takers = {name for name in EVERY if set(registry.LAWS[name].inputs) - {"params", "tokens"}}
    assert takers == set(FIXED)


@pytest.mark.parametrize("name", FIXED)
def test_no_run_of_at_most_the_budget_is_better(name):
    """Over 6 N D <= C: more compute than a law can use is left, not spent on a higher loss."""
    fixed, budgets = FIXED[name], 10 ** np.arange(18, 22.1, 0.25)
    found = constrained(law(name), arrays(TRUTH[name]), budgets, Limits(fixed=fixed))
    n, d, losses = on_grid(name, fixed, 1e7, 1e13)
    for i, budget in enumerate(budgets):
        least = losses[6 * n * d <= budget].min()
        assert found.loss[0, i] <= least * (1 + 1e-9)
        assert found.loss[0, i] == pytest.approx(least, rel=3e-3)
    assert (found.flops[0] <= budgets * (1 + 1e-9)).all()
    assert (np.diff(found.loss[0]) <= 1e-9).all()


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("above", [1.001, 1.1])
def test_the_cheapest_run_is_the_first_budget_that_reaches_the_loss(name, above):
    """Where the loss of a budget spent in full rises and falls again, its first crossing counts."""
    fixed = FIXED[name]
    n, d, losses = on_grid(name, fixed, 1e7, 1e13)
    affordable = 6 * n * d <= 2e20
    goal = above * losses[affordable].min()
    least = (6 * n * d)[losses <= goal].min()
    cost, best = cheapest(law(name), arrays(TRUTH[name]), goal, Limits(fixed=fixed))
    assert cost[0, 0] <= least * (1 + 1e-9)
    assert cost[0, 0] == pytest.approx(least, rel=0.1)  # a step of the grid is 3 % in N and in D
    assert best.loss[0, 0] == pytest.approx(goal, rel=1e-9)


def test_a_penalty_for_repeats_leaves_compute_unspent():
    """By scipy: the lowest loss of the law itself, and no more at ten times its cost."""
    values, fixed = arrays(TRUTH["overfit_penalty"]), {"unique_tokens": 1e9}
    known = {key: float(v) for key, v in TRUTH["overfit_penalty"].items()}

    def bare(log):
        n, d = np.exp(log)
        repeats = max(d / 1e9 - 1, 0.0)
        penalty = known["P"] * repeats ** known["delta"] * (n / 1e9) ** known["kappa"]
        size, data = known["A"] / n ** known["alpha"], known["B"] / d ** known["beta"]
        return known["E"] + size + data + penalty

    free = optimize.minimize(
        bare, np.log([1e9, 5e9]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}
    )
    n, d = np.exp(free.x)
    budgets = 6 * n * d * np.array([0.5, 1.1, 10.0])
    found = constrained(law("overfit_penalty"), values, budgets, Limits(fixed=fixed))
    assert found.flops[0, 0] == pytest.approx(budgets[0], rel=1e-9)
    assert found.loss[0, 1:] == pytest.approx([free.fun] * 2, rel=1e-11)
    assert found.params[0, 1:] == pytest.approx([n] * 2, rel=1e-4)
    assert found.flops[0, 1:] == pytest.approx([6 * n * d] * 2, rel=1e-4)


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("above", [1.01, 1.05])
def test_tokens_for_a_loss_are_the_fewest_by_brute_force(name, factor, above):
    """Loss over tokens falls and may rise: the far end says nothing of what is reached before."""
    fixed, values = FIXED[name], arrays(TRUTH[name])
    best = constrained(law(name), values, [2e19], Limits(fixed=fixed))
    d = np.geomspace(1e6, 1e14, 400_001)  # 0.005 % apart
    held = {key: np.full_like(d, value) for key, value in fixed.items()}
    n = factor * best.params[0, 0]
    losses = law(name).predict(values, {"params": np.full_like(d, n), "tokens": d, **held})
    goal = above * best.loss[0, 0]
    expected = d[losses <= goal].min(initial=math.inf)
    found = tokens_for(law(name), values, np.array([[n]]), np.array([[goal]]), fixed)
    assert found[0, 0] == pytest.approx(expected, rel=1e-4)
    assert above < 1.05 or found[0, 0] < math.inf


def test_tokens_for_a_loss_invert_the_law():
    n, d = np.array([[1e8, 1e9, 1e10]]), np.array([[3e9, 2e10, 7e12]])
    for name in SURFACES:
        goal = loss(name, n[0], d[0])[None]
        assert tokens_for(law(name), arrays(TRUTH[name]), n, goal, {}) == pytest.approx(d, rel=1e-6)
    too_low = np.array([[TRUTH["chinchilla"]["E"] + 0.01]])
    found = tokens_for(
        law("chinchilla"), arrays(TRUTH["chinchilla"]), np.array([[1e8]]), too_low, {}
    )
    assert found[0, 0] == math.inf


def test_a_loss_beyond_all_numbers_is_no_run():
    """A replicate as a small grid leaves it: its data term is e^(1e9) but for the tiniest models."""
    wild = {
        "s": 20.7, "q": -0.2058, "S": 0.425, "B": 4.278e8, "b": -9.302, "Q": 1.236e9,
        "A": -1.226e-14, "a": 1.197, "E": -1.018,
    }  # fmt: skip
    values = {key: np.array([value, wild[key]]) for key, value in TRUTH["farseer"].items()}
    found = constrained(law("farseer"), values, np.array([1e23]), Limits())
    assert np.isfinite(found.loss[0])
    assert np.isnan([part[1, 0] for part in found]).all()
