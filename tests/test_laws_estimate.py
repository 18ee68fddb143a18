"""Fits: the truth is found, and what cannot be known is said; coverage has its own tests."""

from dataclasses import replace

import numpy as np
import pytest
from law_data import TRUTH, drawn, runs, toy

from pipeline.laws import LAWS, law
from pipeline.laws.base import Runs, Status
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective

QUICK = Options(bootstraps=60, starts=64, profile=False)
every_law = pytest.mark.parametrize("name", LAWS)


@every_law
def test_truth_without_noise_is_recovered(name):
    found = fit(law(name), drawn(name, 0.0, 0), QUICK)
    assert found.status is Status.CONVERGED
    for parameter, value in TRUTH[name].items():
        assert found.values[parameter] == pytest.approx(value, rel=1e-5), parameter
    assert found.quality.r2 == pytest.approx(1.0, abs=1e-12)


@every_law
def test_order_of_the_runs_does_not_matter(name):
    data = drawn(name, 0.01, 1)
    order = np.random.default_rng(0).permutation(len(data))
    plain = replace(QUICK, bootstraps=0)
    one, other = fit(law(name), data, plain), fit(law(name), data.take(order), plain)
    assert one.objective == pytest.approx(other.objective, rel=1e-12)
    for parameter in TRUTH[name]:
        assert one.values[parameter] == pytest.approx(other.values[parameter], rel=1e-5)


# Farseer's exponents are of a number of tokens: another unit is another law.
@pytest.mark.parametrize("name", [n for n in LAWS if n != "farseer"])
def test_units_of_the_counts_do_not_matter(name):
    data = drawn(name, 0.01, 2)
    units = {"params": 1e9, "tokens": 1e9, "flops": 1e18, "flops_min": 1e18, "unique_tokens": 1e9}
    billions = Runs(data.cell, {c: data.column(c) / units.get(c, 1.0) for c in data.columns})
    one, other = fit(law(name), data, QUICK), fit(law(name), billions, QUICK)
    assert one.objective == pytest.approx(other.objective, rel=1e-10)
    np.testing.assert_allclose(one.predicted, other.predicted, rtol=1e-8)
    for parameter in law(name).parameters:
        if parameter.kind == "exponent":
            a, b = one.values[parameter.name], other.values[parameter.name]
            assert a == pytest.approx(b, rel=1e-5)
            np.testing.assert_allclose(
                one.intervals[parameter.name], other.intervals[parameter.name], rtol=1e-4
            )


def test_seed_fixes_every_number():
    data = drawn("chinchilla", 0.01, 3)
    one, same = (fit(law("chinchilla"), data, QUICK) for _ in range(2))
    other = fit(law("chinchilla"), data, replace(QUICK, seed=1))
    np.testing.assert_array_equal(one.replicates["E"], same.replicates["E"])
    assert one.intervals == same.intervals
    assert one.intervals != other.intervals
    assert one.objective == pytest.approx(other.objective, rel=1e-10)


@pytest.mark.parametrize(
    ("name", "r2"),
    [  # that of straight lines where the law is one
        ("power_params", 0.991),
        ("power_tokens", 0.9998),
        ("kaplan", 0.987),
        ("chinchilla", 0.95),
    ],
)
def test_measured_runs_are_described_as_well_as_known(name, r2):
    found = fit(law(name), toy(), replace(QUICK, objective=Objective(0.001)))
    line = found.quality.r2_line if len(law(name).inputs) == 1 else found.quality.r2
    digits = len(str(r2)) - 2
    assert line == pytest.approx(r2, abs=1.01 * 10.0**-digits)


def test_floor_far_below_every_run_means_nothing():
    found = fit(law("chinchilla"), toy(), replace(QUICK, bootstraps=200))
    assert found.values["E"] == 0.0
    assert found.judgements["E"].status is Status.BOUND_HIT
    assert found.status.severity >= Status.BOUND_HIT.severity
    assert "E: No run is near the floor" in found.sentence
    assert "E means nothing" in found.sentence


def test_floor_with_an_interval_to_zero_is_unidentifiable():
    """Losses ten times the floor, with noise: E is found somewhere, and nobody knows where."""
    values = {"E": 0.4, "A": 60.0, "alpha": 0.2, "B": 60.0, "beta": 0.2}
    n, d = (g.ravel() for g in np.meshgrid(np.geomspace(1e3, 1e5, 6), np.geomspace(1e5, 1e7, 5)))
    clean = law("chinchilla").predict(
        {k: np.asarray(v) for k, v in values.items()}, {"params": n, "tokens": d}
    )
    loss = clean * np.exp(0.02 * np.random.default_rng(0).standard_normal(30))
    judged = fit(law("chinchilla"), runs(n, d, loss), QUICK).judgements["E"]
    assert judged.status in (Status.UNIDENTIFIABLE, Status.BOUND_HIT)
    assert "No run is near the floor" in judged.reason


@every_law
@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_runs_give_no_number(name, count):
    data = drawn(name, 0.01, 0).take(np.arange(count))
    found = fit(law(name), data, QUICK)
    assert found.status is Status.TOO_FEW_POINTS
    assert "too few" in found.sentence
    assert all(np.isnan(v) for v in found.values.values())
    assert all(interval is None for interval in found.intervals.values())
    assert len(found.predicted) == len(found.runs) <= count


