"""Branches from a trunk: the one that changes nothing is the trunk, and each is what it is told."""

import math

import pytest
from training_data import Results, cell, three

from pipeline.training.branches import Fan, Start, branch
from pipeline.training.inputs import InputError, read_corpus


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trunk with branch points at 16, 32 and 64 steps."""
    results = Results(tmp_path_factory.mktemp("trunk"), *three(evaluations_per_octave=4))
    return results.part().publish()


def start(results, index=0):
    corpus = read_corpus(results.manifest)
    return Start(results.cells[index], corpus, results.state, "cpu", 1)


def fan(batches=(64,), factors=(1.0,), repeats=1, lowest=0.0, steps=16, tokens=0):
    return Fan(batches, factors, repeats, lowest, steps, tokens)


def test_a_branch_at_the_trunks_batch_and_rate_is_the_trunk_itself(trained):
    begun = start(trained)
    rows = {row["step"] + 16: row["val_loss"] for row in begun.rows(fan(steps=48))}
    [_, *curve], _ = trained.read(2)  # its trunk goes on to 64
    along = {row["step"]: row["val_loss"] for row in curve if row["step"] <= 64}
    assert begun.loss == along[16]
    both = sorted(rows.keys() & along.keys())
    assert len(both) >= 4
    assert both[-1] == 64
    assert [rows[step] for step in both] == [along[step] for step in both]


def test_rates_follow_the_root_of_the_batch_times_the_factor(trained):
    own = trained.cells[0]
    made = branch(own, 256, 0.5)
    assert (made.lr, made.lr_embedding) == (own.lr, own.lr_embedding)
    assert branch(own, 64, 2.0).lr == 2 * own.lr
    assert branch(own, 128, 1.0).lr == pytest.approx(math.sqrt(2) * own.lr)


def test_every_branch_starts_alike_and_repeats_go_through_other_text(trained):
    begun = start(trained)
    rows = list(begun.rows(fan((32, 128), (0.5, 1.0), 2, steps=4, tokens=256)))
    assert rows == list(begun.rows(fan((32, 128), (0.5, 1.0), 2, steps=4, tokens=256)))
    ends = {(row["batch_tokens"], row["factor"], row["repeat"]): row for row in rows}
    assert len(ends) == 8
    assert {row["at_loss"] for row in rows} == {begun.loss}
    for (batch, *_), row in ends.items():
        assert row["step"] == 4 + 256 // batch
        assert row["tokens"] == row["step"] * batch
    assert len({row["val_loss"] for row in ends.values()}) == 8


def test_a_branch_ends_where_its_loss_has_fallen_far_enough(trained):
    begun = start(trained)
    whole = [row["val_loss"] for row in begun.rows(fan(steps=32))]
    lowest = whole[len(whole) // 2] / begun.loss
    cut = [row["val_loss"] for row in begun.rows(fan(steps=32, lowest=lowest))]
    met = next(i for i, loss in enumerate(whole) if loss <= lowest * begun.loss)
    assert cut == whole[: met + 1]
    assert len(cut) < len(whole)


def test_a_rate_without_a_loss_ends_its_branch_alone(trained):
    rows = list(start(trained).rows(fan(factors=(1e30, 1.0), steps=8)))
    assert {row["factor"] for row in rows} == {1.0}


def test_a_trunk_that_is_not_there_or_of_another_corpus_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match=r"at-16\.ckpt: cannot be read"):
        Start(trained.cells[0], read_corpus(trained.manifest), tmp_path, "cpu", 1)
    bare = Results(tmp_path / "bare", cell(schedule="constant", cooldown_steps=0))
    with pytest.raises(InputError, match="has no trunk"):
        start(bare)
