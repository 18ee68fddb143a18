"""Early stopping: the rule on rows, and runs whose best model is known from another run."""

import pytest
from training_data import Results, cell, train_in_turns

from pipeline.training import stopping
from pipeline.training.schedules import is_evaluated

pytestmark = pytest.mark.usefixtures("own_signals")

# Nineteen windows, seen again every five steps: soon known by heart.
FEW = {
    "schedule": "constant", "cooldown_steps": 0, "unique_tokens": 320, "steps": 200,
    "evaluate_every": 10, "lr": 0.02, "evaluate": ("other-1",),
}  # fmt: skip


def rows(*losses):
    return [{"step": 10 * i, "val_loss": loss} for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "patience", "over", "best"),
    [
        ((3, 2, 1), 2, False, 2),
        ((3, 1, 2), 2, False, 1),
        ((3, 1, 2, 2), 2, True, 1),
        ((3, 1, 2, 1), 2, True, 1),  # the first of equal ones is the best
        ((3, 1, 2, 0.9), 2, False, 3),
        ((1, 2, 3, 4), 0, False, 3),
        ((), 1, False, None),
    ],
)
def test_a_run_is_over_when_patience_has_run_out(losses, patience, over, best):
    made = cell(patience=patience)
    assert stopping.is_over(made, rows(*losses)) is over
    if best is not None:
        assert stopping.counted(made, rows(*losses))["step"] == 10 * best
        assert stopping.is_best(made, rows(*losses)) == (patience > 0 and best == len(losses) - 1)
    assert stopping.keeps(made, rows(*losses)) == (patience > 0 and best is not None)


def test_further_evaluations_come_at_every_so_many_steps_after_the_warmup():
    made = cell(steps=40, warmup_steps=12, evaluate_every=10)
    assert [s for s in range(1, 41) if is_evaluated(made, s)] == [16, 20, 30, 32, 40]


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_the_model_kept_is_that_of_a_run_that_ends_at_its_best_step(tmp_path, optimizer):
    made = cell(**FEW, patience=3, optimizer=optimizer)
    results = Results(tmp_path / "stopped", made).publish()
    run, ([_, *curve], [score]) = results.run(), results.read()
    losses = {row["step"]: row["val_loss"] for row in curve}
    assert run["loss"] == min(losses.values()) == losses[run["best_step"]]
    steps = sorted(losses)
    assert run["steps"] == steps[-1] == steps[steps.index(run["best_step"]) + 3] < made.steps
    assert run["tokens"] == run["steps"] * made.batch_tokens
    assert run["flops_6nd"] == 6 * made.params * run["tokens"]
    # Under a constant rate a run of as many steps is the same as far as it goes.
    short = cell(**{**FEW, "steps": run["best_step"]}, optimizer=optimizer)
    other = Results(tmp_path / "short", short).publish()
    assert other.run()["loss"] == run["loss"] < losses[steps[-1]]
    assert other.run()["best_step"] == other.run()["steps"] == run["best_step"]
    [wanted] = other.read()[1]
    assert {**score, "cell": ""} == {**wanted, "cell": ""}


def test_it_ends_the_same_however_often_it_is_interrupted(tmp_path):
    made = cell(**FEW, patience=3, dropout=0.1, noise_every=4)
    whole = Results(tmp_path / "whole", made).publish()
    results = Results(tmp_path / "turns", made)
    assert train_in_turns(results, 15) >= 3  # both between evaluations and at one of them
    assert results.publish().read() == whole.read()
    assert whole.run()["best_step"] < whole.run()["steps"] < made.steps


def test_with_patience_for_all_its_steps_a_run_goes_on_to_the_last(tmp_path):
    made = cell(**{**FEW, "steps": 40}, patience=100)
    run = Results(tmp_path, made).publish().run()
    assert run["steps"] == 40
    assert run["best_step"] <= 40
