"""Errors on tasks of models whose answers are known, and scores that survive an interruption."""

import json
import math

import numpy as np
import pytest
import torch
from training_data import CELL, LONG, VOCAB, Results, cell, three, train_in_turns

from pipeline import contracts
from pipeline.tasks.items import Items
from pipeline.training import finished
from pipeline.training.data import TokenStream
from pipeline.training.learner import Learner
from pipeline.training.memory import Passes
from pipeline.training.questions import Questions, errors, outcomes, spread
from pipeline.training.team import Alone

CPU = torch.device("cpu")
ASKED = {"tasks": ("induction", "top1"), "tasks_along": ("induction", "top1")}


def learner(scale=1.0):
    model = Learner(cell(), CPU, "fp32")
    model.load([scale * model.master], 0)
    return model


def text(length=800):
    return TokenStream((np.random.default_rng(0).integers(0, VOCAB, length, np.uint16),))


@pytest.fixture
def questions(tmp_path):
    return Questions(tmp_path / "manifest.parquet", text(), CELL.context, VOCAB)


def test_answers_are_those_of_the_plain_argmax(questions):
    model = learner(4.0)
    items = questions.items("top1")
    logits = model.module.hidden(torch.from_numpy(items.windows[:, :-1])) @ (
        model.module.tokens.weight.t()
    )
    best = logits.argmax(-1).numpy().reshape(items.question.shape)
    [row] = questions.scores(["top1"], model)
    assert row["error"] == (best != items.windows[:, 1:]).mean()
    assert 0.5 < row["error"] < 1  # of 32 tokens this sharp model says one or a few
    assert row["items"] == items.count == best.size
    assert row["chance"] == items.chance


def test_a_model_without_weights_guesses_the_first_token_or_any_choice(questions):
    model = learner(0.0)
    items = questions.items("top1")
    [row] = questions.scores(["top1"], model)
    # All logits are equal: the argmax is token 0.
    assert row["error"] == pytest.approx((items.windows[:, 1:] != 0).mean())
    choices = Items(items.windows[:24], np.repeat(np.arange(8), 3)[:, None] + 0 * items.question[:24],
                    choices=3)  # fmt: skip
    wrong = errors(choices, outcomes(model, [choices], Alone()))
    assert wrong == pytest.approx(np.full(8, 2 / 3))


def test_choices_are_compared_by_the_sum_of_their_losses():
    model, rng = learner(4.0), np.random.default_rng(2)
    windows = rng.integers(0, VOCAB, (40, 12))
    question = np.where(rng.random((40, 11)) < 0.3, np.repeat(np.arange(20), 2)[:, None], -1)
    question[:, 4] = np.repeat(np.arange(20), 2)
    items = Items(windows, question, choices=2)
    wrong = errors(items, outcomes(model, [items], Alone()))
    batch = torch.from_numpy(windows)
    losses = model.module.losses(batch[:, :-1], batch[:, 1:]).detach().numpy()
    for number in range(20):
        first, second = (
            losses[row][question[row] >= 0].sum() for row in (2 * number, 2 * number + 1)
        )
        assert wrong[number] == (first > second)
    assert 0 < wrong.sum() < 20


def test_a_question_of_several_tokens_is_right_where_all_of_them_are():
    question = np.array([[-1, 0, 0, 1], [2, 2, 2, -1]])
    found = np.array([[1.0, 0, 1, 0], [0, 0, 0, 1]])
    items = Items(np.zeros((2, 5), np.int64), question)
    assert errors(items, found).tolist() == [1, 0, 0]


def test_tasks_share_passes_and_small_passes_give_the_same(questions, monkeypatch):
    model, calls = learner(4.0), []
    names = ["top1", "rank_10", "rank_100", "induction"]
    whole = questions.scores(names, model)
    plain = model.module.logits
    monkeypatch.setattr(model.module, "logits", lambda t: calls.append(len(t)) or plain(t))
    model.passes = Passes(16, 16 * 7)
    assert questions.scores(names, model) == whole
    windows = {id(questions.items(name).windows): questions.items(name).windows for name in names}
    assert len(windows) == 2
    assert sum(calls) == sum(map(len, windows.values()))
    assert max(calls) == 7
    by_rank = [row["error"] * row["items"] for row in whole[1:3]]
    assert sum(by_rank) == pytest.approx(whole[0]["error"] * whole[0]["items"])


