"""Rolling backtests: who is fitted, who is predicted, and published errors of prediction."""

from functools import cache

import numpy as np
import pytest
from law_data import arrays, drawn, published, runs, toy
from scipy.optimize import minimize

from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective
from pipeline.laws.rolling import Cut, cut, ladder, rolled

QUICK = Options(bootstraps=20, starts=32, profile=False)


def mape(found: Cut) -> float:
    return float(100 * np.abs(found.prediction.value / found.observed - 1).mean())


def test_cut_offs_are_the_largest_runs_below_each_rung():
    assert ladder(np.array([1.0, 3.0, 10.0, 40.0, 100.0]), 2.0) == [1.0, 3.0, 10.0, 40.0]
    assert ladder(np.array([1.0, 3.0, 10.0, 40.0, 100.0]), 10.0) == [1.0, 10.0]


def test_counts_rounded_to_whole_steps_are_one_rung():
    assert ladder(np.array([499_712, 1_000_448, 1_999_872, 3_999_744.0]), 2.0) == [
        499_712, 1_000_448, 1_999_872,
    ]  # fmt: skip


def test_one_value_or_none_has_no_cut_off():
    assert ladder(np.array([5.0, 5.01, 4.99]), 2.0) == []
    assert ladder(np.empty(0), 2.0) == []
    with pytest.raises(ValueError, match=r"ladder 1.0: take a ratio above 1"):
        ladder(np.array([1.0, 2.0]), 1.0)


def test_a_cut_is_the_fit_of_the_runs_below_and_its_prediction_of_those_above():
    data = toy()
    at = np.sort(data.flops)[19]
    found = cut(law("kaplan"), data, "flops", at, QUICK)
    assert found.fit.runs.cell == data.take(data.flops <= at).cell
    assert found.above.cell == data.take(data.flops > at).cell
    alone = fit(law("kaplan"), data.take(data.flops <= at), QUICK)
    told = law("kaplan").predict(
        arrays(alone.values), {"params": found.above.params, "tokens": found.above.tokens}
    )
    np.testing.assert_allclose(found.prediction.value, told, rtol=1e-12)
    np.testing.assert_allclose(found.factor, found.above.flops / at, rtol=1e-12)
    np.testing.assert_allclose(found.log_error, np.log(told / found.above.loss), rtol=1e-9)
    inside = (found.prediction.low <= found.observed) & (found.observed <= found.prediction.high)
    assert found.covered.tolist() == inside.tolist()


def test_nearly_equal_runs_stay_on_one_side():
    data = toy()
    size = np.unique(data.params)[-2]
    nudged = {**data.columns, "params": data.params * np.where(data.params == size, 1.004, 1.0)}
    found = cut(law("kaplan"), Runs(data.cell, nudged), "params", size, QUICK)
    assert set(found.fit.runs.cell) == set(data.take(data.params <= size).cell)


def test_what_is_above_cannot_change_the_fit():
    data = toy()
    for name, axis in (("kaplan", "flops"), ("power_compute", "flops"), ("power_params", "params")):
        at = np.sort(np.unique(data.column(axis)))[-3]
        above = data.column(axis) > at * 1.01
        changed = {**data.columns, "loss": data.loss * np.where(above, 0.5, 1.0)}
        one = cut(law(name), data, axis, at, QUICK)
        other = cut(law(name), Runs(data.cell, changed), axis, at, QUICK)
        assert one.fit.runs.cell == other.fit.runs.cell, name
        assert one.fit.values == other.fit.values, name


def test_a_frontier_cut_off_is_the_frontier_of_the_runs_below():
    data, form = toy(), law("power_compute")
    at = np.sort(data.flops)[20]
    found = cut(form, data, "flops", at, QUICK)
    below = data.take(data.flops <= at)
    assert found.fit.runs.cell == below.take(form.select(below).mask).cell
    whole = data.take(form.select(data).mask)
    assert found.above.cell == whole.take(whole.flops > at).cell


def test_a_law_of_size_is_tested_at_the_tokens_it_is_fitted_at():
    """Small sizes at few tokens, large ones at many: they measure no common L(N)."""
    n = np.geomspace(1e6, 1e9, 12)
    d = np.where(n < 3e7, 1e9, 1e10)
    data = runs(n, d, (8.8e13 / n) ** 0.076)
    found = cut(law("power_params"), data, "params", n[8], QUICK)
    assert isinstance(found, str)
    assert found == f"Only 3 of its 6 runs lie up to params {n[8]:.3g}; it takes 4."


@pytest.mark.parametrize(
    ("name", "axis", "at", "reason"),
    [
        ("kaplan", "flops", 1e30, "None of its 28 runs lies above flops 1e+30."),
        ("kaplan", "flops", 2e10, "Only 4 of its 28 runs lie up to flops 2e+10; it takes 6."),
        ("kaplan", "params", 6144, "Its runs up to params 6.14e+03 have 2 values of params; it"),
        ("power_tokens", "tokens", 2e6, "Only 3 of its 4 runs lie up to tokens 2e+06; it takes 4."),
    ],
)
def test_what_cannot_be_tested_is_refused_with_its_numbers(name, axis, at, reason):
    found = cut(law(name), toy(), axis, at, QUICK)
    assert isinstance(found, str)
    assert found.startswith(reason)


