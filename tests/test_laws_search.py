"""Large tables are searched on a sample of rows, and end where all rows say."""

import numpy as np
import pytest
from law_data import drawn, toy

from pipeline.laws import law
from pipeline.laws.search import search

STARTS = 32


def problem(name, runs):
    found = law(name)
    x = found.log_inputs(runs)
    return found, x - found.centre(x)[:, None], np.log(runs.loss), np.linspace(0.5, 2, len(runs))


def searched(found, x, y, weights):
    return search(found, x, y, weights, found.objective, STARTS, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["kaplan", "chinchilla", "kaplan_symmetric"])
@pytest.mark.parametrize("runs", [drawn("chinchilla", 0.01, 3), toy()], ids=["drawn", "toy"])
def test_a_sample_of_rows_leads_to_the_minimum_of_all(monkeypatch, name, runs):
    given = problem(name, runs)
    whole = searched(*given)
    monkeypatch.setattr("pipeline.laws.search.ROWS", len(runs) // 2)
    sampled = searched(*given)
    assert sampled.objective.min() == pytest.approx(whole.objective.min(), rel=1e-8)
    # Not theta: the logarithm of a floor that vanished may be any large negative number.
    here, there = (given[0].log_target(m.theta[m.best()], given[1]) for m in (sampled, whole))
    np.testing.assert_allclose(here, there, atol=1e-6)
    assert sampled.converged[sampled.best()]


def test_starts_that_are_not_followed_say_so(monkeypatch):
    given = problem("chinchilla", toy())
    monkeypatch.setattr("pipeline.laws.search.ROWS", 14)
    monkeypatch.setattr("pipeline.laws.search.BASINS", 1)
    monkeypatch.setattr("pipeline.laws.search.SAME", 1e-15)
    ended = searched(*given)
    dropped = np.isinf(ended.objective)
    assert 0 < dropped.sum() < STARTS
    assert not ended.converged[dropped].any()
    assert len(np.unique(ended.objective[~dropped])) == 1
