"""What a task's error is to the loss, on curves whose law and scatter are known."""

import numpy as np
import pytest
import scipy.stats
from rows import RUN

from pipeline import contracts, saturation
from pipeline.saturation import Kind, Points, foretold, left_out, monotone, rank_correlation

STEPS = 8
CHANCE = 0.9
# Errors of a task by the loss, from 5 nats/token at the first step to 3 at best.
TRUTH = {
    "sigmoid": lambda loss: CHANCE / (1 + np.exp(-3 * (loss - 3.8))),
    "chance": lambda loss: np.full_like(loss, CHANCE),
    "solved": lambda loss: np.clip(0.6 * (loss - 3.9), 0.0, CHANCE),
    "rising": lambda loss: 0.9 - 0.25 * (loss - 3),
    "noise": lambda loss: np.full_like(loss, 0.5),
}
KINDS = {"sigmoid": Kind.PREDICTABLE, "chance": Kind.FLAT, "solved": Kind.FLAT,
         "rising": Kind.PREDICTABLE, "noise": Kind.NOISY}  # fmt: skip
SCATTER = {"noise": 0.2}


def losses(trainings):
    """A loss for each training and step; later trainings are larger models and reach less."""
    best = np.linspace(3.8, 3.0, trainings)[:, None]
    return best + (5 - best) * np.geomspace(1, 0.02, STEPS)


def scored(task, trainings=8, seed=0, scatter=0.004):
    """Points of a task with normal scatter."""
    loss, noise = losses(trainings), np.random.default_rng(seed)
    error = TRUTH[task](loss) + SCATTER.get(task, scatter) * noise.normal(size=loss.shape)
    run = np.repeat(np.arange(trainings), STEPS)
    error = np.clip(error, 0, 1).ravel()
    return Points(loss.ravel(), error, np.full(error.size, scatter), run, CHANCE)


def written(folder, tasks, trainings=8, **changes):
    """runs.parquet and task_curves.parquet; the two cells of each trunk share all but their end."""
    runs, rows, known = [], [], {name: RUN[name] for name in RUN if name != "tasks"}
    for index, own in enumerate(losses(trainings)):
        for branch in "ab":
            cell = f"{index}{branch}"
            runs.append({
                **dict.fromkeys(contracts.RUNS.names), **known, "cell": cell, "trunk": f"t{index}",
                "study": "s", "source": "native", "included": True, **changes,
            })  # fmt: skip
            for step, loss in enumerate(own):
                for task in tasks:
                    at = loss - 0.01 * (branch == "b") * (step == STEPS - 1)
                    rows.append({
                        "cell": cell, "step": step, "tokens": step, "flops": 1.0, "val_loss": at,
                        "task": task, "error": float(TRUTH[task](np.array([at]))[0]),
                        "error_se": 0.01, "chance": CHANCE, "items": 256,
                    })  # fmt: skip
    contracts.write(folder / "runs.parquet", runs, contracts.RUNS)
    contracts.write(folder / "task_curves.parquet", rows, contracts.TASK_CURVES)
    return ["--runs", str(folder / "runs.parquet"),
            "--curves", str(folder / "task_curves.parquet"), "--out", str(folder / "out.parquet")]  # fmt: skip


@pytest.mark.parametrize("task", TRUTH)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_kind_is_told(task, seed):
    found = saturation.row(task, scored(task, seed=seed), 0.9, 200, seed)
    assert found["kind"] == KINDS[task], found["reason"]
    assert found["loss_low"] == pytest.approx(losses(8).min())
    assert found["loss_high"] == pytest.approx(losses(8).min() + (5 - losses(8).min()) / 3)
    assert found["change_low"] <= found["change"] <= found["change_high"]
    assert (found["points"], found["runs"]) == (64, 8)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("chance", "no better than without looking (0.90)"),
        ("solved", "with all questions solved"),
        ("sigmoid", "foretell 0.98 to 1.00 of a training's variance while the loss falls"),
        ("noise", "foretell but -"),
    ],
)
def test_the_reason_is_said(task, words):
    assert words in saturation.row(task, scored(task), 0.9, 200, 0)["reason"]