def test_a_column_that_is_not_there_is_named():
    data = toy()
    bare = Runs(data.cell, {c: data.column(c) for c in ("params", "tokens", "loss")})
    found = rolled(law("power_compute"), bare, "flops", [1.0], QUICK)
    assert found.refusal == "The runs have no column flops."
    assert found.cuts == ()


def test_a_fit_that_fails_is_a_refusal_and_not_the_end(monkeypatch):
    def failing(law, runs, options):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr("pipeline.laws.rolling.fit", failing)
    found = rolled(law("kaplan"), toy(), "flops", [1e12], QUICK)
    assert found.refusal == (
        "It could not be fitted up to flops 1e+12: Eigenvalues did not converge."
    )
    assert np.isnan(found.quality.rmse)


def test_cut_offs_between_two_runs_of_a_law_are_one():
    data = toy()
    found = rolled(law("power_compute"), data, "flops", ladder(data.flops, 2.0), QUICK)
    places = [one.at for one in found.cuts]
    assert places == sorted(set(places))
    assert set(places) <= set(data.flops)


def test_without_noise_every_cut_off_predicts_exactly():
    found = rolled(law("chinchilla"), drawn("chinchilla", 0.0, 0), "flops", [1e18, 1e20], QUICK)
    assert len(found.cuts) == 2
    for one in found.cuts:
        assert np.abs(one.log_error).max() < 1e-6
    assert found.quality.rmse < 1e-9


@cache
def besiroglu(name: str) -> Cut:
    table = published("besiroglu_chinchilla.csv", {"used_in_fit": "True"})
    data = runs(table.params, table.tokens, table.loss)
    at = data.flops[data.flops < 1e20].max()
    return cut(law(name), data, "flops", at, Options(Objective(1e-3), bootstraps=20, profile=False))


@pytest.mark.parametrize(("name", "error"), [("chinchilla", 0.89), ("kaplan", 2.00)])
def test_published_runs_below_1e20_flop_predict_the_rest(name, error):
    found = besiroglu(name)
    assert (len(found.fit.runs), len(found.above)) == (136, 104)
    assert mape(found) == pytest.approx(error, abs=0.005)


@pytest.mark.parametrize(
    ("corpus", "chinchilla", "kaplan"),
    [("c4_original", 3.4, None), ("rpj", 1.8, 8.6), ("rw_original", 2.1, 9.1)],
)
def test_published_sizes_up_to_411m_predict_1b4_and_6b9(corpus, chinchilla, kaplan):
    table = published("gadre_overtraining.csv", {"train_dataset": corpus}, "loss_c4_val")
    data = runs(table.params, table.tokens, table.loss)
    options = Options(Objective(1e-3), bootstraps=20, profile=False)
    for name, error in (("chinchilla", chinchilla), ("kaplan", kaplan)):
        found = cut(law(name), data, "params", 4.2e8, options)
        assert len(found.above) == 3
        if error is not None:
            assert mape(found) == pytest.approx(error, abs=0.05)
        else:
            assert mape(found) == pytest.approx(100 * independent(found), abs=0.05)


def independent(found: Cut) -> float:
    """Mean error of Kaplan's law as scipy fits it to the runs below, from many starts."""
    n, d, y = found.fit.runs.params, found.fit.runs.tokens, np.log(found.fit.runs.loss)

    def log_loss(p, n, d):
        size, data = p[0] - p[1] * np.log(n / 1e8), p[2] - np.log(d / 1e9)
        return np.exp(p[3]) * np.logaddexp(size, data)

    def cost(p):
        with np.errstate(all="ignore"):  # a line search may go anywhere
            r = np.abs(y - log_loss(p, n, d)) / 1e-3
            total = np.where(r < 1, r**2 / 2, r - 0.5).sum()
        return total if np.isfinite(total) else 1e9

    rng = np.random.default_rng(0)
    starts = rng.uniform([-5, 0.1, -5, -3], [15, 2, 15, 0], (60, 4))
    ends = [minimize(cost, start, method="L-BFGS-B") for start in starts]
    best = minimize(cost, min(ends, key=lambda end: end.fun).x, method="Nelder-Mead",
                    options={"maxfev": 4000, "xatol": 1e-9, "fatol": 1e-10})  # fmt: skip
    told = np.exp(log_loss(best.x, found.above.params, found.above.tokens))
    return float(np.abs(told / found.observed - 1).mean())


def test_a_fit_without_resamples_is_a_refusal_and_not_the_end():
    found = cut(
        law("kaplan"), toy(), "flops", 1e12, Options(bootstraps=0, starts=32, profile=False)
    )
    assert found == "Its fit up to flops 1e+12 has no resamples, so its predictions no interval."
