"""What a run would tell: against the posterior computed from scratch, and in its limits."""

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn

from pipeline.laws import law
from pipeline.laws.objective import Objective
from pipeline.planning.acquisition import deviation, knowledge, ranked

FORM, SQUARES = law("chinchilla"), Objective(1e3)
THETA = FORM.theta(arrays(TRUTH["chinchilla"]))
RUNS = drawn("chinchilla", 0.01, 5)
TARGET = np.log([[7e10, 3e11], [1.4e12, 2e12]])
RNG = np.random.default_rng(1)
CANDIDATES = np.log(np.stack([10 ** RNG.uniform(7, 11, 40), 10 ** RNG.uniform(9, 12, 40)]))
COST = 6 * np.exp(CANDIDATES.sum(0))


def posterior(known, extra):
    """Variances of the targets after runs at ``extra`` (K, e), from one matrix inverse."""
    offered, wanted = known.gradients(extra), known.gradients(TARGET)
    precision = np.linalg.inv(known.covariance) + offered.T @ offered / known.noise**2
    return np.sqrt((wanted @ np.linalg.inv(precision) * wanted).sum(1).mean())


def test_each_pick_is_the_best_of_all_that_are_left_by_brute_force():
    known = knowledge(FORM, THETA, RUNS, SQUARES)
    picks = ranked(known, CANDIDATES, COST, TARGET, 4)
    taken = []
    before = deviation(known, TARGET)
    for pick in picks:
        trials = {
            i: (before**2 - posterior(known, CANDIDATES[:, [*taken, i]]) ** 2) / COST[i]
            for i in range(40)
            if i not in taken
        }
        assert pick.row == max(trials, key=trials.get)
        taken.append(pick.row)
        before = posterior(known, CANDIDATES[:, taken])
        assert pick.deviation == pytest.approx(before, rel=1e-6)


def test_the_covariance_is_that_of_fits_to_many_tables():
    """Least squares on 300 simulated tables: the spread of predictions is the linear one."""
    from pipeline.laws.surface import minimise

    known = knowledge(FORM, THETA, RUNS, SQUARES)
    x = FORM.log_inputs(RUNS)
    centre = FORM.centre(x)
    clean = FORM.log_target(THETA, x)
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        y = clean + 0.01 * rng.standard_normal(len(clean))
        start = FORM.shifted(THETA, -centre)[None]
        one = minimise(FORM, x - centre[:, None], y, np.ones((1, len(y))), start, SQUARES)
        found.append(FORM.log_target(FORM.shifted(one.theta[0], centre), TARGET))
    spread = np.sqrt(np.var(found, axis=0).mean())
    assert deviation(known, TARGET) == pytest.approx(spread, rel=0.15)


def test_a_direction_without_runs_is_as_uncertain_as_the_box_and_no_more():
    """All runs of one size: nothing tells the exponent of size."""
    one = RUNS.take(np.isclose(RUNS.params, RUNS.params.min()))
    known = knowledge(FORM, THETA, one, SQUARES)
    assert np.isfinite(known.covariance).all()
    far, near = deviation(known, TARGET), deviation(known, FORM.log_inputs(one))
    assert near < 0.02 < 0.1 < far < 3


def test_form_error_makes_distant_runs_tell_less():
    known = knowledge(FORM, THETA, RUNS, SQUARES)
    equal = np.ones_like(COST)
    far = np.maximum(TARGET.sum(0).mean() - CANDIDATES.sum(0), 0)
    plain = ranked(known, CANDIDATES, equal, TARGET, 5)
    doubted = ranked(known, CANDIDATES, equal, TARGET, 5, 0.05 * far)
    distance = [np.mean([far[pick.row] for pick in picks]) for picks in (plain, doubted)]
    assert distance[1] <= distance[0]
    assert doubted[-1].deviation > plain[-1].deviation
    assert all(np.diff([pick.deviation for pick in doubted]) < 0)


def test_no_candidate_is_taken_twice_and_no_more_than_there_are():
    known = knowledge(FORM, THETA, RUNS, SQUARES)
    picks = ranked(known, CANDIDATES[:, :3], COST[:3], TARGET, 10)
    assert sorted(pick.row for pick in picks) == [0, 1, 2]


def test_a_budget_pays_for_the_best_that_is_left_of_it():
    """Brute force over what can still be paid for, pick by pick."""
    known, budget = knowledge(FORM, THETA, RUNS, SQUARES), 3 * np.median(COST)
    picks = ranked(known, CANDIDATES, COST, TARGET, 40, budget=budget)
    taken, left = [], budget
    for pick in picks:
        before = posterior(known, CANDIDATES[:, taken])
        trials = {
            i: (before**2 - posterior(known, CANDIDATES[:, [*taken, i]]) ** 2) / COST[i]
            for i in set(range(40)) - set(taken)
            if COST[i] <= left
        }
        assert pick.row == max(trials, key=trials.get)
        taken.append(pick.row)
        left -= COST[pick.row]
    assert left >= 0
    assert len(picks) < 40
    assert left < np.delete(COST, taken).min()


def test_units_of_the_counts_do_not_matter():
    known = knowledge(FORM, THETA, RUNS, SQUARES)
    shift = np.log([1e6, 1e9])
    columns = {**RUNS.columns, "params": RUNS.params / 1e6, "tokens": RUNS.tokens / 1e9}
    there = knowledge(FORM, FORM.shifted(THETA, -shift), type(RUNS)(RUNS.cell, columns), SQUARES)
    one = ranked(known, CANDIDATES, COST, TARGET, 6)
    other = ranked(there, CANDIDATES - shift[:, None], COST, TARGET - shift[:, None], 6)
    assert [pick.row for pick in one] == [pick.row for pick in other]
    assert one[-1].deviation == pytest.approx(other[-1].deviation, rel=1e-6)