def test_an_error_that_only_scatters_is_not_taken_for_one_that_stands_still():
    """No evidence of a change is no evidence of none: the whole interval must be small."""
    found = saturation.row("noise", scored("noise"), 0.9, 200, 0)
    assert found["change_low"] < 0 < found["change_high"]
    assert found["change_high"] - found["change_low"] > 2 * saturation.STILL


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("noisy_below", "kind", "over_all"),
    [(True, Kind.NOISY, True), (False, Kind.PREDICTABLE, False)],
)
def test_kinds_are_those_of_the_lowest_third_whatever_came_before(
    noisy_below, kind, over_all, seed
):
    """Errors that follow the loss in one part of its range and only scatter in the other."""
    of = scored("chance", 12, scatter=0.0)
    low = of.loss <= of.part[0]
    noise = np.random.default_rng(seed).normal(size=low.size)
    if noisy_below:
        error = np.where(low, 0.2 + 0.1 * noise, 0.2 + 0.5 * (of.loss - of.part[0]))
    else:
        error = np.where(low, 0.6 * (of.loss - 2.9), 0.45 + 0.25 * noise)
    of = Points(of.loss, error, of.se, of.run, CHANCE)
    found = saturation.row("task", of, 0.9, 200, 0)
    assert found["kind"] == kind, found["reason"]
    assert bool(foretold(left_out(of, np.inf, True).sum(0)) > saturation.FORETOLD) is over_all


def test_what_is_foretold_is_the_share_of_the_slope_in_the_variance():
    """Of a line with scatter: var(slope x loss) over that and the scatter's variance."""
    rng, trainings = np.random.default_rng(0), 100
    loss = rng.uniform(3, 5, size=(trainings, STEPS)).ravel()
    run = np.repeat(np.arange(trainings), STEPS)
    for scatter in (0.05, 0.1, 0.2):
        error = 0.5 * loss + scatter * rng.normal(size=loss.size)
        share = foretold(left_out(Points(loss, error, 0 * loss, run, 1.0), 4.0, True).sum(0))
        of_the_loss = 0.5**2 / 12  # a range of one nat/token
        assert share == pytest.approx(of_the_loss / (of_the_loss + scatter**2), abs=0.03)


def test_the_change_is_the_slope_times_the_fall():
    of = scored("rising", scatter=0.0)
    found = saturation.row("rising", of, 0.9, 50, 0)
    assert found["slope"] == pytest.approx(-0.25)
    assert found["change"] == pytest.approx(0.25 * (5 - 3 - 0.04) / 3, rel=0.05)
    assert found["rho"] == pytest.approx(-1)  # an error that rises as the loss falls
    assert found["foretold"] > 0.9
    assert found["scatter"] == pytest.approx(0, abs=1e-12)


def test_intervals_of_the_change_cover_it_as_often_as_they_say():
    """Trainings that each have a level of their own: points taken alone would cover half as often."""
    loss = losses(16)
    run, rng, inside, alone = np.repeat(np.arange(16), STEPS), np.random.default_rng(4), 0, 0
    part = Points(loss.ravel(), loss.ravel(), 0 * loss.ravel(), run, 1.0).part
    truth = 0.1 * (part[1] - part[0])
    for seed in range(80):
        error = 0.1 * loss + 0.05 * rng.normal(size=(16, 1)) + 0.002 * rng.normal(size=loss.shape)
        of = Points(loss.ravel(), error.ravel(), 0 * run, run, 1.0)
        low, high = saturation.ends(saturation.resampled(of, part, 50, seed)[:, 1], 0.9)
        inside += low <= truth <= high
        single = Points(of.loss, of.error, of.se, np.arange(len(run)), 1.0)
        low, high = saturation.ends(saturation.resampled(single, part, 25, seed)[:, 1], 0.9)
        alone += low <= truth <= high
    assert 0.76 <= inside / 80 <= 0.97  # 0.9 asked for; percentiles of 16 trainings are narrow
    assert alone < inside


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    for _ in range(5):
        loss, error = rng.normal(size=40), rng.integers(0, 6, 40).astype(float)  # with ties
        expected = scipy.stats.spearmanr(loss, error).statistic
        assert rank_correlation(loss, error) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(loss, np.ones(40)) == 0
    assert np.isnan(rank_correlation(np.ones(40), error))


