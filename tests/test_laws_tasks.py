"""From loss to a task's error: levels, middle and ends of the two forms."""

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn
from scipy.special import expit

from pipeline.laws import law
from pipeline.laws.base import Kind, Runs, Status
from pipeline.laws.estimate import Options, fit


def error(name, loss, **changes):
    values = arrays(TRUTH[name] | changes)
    return law(name).predict(values, {"loss": np.asarray(loss, dtype=float)})


def test_gadre_error_is_the_formula():
    loss = np.linspace(1.8, 4.5, 7)
    np.testing.assert_allclose(
        error("gadre_error", loss), 0.9 - 2.0 * np.exp(-0.8 * loss), rtol=1e-13
    )


def test_gadre_error_tends_to_epsilon_and_ends_where_it_is_zero():
    zero = np.log(2.0 / 0.9) / 0.8
    got = error("gadre_error", [1e3, zero * 1.001, zero * 0.999])
    assert got[0] == pytest.approx(0.9, rel=1e-12)
    assert 0 < got[1] < 0.01
    assert np.isnan(got[2])


def test_sigmoid_is_one_less_the_printed_accuracy():
    """Bhagia et al. 2024: accuracy = a / (1 + exp(-k (L - L0))) + b."""
    loss = np.linspace(1.0, 5.0, 9)
    accuracy = -0.6 / (1 + np.exp(-3.0 * (loss - 3.0))) + 0.9
    np.testing.assert_allclose(error("task_sigmoid", loss), 1 - accuracy, rtol=1e-12)


def test_sigmoid_is_halfway_at_the_bend_and_level_far_away():
    got = error("task_sigmoid", [3.0, 1e-6, 60.0])
    assert got[0] == pytest.approx(1 - (0.9 - 0.3), rel=1e-12)
    assert got[1] == pytest.approx(1 - (0.9 - 0.6 * expit(-9.0)), rel=1e-5)
    assert got[2] == pytest.approx(1 - (0.9 - 0.6), rel=1e-12)


def test_sigmoid_may_end_in_perfection():
    values = arrays(TRUTH["task_sigmoid"] | {"a": -0.75, "b": 1.0})
    found = law("task_sigmoid")
    theta = found.theta(values)
    assert theta[0] == -np.inf
    assert float(found.values(theta)["b"]) == 1.0
    assert found.predict(values, {"loss": np.array([60.0])})[0] == pytest.approx(0.75, rel=1e-12)


@pytest.mark.parametrize("name", ["gadre_error", "task_sigmoid"])
def test_backtest_holds_out_the_lowest_losses(name):
    data = drawn(name, 0.0, 0)
    assert law(name).backtest_order(data).argmax() == data.loss.argmin()


@pytest.mark.parametrize("name", ["gadre_error", "task_sigmoid"])
def test_perfect_scores_are_left_out_of_the_fit_and_counted(name):
    """The law of the others is the truth, which a perfect score would bend without end."""
    data = drawn(name, 0.0, 0)
    perfect = [data.loss.min() * factor for factor in (0.97, 0.98, 0.99)]
    with_them = Runs(
        (*data.cell, "x", "y", "z"),
        {
            "loss": np.r_[data.loss, perfect],
            "task_error": np.r_[data.column("task_error"), 0, 0, 0],
        },
    )
    found = fit(law(name), with_them, Options(bootstraps=0, profile=False, starts=16))
    assert found.runs.cell == data.cell
    for parameter, value in TRUTH[name].items():
        assert found.values[parameter] == pytest.approx(value, rel=1e-4)
    assert found.reason.endswith(
        f" 3 of {len(data) + 3} left out: their error is 0, which has no logarithm."
    )
    assert "left out" not in law(name).select(data).reason


@pytest.mark.parametrize("name", ["gadre_error", "task_sigmoid"])
def test_where_too_few_runs_err_there_are_too_few(name):
    needed = len(law(name).parameters) + 1
    loss = np.linspace(2.0, 4.0, 12)
    errors = np.where(np.arange(12) < 12 - needed + 1, 0.0, 0.1 * loss)
    data = Runs(tuple(map(str, range(12))), {"loss": loss, "task_error": errors})
    found = fit(law(name), data, Options())
    assert found.status is Status.TOO_FEW_POINTS
    assert found.sentence.startswith(f"{needed - 1} runs are too few: {name} has")
    assert f"{13 - needed} of 12 left out: their error is 0" in found.sentence


@pytest.mark.parametrize("name", ["gadre_error", "task_sigmoid"])
def test_rates_are_of_one_sign_and_offsets_of_either(name):
    found = law(name)
    theta = np.random.default_rng(0).normal(0, 3, (1000, len(found.parameters)))
    values = found.values(theta)
    for parameter in found.parameters:
        low, high = values[parameter.name].min(), values[parameter.name].max()
        if parameter.kind in (Kind.RATE, Kind.SCALE):
            assert low > 0, parameter.name
        if parameter.kind is Kind.OFFSET:
            assert low < 0 < high, parameter.name
    assert [p.name for p in found.parameters if p.kind is Kind.RATE] == [
        {"gadre_error": "gamma", "task_sigmoid": "k"}[name]
    ]


@pytest.mark.parametrize(("name", "rate"), [("gadre_error", "gamma"), ("task_sigmoid", "k")])
def test_errors_that_do_not_depend_on_the_loss_leave_the_rate_open(name, rate):
    loss = np.linspace(2, 4.5, 40)
    for seed in range(2):
        error = 0.7 * np.exp(0.01 * np.random.default_rng(seed).standard_normal(40))
        data = Runs(tuple(map(str, range(40))), {"loss": loss, "task_error": error})
        found = fit(law(name), data, Options(bootstraps=60, starts=8))
        assert found.judgements[rate].status is Status.UNIDENTIFIABLE