@pytest.mark.parametrize(
    ("name", "fixed", "open_", "known"),
    [
        ("kaplan", "params", {"alpha_N", "Nc"}, set()),
        ("chinchilla", "params", {"alpha", "A", "E"}, {"beta"}),
        ("chinchilla", "tokens", {"beta", "B", "E"}, {"alpha"}),
    ],
)
def test_one_value_of_an_input_leaves_its_exponent_open(name, fixed, open_, known):
    data = drawn(name, 0.002, 0)
    column = data.column(fixed)
    data = data.take(column == np.unique(column)[3])
    assert len(data) > len(law(name).parameters)
    found = fit(law(name), data, QUICK)
    assert found.status is Status.UNIDENTIFIABLE
    for parameter in open_:
        assert found.judgements[parameter].status is Status.UNIDENTIFIABLE, parameter
        assert found.intervals[parameter] is None
    for parameter in known:
        assert found.intervals[parameter] is not None


def test_power_law_at_one_size_is_unidentifiable():
    data = runs([1e6] * 5, [1e9] * 5, [3.0, 3.01, 2.99, 3.0, 3.02])
    found = fit(law("power_params"), data, QUICK)
    assert found.status is Status.UNIDENTIFIABLE
    assert found.intervals["alpha_N"] is None


def test_loss_that_does_not_fall_is_no_law():
    n = np.geomspace(1e5, 1e8, 16)
    loss = 3.0 * np.exp(0.05 * np.random.default_rng(0).standard_normal(16))
    found = fit(
        law("power_params"),
        runs(n, np.full(16, 1e9), loss),
        replace(QUICK, objective=Objective(0.001)),
    )
    assert found.judgements["alpha_N"].status is Status.UNIDENTIFIABLE
    assert "do not show that the loss depends on it" in found.judgements["alpha_N"].reason


@pytest.mark.parametrize("name", ["kaplan", "power_params"])
def test_without_resamples_values_stand_alone(name):
    asked = fit(law(name), toy(), QUICK)
    found = fit(law(name), toy(), replace(QUICK, bootstraps=0))
    assert found.values == asked.values
    assert found.intervals == dict.fromkeys(found.values)
    assert {len(sample) for sample in found.replicates.values()} == {0}


@pytest.mark.parametrize("name", ["chinchilla", "power_floor_params", "overtraining"])
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_the_loss_does_not_matter(name, unit):
    data = drawn(name, 0.01, 2)
    other = Runs(data.cell, {**data.columns, "loss": data.loss * unit})
    plain = replace(QUICK, starts=32)
    one, there = fit(law(name), data, plain), fit(law(name), other, plain)
    assert there.status is one.status
    assert there.objective == pytest.approx(one.objective, rel=1e-9)
    np.testing.assert_allclose(there.predicted, unit * one.predicted, rtol=1e-8)
    floor = law(name).parameters[0].name
    assert there.values[floor] == pytest.approx(unit * one.values[floor], rel=1e-4)
    low, high = one.intervals[floor]
    np.testing.assert_allclose(there.intervals[floor], (unit * low, unit * high), rtol=1e-3)


def test_a_floor_that_vanished_is_zero_in_any_unit():
    data = toy()
    small = Runs(data.cell, {**data.columns, "loss": data.loss * 1e-12})
    for runs_ in (data, small):
        found = fit(law("chinchilla"), runs_, QUICK)
        assert found.values["E"] == 0.0
        assert found.judgements["E"].status is Status.BOUND_HIT


@pytest.mark.parametrize("name", ["power_params", "log_params", "kaplan", "chinchilla"])
def test_runs_of_one_loss_show_no_law(name):
    n, d = (g.ravel() for g in np.meshgrid(np.geomspace(1e6, 1e9, 7), np.geomspace(1e9, 1e11, 4)))
    found = fit(law(name), runs(n, d, np.full(28, 2.5)), QUICK)
    assert found.status is Status.UNIDENTIFIABLE
    assert found.sentence.startswith("All runs have one loss")
    assert all(np.isnan(v) for v in found.values.values())
    assert set(found.intervals.values()) == {None}
    assert {j.status for j in found.judgements.values()} == {Status.UNIDENTIFIABLE}


def test_the_profile_judges_what_few_runs_are_said_to_determine():
    """Three runs on a line: an exact t interval of one freedom, which resamples know nothing of."""
    n = np.array([1e6, 1e7, 1e8])
    data = runs(n, np.full(3, 1e9), [3.0, 2.8, 2.7])
    found = fit(law("log_params"), data, Options(bootstraps=200))
    low, high = found.profiles["b"]
    assert low < 0 < high
    assert found.judgements["b"].status is Status.UNIDENTIFIABLE
    assert "do not show its effect" in found.judgements["b"].reason


def repeated(noise):
    """Runs of kaplan's law with an error of their own each, and two seeds that differ by noise."""
    n, d = (g.ravel() for g in np.meshgrid(np.geomspace(1e6, 1e9, 7), np.geomspace(1e9, 1e11, 4)))
    rng = np.random.default_rng(0)
    clean = law("kaplan").predict(
        {k: np.asarray(v) for k, v in TRUTH["kaplan"].items()}, {"params": n, "tokens": d}
    )
    of_design = np.tile(clean * np.exp(0.08 * rng.standard_normal(28)), 2)
    return runs(np.tile(n, 2), np.tile(d, 2), of_design * np.exp(noise * rng.standard_normal(56)))


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_seeds_alone_do_not_judge_a_parameter(noise):
    """Errors that the seeds of a design share leave alpha_D open; their interval is narrow."""
    options = replace(QUICK, bootstrap=Bootstrap.SEED)
    found = fit(law("kaplan"), repeated(noise), options)
    low, high = found.intervals["alpha_D"]
    assert high < 1.3 * low
    profile = found.profiles["alpha_D"]
    assert profile is not None
    assert profile.high is None or profile.high > 4 * profile.low
    assert found.judgements["alpha_D"].status is Status.UNIDENTIFIABLE
