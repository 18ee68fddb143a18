"""The sentence behind each status, and the runs that it asks for."""

import tracemalloc

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn, toy

from pipeline.laws import law
from pipeline.laws.base import Kind, Parameter, Status
from pipeline.laws.estimate import Options, fit
from pipeline.laws.identify import Design, advice, design, judged, tied
from pipeline.laws.profile import Profile

KNOWN = Design(10.0, frozenset(), {"p": "Add runs with 4 times the largest params."})
BOUNDED = Profile(0.1, 0.2)


def parameter(kind):
    return Parameter("p", "p", "a parameter", "1", kind)


def judge(kind, value, interval, profile=BOUNDED, known=KNOWN, lowest=3.0, points=30, **more):
    return judged(parameter(kind), value, interval, profile, known, lowest, points, **more)


@pytest.mark.parametrize(
    ("kind", "value", "interval", "status", "words"),
    [
        (Kind.EXPONENT, 0.1, (0.08, 0.12), Status.CONVERGED, "determine"),
        (Kind.EXPONENT, 0.1, (0.0005, 0.12), Status.UNIDENTIFIABLE, "do not show"),
        (Kind.EXPONENT, 0.1, (0.02, 0.12), Status.UNIDENTIFIABLE, "leave it open"),
        (Kind.SCALE, 1e9, (1e7, 1e11), Status.CONVERGED, "determine"),
        (Kind.SCALE, 1e9, (1e4, 1e11), Status.UNIDENTIFIABLE, "leave it open"),
        (Kind.SLOPE, -0.2, (-0.3, -0.1), Status.CONVERGED, "determine"),
        (Kind.SLOPE, -0.2, (-0.5, 0.1), Status.UNIDENTIFIABLE, "do not show its effect"),
        (Kind.SLOPE, -0.2, (-0.5, -0.1), Status.UNIDENTIFIABLE, "leave it open"),
        (Kind.OFFSET, 0.0, (-5.0, 5.0), Status.CONVERGED, "determine"),
        (Kind.FLOOR, 1.8, (1.7, 1.9), Status.CONVERGED, "determine"),
        (Kind.FLOOR, 0.0, (0.0, 1.0), Status.BOUND_HIT, "means nothing"),
        (Kind.FLOOR, 1.8, (0.02, 1.9), Status.UNIDENTIFIABLE, "No run is near the floor"),
        (Kind.FLOOR, 1.4, (1.3, 1.5), Status.UNIDENTIFIABLE, "more than twice"),
    ],
)
def test_intervals_are_judged_by_kind(kind, value, interval, status, words):
    found = judge(kind, value, interval)
    assert found.status is status
    assert words in found.reason
    assert found.reason.endswith("Add runs with 4 times the largest params.") == (
        status is not Status.CONVERGED
    )


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (Profile(None, 0.2), "No smaller value of p is ruled out"),
        (Profile(0.1, None), "No larger value of p is ruled out"),
        (Profile(None, None), "No smaller or larger value of p is ruled out"),
    ],
)
def test_a_profile_without_end_leaves_a_parameter_open(profile, words):
    found = judge(Kind.EXPONENT, 0.1, (0.08, 0.12), profile)
    assert found.status is Status.UNIDENTIFIABLE
    assert words in found.reason
    assert judge(Kind.EXPONENT, 0.1, None, profile).status is Status.UNIDENTIFIABLE


def test_an_interval_without_width_says_nothing_unless_all_runs_lie_on_the_law():
    found = judge(Kind.EXPONENT, 0.1, (0.1, 0.1 + 1e-11))
    assert found.status is Status.UNIDENTIFIABLE
    assert "no width" in found.reason
    assert judge(Kind.EXPONENT, 0.1, (0.1, 0.1), exact=True).status is Status.CONVERGED
    assert judge(Kind.FLOOR, 1.8, (1.8, 1.8)).status is Status.UNIDENTIFIABLE
    assert judge(Kind.FLOOR, 0.0, (0.0, 0.0)).status is Status.BOUND_HIT


def test_few_runs_are_judged_by_the_profile_too():
    wide = Profile(0.02, 0.2)
    assert judge(Kind.EXPONENT, 0.1, (0.08, 0.12), wide, points=9).status is Status.UNIDENTIFIABLE
    assert judge(Kind.EXPONENT, 0.1, (0.08, 0.12), wide, points=10).status is Status.CONVERGED
    assert judge(Kind.FLOOR, 1.8, (1.7, 1.9), Profile(0.0, 1.9), points=9).status is (
        Status.UNIDENTIFIABLE
    )


@pytest.mark.parametrize(
    ("slope", "words"), [(1.0, "D is about 20 N)"), (0.5, "D is about 20 N^0.5)")]
)
def test_a_common_line_of_size_and_tokens_is_named(slope, words):
    n = np.geomspace(1e6, 1e9, 12)
    x = np.log([n, 20 * n**slope])
    centre = x.mean(1)
    assert words in tied(law("kaplan"), x - centre[:, None], centre)
    x[1] += 0.1 * np.random.default_rng(0).standard_normal(12)
    assert tied(law("kaplan"), x - centre[:, None], centre) == ""
    assert tied(law("power_params"), x[:1] - centre[0], centre[:1]) == ""


