"""Where curves count, and the step at which each meets a loss."""

import batch_data
import numpy as np
import pytest
from rows import CURVE

from pipeline.batches.traces import Trace, at_peak, by_model, crossed, traces


def trace(steps, losses):
    rows = [CURVE | {"step": s, "val_loss": x} for s, x in zip(steps, losses, strict=True)]
    return Trace({"cell": "a"}, rows)


def test_a_power_of_the_steps_is_met_exactly_between_its_rows():
    steps = [10, 17, 40, 90, 100]
    found = crossed(
        trace(steps, [5 * s**-0.2 for s in steps]), np.log(5 * np.array([13.0, 60, 99]) ** -0.2)
    )
    assert np.exp(found) == pytest.approx([13, 60, 99], rel=1e-12)


def test_a_loss_that_was_never_met_or_met_before_the_first_row_has_no_step():
    found = crossed(trace([10, 20, 40], [4.0, 3.5, 3.0]), np.log([4.1, 4.0, 3.0, 2.9]))
    assert np.isnan(found).tolist() == [True, False, False, True]
    assert np.exp(found[1:3]) == pytest.approx([10, 40])


def test_the_first_meeting_counts_and_a_rise_between_moves_nothing():
    noisy = trace([10, 20, 30, 40, 50], [4.0, 3.5, 3.7, 3.6, 3.0])
    calm = trace([10, 20, 50], [4.0, 3.5, 3.0])
    levels = np.log(np.linspace(3.01, 3.99, 20))
    assert crossed(noisy, levels).tolist() == crossed(calm, levels).tolist()
    assert (np.diff(crossed(noisy, levels)) < 0).all()


def test_a_curve_of_one_new_low_meets_nothing():
    assert np.isnan(crossed(trace([10, 20], [3.0, 3.5]), np.log([3.0, 2.9]))).all()


def test_warmup_and_cooldown_do_not_count():
    rows = [CURVE | {"step": step} for step in (40, 10, 20, 30, 50)]
    run = {"steps": 50, "warmup_steps": 10, "cooldown_steps": 10, "schedule": "wsd"}
    assert [row["step"] for row in at_peak(run, rows)] == [20, 30, 40]
    constant = run | {"schedule": "constant", "warmup_steps": 0}
    assert [row["step"] for row in at_peak(constant, rows)] == [10, 20, 30, 40, 50]
    for falling in ("cosine", "linear", "polynomial", "exponential", "inverse_sqrt"):
        assert at_peak(constant | {"schedule": falling}, rows) == []
    unscored = [CURVE | {"step": 30, "val_loss": None}]
    assert at_peak(run, unscored) == []


def test_cells_of_one_trunk_are_one_trace_and_excluded_runs_are_none(tmp_path):
    (whole,) = batch_data.scan((512,), (0.01,))
    short = Trace(whole.run | {"cell": "short", "steps": whole.rows[30]["step"]}, whole.rows[:31])
    out = Trace(whole.run | {"cell": "out", "included": False, "trunk": "other"}, whole.rows)
    shared = [
        Trace(t.run | {"trunk": t.run["trunk"] or "one"}, t.rows) for t in (short, whole, out)
    ]
    found = traces(*batch_data.write(tmp_path, shared))
    assert [t.run["cell"] for t in found] == [whole.run["cell"]]
    assert found[0].loss.tolist() == whole.loss.tolist()


def test_curves_of_a_rate_that_falls_all_the_way_are_left_out_and_named(tmp_path, capsys):
    (whole,) = batch_data.scan((512,), (0.01,))
    fallen = Trace(whole.run | {"cell": "fallen", "schedule": "cosine"}, whole.rows)
    runs, curves = batch_data.write(tmp_path, [fallen, whole])
    assert [t.run["cell"] for t in traces(runs, curves)] == [whole.run["cell"]]
    told = capsys.readouterr().err
    assert f"{runs}: curves of cosine are left out" in told
    assert told.endswith("take constant or wsd\n")
    traces(*batch_data.write(tmp_path, [whole]))
    assert capsys.readouterr().err == ""


def test_a_shorter_run_of_a_training_is_no_other_seed_of_it(tmp_path):
    (whole,) = batch_data.scan((512,), (0.01,))
    half = whole.rows[:31]
    short = Trace(whole.run | {"cell": "short", "steps": half[-1]["step"]}, half)
    others = [
        Trace(t.run | {"cell": f"{t.run['cell']}-{name}", name: value}, t.rows)
        for t in (whole, short)
        for name, value in {"seed": 1, "warmup_steps": 2, "lr": 0.02}.items()
    ]
    found = traces(*batch_data.write(tmp_path, [short, whole, *others]))
    assert [t.run["cell"] for t in found if t.training == whole.training] == [whole.run["cell"]]
    assert len(found) == 4
    assert not [t for t in found if t.run["cell"].startswith("short")]


@pytest.mark.parametrize(
    "change",
    [{"d_model": 16}, {"unique_tokens": 99}, {"family": "recurrent", "reuse": 2}, {"reuse": None},
     {"dropout": 0.1}, {"dropout": None}, {"optimizer": "adafactor"}],
)  # fmt: skip
def test_models_differ_in_what_changes_their_steps_and_not_in_batch_or_rate(change):
    other = batch_data.scan((256,), **change)
    groups = by_model([*batch_data.scan(), *other])
    assert sorted(map(len, groups.values())) == [3, 18]
    assert groups[other[0].model] == other


def test_models_come_smallest_first_and_the_unknown_before_the_known():
    changes = [{"params": 99}, {"dropout": None}, {"dropout": 0.0}, {"dropout": 0.1}]
    found = [batch_data.scan((256,), (0.01,), **change) for change in changes]
    groups = by_model(trace for own in reversed(found) for trace in own)
    assert list(groups) == [own.model for (own,) in found]
