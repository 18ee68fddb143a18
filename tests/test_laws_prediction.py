"""One more run: against the text-book interval of a line, and its parts against one another."""

import numpy as np
import pytest
from law_data import drawn, runs, toy
from scipy import stats

from pipeline import fit as fit_stage
from pipeline.conventions import Convention
from pipeline.laws import law
from pipeline.laws.band import read
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import LEAST_SQUARES, Objective
from pipeline.laws.prediction import predicted, smoothed
from pipeline.laws.widening import expanded, widening

SQUARES = Options(Objective(LEAST_SQUARES), bootstraps=2000, starts=4, profile=False)


def line(count, seed):
    """Runs of a power law with three per cent of noise."""
    n = np.geomspace(1e6, 1e9, count)
    noise = 0.03 * np.random.default_rng(seed).standard_normal(count)
    return runs(n, np.full(count, 1e10), (8.8e13 / n) ** 0.076 * np.exp(noise))


def one_more(found, inputs, **options):
    residuals = np.log(found.runs.loss) - np.log(found.predicted)
    return predicted(
        found.law, found.values, found.replicates, residuals, inputs, 0.9, **options
    )  # fmt: skip


@pytest.mark.parametrize("params", [3e7, 1e11])
def test_many_runs_give_the_text_books_interval(params):
    data = line(400, 0)
    got = one_more(fit(law("power_params"), data, SQUARES), {"params": np.array([params])})
    x, y = np.log(data.params), np.log(data.loss)
    fitted = stats.linregress(x, y)
    s2 = ((y - fitted.intercept - fitted.slope * x) ** 2).sum() / 398
    leverage = 1 / 400 + (np.log(params) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    t = stats.t.ppf(0.95, 398)
    mid = fitted.intercept + fitted.slope * np.log(params)
    assert np.log(got.value[0]) == pytest.approx(mid, abs=1e-9)
    half = t * np.sqrt(s2 * (1 + leverage))
    assert np.log([got.low[0], got.high[0]]) == pytest.approx([mid - half, mid + half], abs=0.006)
    of_line = np.log([ends[0] for ends in got.parameters])
    half = t * np.sqrt(s2 * leverage)
    assert of_line == pytest.approx([mid - half, mid + half], abs=0.1 * half)
    assert got.residual == pytest.approx(np.sqrt(s2), rel=1e-9)


def test_few_runs_hold_one_more_at_about_the_level():
    """200 lines through ten runs: between 165 and 194 of 200 has a chance of 0.997 at 90 %."""
    rng, inside = np.random.default_rng(7), 0
    options = Options(Objective(LEAST_SQUARES), bootstraps=200, starts=1, profile=False)
    inputs = {"params": np.array([5e9])}
    for seed in range(200):
        got = one_more(fit(law("power_params"), line(10, seed), options), inputs)
        again = (8.8e13 / 5e9) ** 0.076 * np.exp(0.03 * rng.standard_normal())
        inside += bool(got.low[0] <= again <= got.high[0])
    assert 165 <= inside <= 194


def test_smoothed_residuals_keep_mean_and_variance():
    residuals = np.array([-0.03, -0.01, 0.0, 0.005, 0.05])
    found = smoothed(residuals, 400_000, np.random.default_rng(0))
    assert found.mean() == pytest.approx(residuals.mean(), abs=2e-4)
    assert found.std() == pytest.approx(residuals.std(), rel=0.01)
    assert len(np.unique(found)) > 300_000


def test_without_residuals_one_more_run_is_the_law():
    found = fit(law("kaplan"), drawn("kaplan", 0.01, 0), Options(bootstraps=400, profile=False))
    inputs = {"params": np.array([1e11]), "tokens": np.array([1e12])}
    got = predicted(law("kaplan"), found.values, found.replicates, np.zeros(48), inputs, 0.9)
    assert got.residual == 0.0
    assert np.log(got.low) == pytest.approx(np.log(got.parameters[0]), rel=5e-3)
    assert np.log(got.high) == pytest.approx(np.log(got.parameters[1]), rel=5e-3)
    wider = predicted(
        law("kaplan"), found.values, found.replicates, np.zeros(48), inputs, 0.9, factor=2.0
    )
    narrow = predicted(
        law("kaplan"), found.values, found.replicates, np.zeros(48), inputs, 0.9, factor=1.0
    )
    ratio = np.log(wider.high / wider.low) / np.log(narrow.high / narrow.low)
    assert ratio == pytest.approx(2.0, rel=1e-9)


def test_one_more_run_is_doubted_more_than_the_law():
    found = fit(law("chinchilla"), drawn("chinchilla", 0.01, 0), Options(profile=False))
    inputs = {"params": np.array([1e9, 1e13]), "tokens": np.array([1e10, 1e14])}
    got = one_more(found, inputs)
    assert (got.low < got.parameters[0]).all()
    assert (got.high > got.parameters[1]).all()
    widths = np.log(got.parameters[1] / got.parameters[0])
    assert widths[1] > 3 * widths[0]
    assert np.isnan(got.seed)


def test_a_stored_fit_predicts_as_the_fit_does(tmp_path):
    found = fit(law("kaplan"), toy(), Options(bootstraps=100))
    fit_stage.write(found, found.runs, Convention(), tmp_path)
    inputs = {"params": np.array([1e7]), "tokens": np.array([1e8])}
    got, expected = read(tmp_path).prediction(**inputs), one_more(
        found, inputs, factor=found.widening
    )  # fmt: skip
    np.testing.assert_allclose([got.low, got.high], [expected.low, expected.high], rtol=1e-9)
    assert np.isnan(got.seed)


def test_levels_are_widened_by_students_t_and_lost_freedom():
    assert widening(0.9, np.inf, 1.0) == pytest.approx(1.0, rel=1e-12)
    # t of 5 degrees at 95 % is 2.015, the normal's 1.645; sqrt(7/5) = 1.183.
    assert widening(0.9, 5, 5 / 7) == pytest.approx(2.0150 / 1.6449 * 1.1832, rel=1e-4)
    assert widening(0.9, 0, 0.0) == 1.0
    assert expanded(0.9, 1.0) == pytest.approx(0.9, rel=1e-12)
    assert expanded(0.9, 1.959964 / 1.644854) == pytest.approx(0.95, rel=1e-6)
