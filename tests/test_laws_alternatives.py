"""Fits with two minima that the runs cannot tell apart say so, and do not choose by their seed."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from law_data import arrays, drawn, runs

from pipeline.laws import law
from pipeline.laws.alternatives import contradicted
from pipeline.laws.base import Status
from pipeline.laws.estimate import Options, fit
from pipeline.laws.places import moves
from pipeline.laws.search import search

SWAPPED = {"E": 1.8, "A": 50.0, "alpha": 0.2, "B": 2e5, "beta": 0.6}


def along_a_line(noise, off, count=40):
    """Runs of a law with two different exponents at D = 20 N, ``off`` in log D from there."""
    n = np.geomspace(1e6, 1e10, count)
    d = 20 * n * np.exp(off * np.random.default_rng(3).standard_normal(count))
    clean = law("chinchilla").predict(arrays(SWAPPED), {"params": n, "tokens": d})
    return runs(n, d, clean * np.exp(noise * np.random.default_rng(1).standard_normal(count)))


@cache
def swapped(seed, bootstraps=60):
    return fit(
        law("chinchilla"), along_a_line(1e-4, 0.0), Options(bootstraps=bootstraps, seed=seed)
    )


def test_terms_that_may_change_places_are_not_told_apart():
    """Seeds 0 and 2 end in the two ways to name the same two terms, A = 20^.6 B and so on."""
    one, other = swapped(0), swapped(2)
    assert one.objective == pytest.approx(other.objective, rel=1e-8)
    assert one.values["alpha"] == pytest.approx(other.values["beta"], rel=1e-3)
    assert abs(one.values["alpha"] - other.values["alpha"]) > 0.3
    for found, elsewhere in ((one, other), (other, one)):
        assert found.status is Status.UNIDENTIFIABLE
        assert found.allocation is None
        assert found.sentence.startswith("N and D move together (D is about 20 N): these runs")
        assert found.sentence.count("N and D move together") == 1
        for name in ("A", "alpha", "B", "beta"):
            judgement = found.judgements[name]
            assert judgement.status is Status.UNIDENTIFIABLE, name
            assert f"has {name} = {elsewhere.values[name]:.3g}" in judgement.reason
        assert found.judgements["E"].status is Status.CONVERGED
        assert found.intervals["E"][0] < 1.8 < found.intervals["E"][1]


def test_starts_at_best_counts_one_of_two_equal_minima():
    one, other = swapped(0), swapped(2)
    assert 10 <= one.starts_at_best <= 54
    assert 10 <= other.starts_at_best <= 54


def test_without_intervals_another_minimum_is_still_named():
    found = swapped(0, bootstraps=0)
    assert "Another minimum" in found.judgements["alpha"].reason


def test_another_minimum_is_reason_enough(monkeypatch):
    """Without the rule for a common line of N and D, the search itself finds both answers."""
    monkeypatch.setattr("pipeline.laws.identify.TIED", 0.0)
    found = fit(law("chinchilla"), along_a_line(1e-4, 0.0), Options(bootstraps=60))
    assert found.status is Status.UNIDENTIFIABLE
    assert "move together" not in found.sentence
    assert "Another minimum" in found.judgements["alpha"].reason
    assert "allocation: Another minimum" in found.sentence
    point, interval = found.allocation
    assert 0 < point < 1
    assert interval is None


def test_runs_off_the_line_tell_which_term_is_whose():
    found = fit(law("chinchilla"), along_a_line(1e-4, 0.05), Options(bootstraps=60))
    assert found.status is Status.CONVERGED
    assert found.values["alpha"] == pytest.approx(0.2, rel=0.02)
    point, (low, high) = found.allocation
    assert low < 0.75 < high
    assert low < point < high


@pytest.mark.parametrize("name", ["kaplan", "kaplan_symmetric", "additive"])
def test_no_law_of_size_and_tokens_splits_what_moves_together(name):
    n = np.geomspace(1e7, 1e9, 12)
    clean = law(name).predict(
        {p: np.asarray(v) for p, v in LINE[name].items()}, {"params": n, "tokens": 20 * n}
    )
    data = runs(n, 20 * n, clean * np.exp(0.005 * np.random.default_rng(0).standard_normal(12)))
    found = fit(law(name), data, Options(bootstraps=30))
    assert found.allocation is None
    assert found.status in (Status.UNIDENTIFIABLE, Status.NOT_CONVERGED)
    split = [p.name for p in law(name).parameters]
    assert {found.judgements[p].status for p in split} == {Status.UNIDENTIFIABLE}


LINE = {
    "kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103},
    "kaplan_symmetric": {"Nc": 6.4e13, "alpha_N": 0.6, "Dc": 1.8e13, "alpha_D": 0.8, "beta": 0.12},
    "additive": {"A": 20.0, "alpha": 0.15, "B": 25.0, "beta": 0.13},
}


def unfinished(*arguments):
    ended = search(*arguments)
    return replace(ended, converged=np.zeros_like(ended.converged))


def test_a_search_that_did_not_end_is_not_profiled(monkeypatch):
    """Its profiles would take most of the time of the fit, and mean nothing."""
    asked = []
    monkeypatch.setattr("pipeline.laws.estimate.profiles", lambda *a: asked.append(a))
    monkeypatch.setattr("pipeline.laws.estimate.search", unfinished)
    found = fit(law("chinchilla"), drawn("chinchilla", 0.01, 0), Options(bootstraps=10))
    assert found.status is Status.NOT_CONVERGED
    assert not asked
    assert set(found.profiles.values()) == {None}


def test_one_size_leaves_the_allocation_open():
    data = drawn("chinchilla", 0.002, 0)
    data = data.take(data.params == np.unique(data.params)[3])
    found = fit(law("chinchilla"), data, Options(bootstraps=30, profile=False))
    assert found.allocation is None
    assert "move together" not in found.sentence


def test_a_large_table_is_followed_into_both_minima(monkeypatch):
    monkeypatch.setattr("pipeline.laws.search.ROWS", 20)
    data = along_a_line(1e-4, 0.0)
    found = law("chinchilla")
    x = found.log_inputs(data)
    ended = search(found, x - x.mean(1)[:, None], np.log(data.loss), np.ones(40), found.objective,
                   64, np.random.default_rng(0))  # fmt: skip
    lowest = ended.objective.min()
    best = np.round(ended.theta[ended.objective < lowest * (1 + 1e-6), 2], 1)
    assert set(best.tolist()) == {0.2, 0.6}


def test_a_vanished_floor_is_the_same_place_whatever_its_logarithm():
    found, x = law("chinchilla"), np.array([[-1.0, 0.0, 1.0, 0.5], [0.5, -1.0, 0.0, 1.0]])
    theta = np.array([-60.0, 0.5, 0.3, 0.2, 0.4])
    others = np.array([[-300.0, 0.5, 0.3, 0.2, 0.4], [-60.0, 0.2, 0.4, 0.5, 0.3]])
    near, far = moves(found, x, theta, others)
    assert near < 1e-20
    assert far > 0.05


def test_values_outside_what_is_reported_are_named():
    elsewhere = {
        "a": np.array([1.5, 3.0, 4.0]), "b": np.array([1.0, 1.1, 0.9]), "c": np.array([1.05, 1.5]),
    }  # fmt: skip
    values, intervals = dict.fromkeys("abc", 1.0), {"a": (0.5, 2.0), "b": (0.8, 1.2), "c": None}
    assert contradicted(values, intervals, elsewhere) == {"a": 3.0, "c": 1.5}
