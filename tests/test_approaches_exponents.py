"""The power-law step, and approach 3 at the budgets of the others."""

from __future__ import annotations

import csv

import law_data
import numpy as np
import pytest

from pipeline.approaches.budgets import Budget, budgets
from pipeline.approaches.exponents import exponent, line, paired
from pipeline.approaches.surfaces import surface
from pipeline.laws import law
from pipeline.laws.base import Runs, Status


@pytest.mark.parametrize(("counted", "known"), [
    ("kaplan_proj_plus_lm_head_no_embed", 0.54), ("all_params", 0.37),
    ("transformer_matrices_only", 0.70),
])  # fmt: skip
def test_nanochats_exponents_by_what_is_counted(counted, known):
    path = law_data.DATA / "nanochat_isoflop_optima.csv"
    if not path.is_file():
        pytest.skip(f"{path} is absent: set ISOLOSS_PUBLISHED_DATA to the published tables' folder")
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["param_definition"] == counted]
    # The table gives budgets, a third of a decade apart, to one digit: 1e18, 2e18, 5e18, 1e19.
    log_c, log_n = np.log(np.geomspace(1e18, 1e19, 4)), np.log([float(r["N_opt"]) for r in rows])
    assert [f"{c:.0e}" for c in np.exp(log_c)] == [f"{float(r['C']):.0e}" for r in rows]
    found = exponent("params", log_c, log_n, np.ones(4), {}, 0.9)
    assert round(found.value, 2) == known
    assert found.status is Status.CONVERGED


def test_lines_are_numpys_weighted_least_squares_of_what_is_there():
    rng = np.random.default_rng(0)
    log_c, weights = np.sort(rng.uniform(35, 50, 8)), rng.uniform(0.1, 3, 8)
    log_y = 0.5 * log_c + rng.standard_normal((30, 8))
    log_y[rng.random(log_y.shape) < 0.3] = np.nan
    found = line(log_c, log_y, weights, 42.0)
    for row, slope, level in zip(log_y, *found, strict=True):
        known = np.isfinite(row)
        b, a = np.polyfit(log_c[known] - 42, row[known], 1, w=np.sqrt(weights[known]))
        assert (slope, level) == pytest.approx((b, a))
    alone = np.full((1, 8), np.nan)
    alone[0, 3] = 2.0
    assert np.isnan(line(log_c, alone, weights, 42.0).slope[0])


def test_a_resamples_line_goes_through_the_budgets_that_have_a_minimum_in_it():
    nan = np.nan
    columns = [np.array(c) for c in ([1.0, nan, 1], [2.0, 2, 3], [3.0, 5, nan], [4.0, 6, nan])]
    rows = paired(columns)
    assert rows[0].tolist() == [1, 2, 3, 4]
    assert np.isnan(rows[1, 0])
    assert rows[1, 1:].tolist() == [2, 5, 6]
    assert np.isnan(rows[2]).all()  # two budgets carry no exponent
    assert paired([]).shape == (0, 0)
    # 2, 5 and 6 at 1, 2 and 3: slope (6 - 2) / 2; and none without a line.
    slopes = line(np.arange(4.0), rows, np.ones(4), 0.0).slope
    assert slopes.tolist() == pytest.approx([1, 2, nan], nan_ok=True)


@pytest.mark.parametrize(("lost", "known"), [(40, True), (60, False)])  # of 1,000
def test_more_than_a_twentieth_of_resamples_without_a_line_leave_no_interval(lost, known):
    log_c, rng = np.array([40.0, 42.0, 44.0]), np.random.default_rng(1)
    drawn = 0.5 * log_c + 0.1 * rng.standard_normal((1000, 3))
    drawn[:lost, 1] = np.nan  # leaves two budgets
    rows = paired(list(drawn.T))
    found = exponent("params", log_c, 0.5 * log_c, np.ones(3), {"cases": rows}, 0.9)
    assert (found.resampled["cases"].low is not None) is known
    assert found.status is (Status.CONVERGED if known else Status.UNIDENTIFIABLE)
    assert known or "6 % of the 1000 resamples of cases have no exponent" in found.reason


def test_two_budgets_give_no_exponent_and_three_say_that_they_are_few():
    log_c = np.array([40.0, 42.0, 44.0])
    two = exponent("params", log_c[:2], 0.5 * log_c[:2], np.ones(2), {}, 0.9)
    assert two.status is Status.TOO_FEW_POINTS
    assert np.isnan(two.value)
    assert "2 of the budgets have a minimum" in two.reason
    rng = np.random.default_rng(1)
    drawn = 0.5 * log_c + 0.1 * rng.standard_normal((500, 3))
    three = exponent("params", log_c, 0.5 * log_c, np.ones(3), {"cases": drawn}, 0.9)
    assert three.value == pytest.approx(0.5)
    # The slope of three equally spaced points is (last - first) / 4.
    half = 1.645 * 0.1 * np.sqrt(2) / 4
    ends = three.resampled["cases"]
    assert (ends.low, ends.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.01)
    assert "3 budgets only" in three.reason
    wild = exponent("params", log_c, 0.5 * log_c, np.ones(3), {"cases": 10 * drawn}, 0.9)
    assert wild.status is Status.UNIDENTIFIABLE