class Part(Alone):
    """One of several processes, which knows of no other."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@pytest.mark.parametrize("size", [2, 5])
def test_processes_answer_rows_that_follow_one_another(questions, size):
    model, items = learner(4.0), questions.items("top1")
    parts = [outcomes(model, [items], Part(rank, size)) for rank in range(size)]
    assert len({len(part) for part in parts}) > 1  # 47 or so windows are not shared out evenly
    assert np.array_equal(np.concatenate(parts), outcomes(model, [items], Alone()))


def test_the_standard_error_is_the_binomial_one_and_never_zero():
    wrong = np.r_[np.ones(3000), np.zeros(7000)]
    assert spread(wrong) == pytest.approx(math.sqrt(0.3 * 0.7 / 10_000), rel=1e-3)
    # Beta(1, 9): variance 9 / (100 * 11).
    assert spread(np.zeros(8)) == pytest.approx(math.sqrt(9 / 1100))


def test_scores_stand_in_the_curve_and_in_the_row_of_the_run(tmp_path):
    made = cell(**LONG, **ASKED)
    results = Results(tmp_path, made).part().publish()
    run = results.run()
    assert [row["task"] for row in run["tasks"]] == ["induction", "top1"]
    assert all(0 <= row["error"] <= 1 and 0 < row["error_se"] < 0.2 for row in run["tasks"])
    path = results.specs[0].parent / "curve.parquet"
    curve = contracts.read(path, contracts.CURVE).to_pylist()
    assert len(curve) > 3
    assert all([t["task"] for t in row["tasks"]] == ["induction", "top1"] for row in curve)
    assert curve[-1]["tasks"] == run["tasks"]  # the last row is that of the finished model
    # On the chain the successor is +1, or as likely +2, nine times in ten, else any of 32.
    best = 1 - (0.45 + 0.1 / VOCAB)
    assert run["tasks"][1]["error"] == pytest.approx(best, abs=3 * run["tasks"][1]["error_se"])
    assert curve[0]["tasks"][1]["error"] > best + 0.1


def test_tasks_change_no_number_of_the_training_and_keep_trunks_together(tmp_path):
    plain = Results(tmp_path / "plain", *three()).part().publish()
    asked = Results(tmp_path / "asked", *three(**ASKED)).part().publish()
    for index in range(3):
        (run, *curve), texts = plain.read(index)
        (own, *rows), scored = asked.read(index)
        differ = {"cell", "trunk", "tasks"}
        assert {k: v for k, v in run.items() if k not in differ} == {
            k: v for k, v in own.items() if k not in differ
        }
        assert [{**row, "tasks": None} for row in rows] == curve
        assert [row["loss"] for row in scored] == [row["loss"] for row in texts]


def test_an_interrupted_training_asks_the_same(tmp_path):
    whole = Results(tmp_path / "whole", *three(**ASKED)).part().publish()
    turned = Results(tmp_path / "turned", *three(**ASKED))
    assert train_in_turns(turned, 13) > 3
    turned.publish()
    assert [turned.read(i) for i in range(3)] == [whole.read(i) for i in range(3)]


def test_another_task_is_asked_of_the_finished_model(tmp_path, monkeypatch):
    before = cell(**LONG, along=("other-1",))
    Results(tmp_path, before).part().publish()
    after = cell(**LONG, along=("other-1",), tasks=("rank_10",))
    assert after.state == before.state
    assert after.trunk == before.trunk
    assert after.key != before.key

    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("pipeline.training.session._train_cell", never)
    again = Results(tmp_path, after).part().publish()
    assert [row["task"] for row in again.run()["tasks"]] == ["rank_10"]
    [row] = again.run()["tasks"]
    # Asked other questions by now, it is scored anew.
    monkeypatch.setattr(finished, "RECIPE", 99)
    done = finished.Finished(finished.place(again.state, after) / "done")
    assert finished.unasked(done, after) == ["rank_10"]
    assert json.loads((done.folder / "tasks" / "rank_10.json").read_text())["row"] == row


def test_a_task_that_cannot_be_put_ends_training_before_its_first_step(tmp_path, capsys):
    results = Results(tmp_path, cell(**LONG, tasks=("induction", "brackets")))
    results.part(expected=2)
    missing = results.manifest.with_name("tokenizer.json")
    assert capsys.readouterr().err.splitlines() == [
        f"error: evaluation.tasks: brackets: needs {missing}, which is missing; tokenize anew, or "
        "leave the task out"
    ]
    kept = {path.name for path in results.state.rglob("*") if path.is_file()}
    assert kept == {"lock"}  # no checkpoint, no finished model