def test_one_size_is_no_common_line():
    x = np.stack([np.zeros(8), np.linspace(-1, 1, 8)])
    assert tied(law("kaplan"), x, np.array([14.0, 21.0])) == ""


def test_the_design_of_many_runs_needs_little_memory():
    """Twenty thousand runs squared would be 3.2 GB."""
    found, rng = law("chinchilla"), np.random.default_rng(0)
    theta = np.array([0.5, -0.5, 0.3, -0.5, 0.3])
    x = rng.uniform(-2, 2, (2, 20_000))
    tracemalloc.start()
    known = design(found, theta, x, np.array([18.0, 22.0]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    gradient = found.expansion(theta, x).gradient
    unit = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
    assert known.condition == pytest.approx(np.sqrt(np.linalg.cond(unit @ unit.T)), rel=1e-6)


def test_few_runs_and_no_resamples_are_said():
    assert "9 runs only" in judge(Kind.EXPONENT, 0.1, (0.08, 0.12), points=9).reason
    assert "no resamples" in judge(Kind.EXPONENT, 0.1, None).reason
    assert judge(Kind.EXPONENT, 0.1, (0.08, 0.12), None).status is Status.CONVERGED


def test_the_floor_of_another_target_is_called_by_its_name():
    found = judge(Kind.FLOOR, 0.2, (0.15, 0.25), lowest=0.5, target="task_error")
    assert "the lowest task_error, 0.5" in found.reason


def test_open_directions_come_first():
    known = Design(1e9, frozenset({"p"}), KNOWN.advice)
    found = judge(Kind.EXPONENT, 0.1, (0.08, 0.12), known=known)
    assert found.status is Status.UNIDENTIFIABLE
    assert "condition number 1e+09" in found.reason


def advice_at_the_truth(name):
    """What is told of each parameter of a law, on runs that lie on it."""
    found, data = law(name), drawn(name, 0.0, 0)
    x = found.log_inputs(data)
    centre = x.mean(1)
    theta = found.shifted(found.theta(arrays(TRUTH[name])), -centre)
    return advice(found, theta, x - centre[:, None], centre)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("power_compute", {"Cc": "flops", "alpha_C": "flops"}),
        ("chinchilla", {"alpha": "params", "beta": "tokens"}),
    ],
)
def test_advice_names_the_input_that_the_parameter_is_of(name, expected):
    told = advice_at_the_truth(name)
    for parameter, column in expected.items():
        assert told[parameter].endswith(f" {column}."), told


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("power_tokens", "take a larger model or leave the largest D out."),
        ("log_params", "train on more tokens or leave the largest N out."),
        ("power_floor_tokens", None),  # levels off at its own floor
    ],
)
def test_advice_of_one_count_says_what_to_do_where_the_other_limits_it(name, cure):
    """A bend at the largest D of L(D) is the size of its model, which more tokens do not mend."""
    told = advice_at_the_truth(name)
    further = [words for words in told.values() if "4 times the largest" in words]
    assert further
    for words in further:
        assert words.endswith(f", or, if the loss levels off at the largest, {cure}") == bool(cure)
        assert ("levels off" in words) == bool(cure)
    assert not any("levels off" in words for words in told.values() if "smallest" in words)


def test_advised_runs_tell_more_than_as_many_others():
    """The profile of each exponent narrows most where its advice points, of five designs."""
    found, clean = law("chinchilla"), arrays(TRUTH["chinchilla"])
    data = drawn("chinchilla", 0.01, 0)
    x = found.log_inputs(data)
    centre = x.mean(1)
    fitted = fit(found, data, Options(bootstraps=0, starts=8, profile=False))
    theta = found.shifted(found.theta(arrays(fitted.values)), -centre)
    told = advice(found, theta, x - centre[:, None], centre)
    top, low = np.exp(x.max(1)) * 4, np.exp(x.min(1)) / 4
    middle = np.exp(centre)
    places = {
        "4 times the largest params and tokens": (top[0], top[1]),
        "4 times the largest params": (top[0], middle[1]),
        "1/4 of the smallest params": (low[0], middle[1]),
        "4 times the largest tokens": (middle[0], top[1]),
        "1/4 of the smallest tokens": (middle[0], low[1]),
    }

    def variance(place, name):
        """Of least squares with four runs added, from differences in the named parameters."""
        n, d = np.r_[data.params, [place[0]] * 4], np.r_[data.tokens, [place[1]] * 4]
        names = list(fitted.values)

        def log_loss(at):
            values = dict(zip(names, np.exp(at)))
            return np.log(found.predict(arrays(values), {"params": n, "tokens": d}))

        best = np.log([fitted.values[p] for p in names])
        steps = 1e-5 * np.eye(5)
        jacobian = np.stack([(log_loss(best + s) - log_loss(best - s)) / 2e-5 for s in steps])
        return np.linalg.inv(jacobian @ jacobian.T)[names.index(name), names.index(name)]

    assert clean.keys() == set(fitted.values)
    for name in clean:
        best = min(places, key=lambda words: variance(places[words], name))
        assert told[name] == f"Add runs with {best}."


def test_measured_runs_far_from_the_floor_ask_for_better_runs():
    found = fit(law("chinchilla"), toy(), Options(bootstraps=100))
    assert found.judgements["E"].status is Status.BOUND_HIT
    assert "Add runs with 4 times the largest params and tokens." in found.judgements["E"].reason