def grid_runs(head: float = 0.0, sizes: int = 9) -> Runs:
    """Five budgets of some sizes; ``head`` is what a token costs beyond 6 N FLOP."""
    c, n = (
        a.ravel() for a in np.meshgrid(np.geomspace(1e18, 1e22, 5), np.geomspace(3e7, 3e10, sizes))
    )
    tokens = c / (6 * n + head)
    columns = {"params": n, "tokens": tokens, "flops": c, "loss": np.full(len(n), 3.0)}
    return Runs(tuple(map(str, range(len(n)))), columns)


@pytest.mark.parametrize("name", ["chinchilla", "kaplan"])
def test_approach_3_is_the_laws_own_optimum_under_6nd(name):
    form, values = law(name), law_data.TRUTH[name]
    found = surface(form, values, {}, budgets(grid_runs()), 0.9)
    flops = np.array([one.flops for one in found.optima])
    best = form.optimum(law_data.arrays(values), flops)
    assert [one.params for one in found.optima] == pytest.approx(best.params, rel=1e-9)
    assert [one.tokens for one in found.optima] == pytest.approx(best.tokens, rel=1e-9)
    assert [one.loss for one in found.optima] == pytest.approx(best.loss, rel=1e-9)
    one, other = (values[k] for k in (("alpha", "beta") if name == "chinchilla" else
                                      ("alpha_N", "alpha_D")))  # fmt: skip
    assert found.exponent("params").value == pytest.approx(other / (one + other), rel=1e-9)


def test_approach_3_counts_the_cost_of_a_token_where_it_is_more_than_6n():
    form, values = law("chinchilla"), law_data.TRUTH["chinchilla"]
    head = 6e9
    found = surface(form, values, {}, budgets(grid_runs(head, 321)), 0.9)
    for one in found.optima:
        # The least loss of a fine grid of sizes, with the tokens that the budget buys.
        n = np.geomspace(one.params / 1.5, one.params * 1.5, 30_001)
        loss = form.predict(
            law_data.arrays(values), {"params": n, "tokens": one.flops / (6 * n + head)}
        )
        assert one.loss == pytest.approx(loss.min(), rel=1e-7)
        assert one.params == pytest.approx(n[loss.argmin()], rel=5e-4)  # rates are interpolated
    plain = surface(form, values, {}, budgets(grid_runs()), 0.9)
    assert found.optima[0].params > plain.optima[0].params * 1.2


def test_searched_and_closed_optima_agree():
    # Another rate than 6 takes the search along the budget; the closed form takes C in 6 N D.
    form, values = law("chinchilla"), law_data.TRUTH["chinchilla"]
    rng = np.random.default_rng(0)
    drawn = {name: v * np.exp(0.02 * rng.standard_normal(50)) for name, v in values.items()}
    for one in budgets(grid_runs()):
        dear = Budget(**{**vars(one), "log_rate": one.log_rate + np.log(1.5)})
        (searched,) = surface(form, values, drawn, [dear], 0.9).optima
        exact = form.optimum(law_data.arrays(values), np.array(one.flops / 1.5))
        assert searched.params == pytest.approx(float(exact.params), rel=1e-8)
        assert searched.tokens == pytest.approx(float(exact.tokens), rel=1e-8)
        assert searched.loss == pytest.approx(float(exact.loss), rel=1e-12)
        sizes = form.optimum(drawn, np.array(one.flops / 1.5)).params
        ends = np.quantile(sizes, [0.05, 0.95])
        assert searched.intervals["params"] == pytest.approx(tuple(ends), rel=1e-8)


def test_approach_3_has_the_interval_of_the_fits_replicates():
    form, values = law("chinchilla"), law_data.TRUTH["chinchilla"]
    rng = np.random.default_rng(0)
    drawn = {
        name: value * np.exp(0.02 * rng.standard_normal(400)) for name, value in values.items()
    }
    found = surface(form, values, drawn, budgets(grid_runs()), 0.8)
    ends = found.exponent("params").resampled["cases"]
    share = drawn["beta"] / (drawn["alpha"] + drawn["beta"])
    assert (ends.low, ends.high) == pytest.approx(tuple(np.quantile(share, [0.1, 0.9])), rel=1e-6)


def test_a_law_without_an_optimum_is_refused_at_every_budget():
    values = law_data.TRUTH["chinchilla"] | {"alpha": -0.1}
    found = surface(law("chinchilla"), values, {}, budgets(grid_runs()), 0.9)
    assert {one.status for one in found.optima} == {Status.UNIDENTIFIABLE}
    assert found.exponent("params").status is Status.TOO_FEW_POINTS
