"""Laws fitted to targets that were measured again: each draw's own, and what is said of them."""

import numpy as np
import pytest

from pipeline.laws import law
from pipeline.laws.base import Runs, Status
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Options, fit
from pipeline.laws.remeasured import Remeasured
from pipeline.laws.widening import widening

LAW = law("critical_batch")
LOSS = np.array([4.2, 3.9, 3.6, 3.3, 4.2, 3.9, 3.6, 3.3])
MODEL = np.repeat([0, 1], 4)
RUNS = Runs(
    tuple(f"level-{i}" for i in range(8)),
    {
        "params": np.repeat([1e4, 1e5], 4),
        "loss": LOSS,
        "critical_batch": 2e6 / LOSS**5 * np.exp(0.02 * np.cos(7 * np.arange(8))),
    },
)
OPTIONS = Options(bootstraps=40, starts=8)
LINE = np.stack([np.ones(8), -np.log(LOSS)], axis=1)  # log B = log B* - log L / alpha_B


def draws(count=40, noise=0.05):
    """Log critical batches (count, 8) around the law."""
    own = noise * np.random.default_rng(0).standard_normal((count, 8))
    return LINE @ [np.log(2e6), 5.0] + own


def remeasured(logs, batch_sizes=(5, 7)):
    return Remeasured(RUNS.cell, logs, MODEL, batch_sizes, carried=2)


def test_every_draw_is_fitted_to_its_own_targets():
    logs = draws()
    found = fit(LAW, RUNS, OPTIONS, remeasured(logs))
    theirs, *_ = np.linalg.lstsq(LINE, logs.T)
    assert found.replicates_converged == 40
    assert found.replicates["B"] == pytest.approx(np.exp(theirs[0]), rel=1e-6)
    assert found.replicates["alpha_B"] == pytest.approx(1 / theirs[1], rel=1e-6)
    rows = fit(LAW, RUNS, OPTIONS)
    assert found.values == rows.values  # the estimate is that of all, whatever is drawn


def test_a_target_that_a_draw_left_out_counts_nothing_there():
    logs = draws()
    logs[3, [1, 6]] = np.nan
    found = fit(LAW, RUNS, OPTIONS, remeasured(logs))
    kept = np.isfinite(logs[3])
    theirs, *_ = np.linalg.lstsq(LINE[kept], logs[3, kept])
    assert found.replicates["alpha_B"][3] == pytest.approx(1 / theirs[1], rel=1e-6)
    assert found.replicates_converged == 40


@pytest.mark.parametrize("kept", [[], [2], [2, 6]])  # none, one, and two of one loss
def test_a_draw_with_too_few_targets_is_not_converged(kept):
    logs = draws()
    logs[3, np.setdiff1d(np.arange(8), kept)] = np.nan
    found = fit(LAW, RUNS, OPTIONS, remeasured(logs))
    assert found.replicates_converged == 39
    assert np.flatnonzero(np.isnan(found.replicates["alpha_B"])).tolist() == [3]
    assert found.intervals["alpha_B"] is not None  # one in twenty may be undefined
    logs[:3] = logs[3]
    without = fit(LAW, RUNS, OPTIONS, remeasured(logs))
    assert without.replicates_converged == 36
    assert without.intervals["alpha_B"] is None


def test_no_draw_at_all_gives_no_interval():
    found = fit(LAW, RUNS, OPTIONS, remeasured(np.full((40, 8), np.nan)))
    assert found.replicates_converged == 0
    assert found.intervals == {"B": None, "alpha_B": None}


def test_what_was_drawn_is_said_and_judged_by_its_number():
    found = fit(LAW, RUNS, OPTIONS, remeasured(draws(), (4, 5)))
    assert (found.clusters.kind, found.clusters.number) == (Bootstrap.BATCH_SIZES, 9)
    assert "The 9 batch sizes of 2 models are drawn, once for" in found.clusters.reason
    assert found.widening == pytest.approx(widening(0.9, 2, 0.5))  # of four batch sizes
    assert found.profiles == {"B": None, "alpha_B": None}
    judgement = found.judgements["alpha_B"]
    assert judgement.reason.startswith("Determined, but by 9 batch sizes only")
    many = fit(LAW, RUNS, OPTIONS, remeasured(draws(), (5, 5)))
    assert many.judgements["alpha_B"].reason == Status.CONVERGED.sentence


def test_too_few_batch_sizes_are_not_drawn_from():
    one = remeasured(draws(), (5, 7)).take(RUNS.cell[:4])
    assert (one.batch_sizes, one.logs.shape) == ((5,), (40, 4))
    found = fit(LAW, RUNS.take(np.arange(8) < 4), OPTIONS, one)
    assert found.status is Status.UNIDENTIFIABLE
    assert found.intervals == {"B": None, "alpha_B": None}
    assert "of 5 batch sizes of 1 model, and 6 or more are needed" in found.sentence


def test_targets_are_found_by_the_key_of_their_level():
    logs = draws()
    order = [5, 0, 3, 7, 1, 2, 6, 4]
    shuffled = Remeasured(
        tuple(RUNS.cell[i] for i in order), logs[:, order], MODEL[order], (5, 7), 2
    )
    one, other = (fit(LAW, RUNS, OPTIONS, again) for again in (remeasured(logs), shuffled))
    np.testing.assert_array_equal(one.replicates["B"], other.replicates["B"])
    assert shuffled.take(RUNS.cell[4:]).batch_sizes == (7,)


def test_fewer_resamples_than_there_are_draws_take_the_first():
    few = fit(LAW, RUNS, Options(bootstraps=15, starts=8), remeasured(draws()))
    all_ = fit(LAW, RUNS, OPTIONS, remeasured(draws()))
    np.testing.assert_array_equal(few.replicates["B"], all_.replicates["B"][:15])