def test_what_others_foretell_is_known_by_hand():
    run = np.array([0, 0, 1, 1])
    of = Points(np.array([1.0, 3, 2, 4]), np.array([0.0, 2, 1, 3]), np.zeros(4), run, 1.0)
    # Training 0 from the line of 1 through (2, 1), (4, 3): 1 and 2. Training 1 from (1, 0), (3, 2):
    # 1 and, beyond its end, 2.
    assert left_out(of, np.inf, True).tolist() == [[1, 2.5], [1, 2.5]]
    assert foretold(left_out(of, np.inf, True).sum(0)) == pytest.approx(1 - 2 / 5)
    # Up to 2 nats/token: the line of 1 says 1 at loss 1, that of 0 still 1 at loss 2; the mean of
    # the two errors is 1/2. Up to 1 one training is left.
    assert left_out(of, 2.0, True).tolist() == [[1, 0.25], [0, 0.25]]
    assert left_out(of, 1.0, True).tolist() == [[1, 0]]
    assert np.isnan(foretold(np.array([0.0, 0.0])))
    # Pool adjacent violators: 2 and 1 become 1.5.
    bent = Points(np.array([1.0, 2, 3]), np.array([0.0, 2, 1]), np.zeros(3), run[:3], 1.0)
    assert monotone(bent, np.array([1.0, 1.5, 2, 9]), True).tolist() == [0, 0.75, 1.5, 1.5]
    assert monotone(bent, np.array([1.0, 9]), False).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("trainings", "squeeze", "words"),
    [
        (2, 1.0, "of 1 training reach the lowest third of the losses; 8 of 3 trainings are needed"),
        (8, 0.1, "less than 0.1: too short a fall to see an error stand still"),
    ],
)
def test_too_little_is_said_to_be_unknown(trainings, squeeze, words):
    of = scored("sigmoid", trainings)
    of = Points(3 + squeeze * (of.loss - 3), of.error, of.se, of.run, of.chance)
    found = saturation.row("sigmoid", of, 0.9, 50, 0)
    assert found["kind"] == Kind.UNKNOWN
    assert words in found["reason"]


def test_the_command_counts_what_a_trunks_cells_share_once(tmp_path, capsys):
    given = written(tmp_path, ["sigmoid", "chance"])
    assert saturation.main([*given, "--bootstraps", "50"]) == 0
    rows = contracts.read(tmp_path / "out.parquet", contracts.SATURATION).to_pylist()
    assert [(row["task"], row["kind"]) for row in rows] == [
        ("sigmoid", "predictable"), ("chance", "flat"),
    ]  # fmt: skip
    assert {(row["points"], row["runs"]) for row in rows} == {(8 * (STEPS + 1), 8)}
    assert "chance: flat. The error changes by +0.000 to +0.000" in capsys.readouterr().err
    before = (tmp_path / "out.parquet").read_bytes()
    assert saturation.main([*given, "--bootstraps", "50"]) == 0
    assert (tmp_path / "out.parquet").read_bytes() == before


def test_runs_left_out_of_fits_are_left_out_here_and_none_gives_an_empty_table(tmp_path):
    assert saturation.main(written(tmp_path, ["chance"], included=False)) == 0
    assert len(contracts.read(tmp_path / "out.parquet", contracts.SATURATION)) == 0


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--level", "1"], "--level 1.0: take between 0 and 1"),
        (["--bootstraps", "-1"], "--bootstraps -1: take zero or more"),
        (["--runs", "none.parquet"], "none.parquet: there is no such file"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, capsys, option, words):
    assert saturation.main([*written(tmp_path, ["chance"], 2), *option]) == 2
    assert words in capsys.readouterr().err


def test_curves_of_an_unknown_run_are_refused(tmp_path, capsys):
    given = written(tmp_path, ["chance"], 2)
    rows = contracts.read(tmp_path / "runs.parquet", contracts.RUNS)
    contracts.write(tmp_path / "runs.parquet", rows.slice(1), contracts.RUNS)
    assert saturation.main(given) == 2
    assert "lacks the run 0a of" in capsys.readouterr().err
