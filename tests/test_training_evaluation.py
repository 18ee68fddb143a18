"""Scores of models whose loss is known, and standard errors against closed forms."""

import math

import numpy as np
import pytest
import torch
from training_data import VOCAB, cell

from pipeline.training import memory
from pipeline.training.data import TokenStream
from pipeline.training.evaluation import cluster_mean, evaluate, position_bins, rows_at_once
from pipeline.training.learner import Learner
from pipeline.training.memory import Passes

CPU = torch.device("cpu")


def learner(**changes):
    return Learner(cell(**changes), CPU, "fp32")


def ids(length, seed=0):
    return TokenStream((np.random.default_rng(seed).integers(0, VOCAB, length, np.uint16),))


def test_equal_clusters_give_the_standard_error_of_their_means():
    totals = np.random.default_rng(0).normal(50, 7, 40)
    mean, se = cluster_mean(totals, np.full(40, 10.0))
    assert mean == pytest.approx(totals.mean() / 10)
    assert se == pytest.approx(totals.std(ddof=1) / math.sqrt(40) / 10)


def test_clusters_that_agree_leave_no_error():
    assert cluster_mean(np.array([6.0, 6.0, 3.0]), np.array([4.0, 4.0, 2.0])) == (1.5, 0.0)


def test_one_cluster_says_nothing_of_its_error():
    assert math.isnan(cluster_mean(np.array([6.0]), np.array([4.0]))[1])


def test_the_error_covers_the_truth_as_often_as_it_should():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        counts = rng.integers(5, 20, 60).astype(float)
        # Items of a cluster share a part: treating them as independent would cover about half.
        totals = counts * (3.0 + rng.normal(0, 1, 60)) + np.sqrt(counts) * rng.normal(0, 1, 60)
        mean, se = cluster_mean(totals, counts)
        inside += abs(mean - 3.0) < 1.96 * se
    assert 0.91 < inside / 400 < 0.98


def test_a_uniform_model_scores_ln_v_everywhere():
    model = learner()
    model.load([torch.zeros_like(model.master)], 0)
    score = evaluate(model, ids(100), 16)
    assert score.loss == pytest.approx(math.log(VOCAB))
    assert score.se == pytest.approx(0, abs=1e-7)
    assert score.by_position == pytest.approx([math.log(VOCAB)] * 5)
    assert score.tokens == 99


@pytest.mark.parametrize("length", [17, 65, 66, 80, 81, 9], ids=str)
def test_every_token_but_the_first_is_scored(length):
    model, stream = learner(), ids(length)
    score, total, count = evaluate(model, stream, 16), 0.0, 0
    text = torch.from_numpy(stream.shards[0].astype(np.int64))
    for start in range(0, length - 1, 16):
        window = text[start : start + 17][None]
        losses = model.module.losses(window[:, :-1], window[:, 1:])
        total, count = total + losses.double().sum().item(), count + losses.numel()
    assert score.tokens == count == length - 1
    assert score.loss == pytest.approx(total / count, rel=1e-6)


def test_positions_are_binned_by_octave():
    assert position_bins(16) == [(0, 1), (1, 2), (2, 4), (4, 8), (8, 16)]
    assert position_bins(12) == [(0, 1), (1, 2), (2, 4), (4, 8), (8, 12)]
    assert position_bins(1) == [(0, 1)]


def test_bins_weighted_by_their_width_give_the_loss():
    score = evaluate(learner(), ids(16 * 20 + 1), 16)
    widths = [high - low for low, high in position_bins(16)]
    assert np.average(score.by_position, weights=widths) == pytest.approx(score.loss)


def test_evaluation_uses_no_dropout_and_leaves_training_on():
    model = learner(dropout=0.5)
    assert evaluate(model, ids(100), 16) == evaluate(model, ids(100), 16)
    assert model.module.training


END = VOCAB - 1


def documents(lengths, seed=0):
    """A stream of documents, each of its own few symbols, and END behind each."""
    rng = np.random.default_rng(seed)
    parts = []
    for index, length in enumerate(lengths):
        few = rng.integers(0, END, 1 + index % 4)
        parts += [rng.choice(few, length - 1), [END]]
    return np.concatenate(parts).astype(np.uint16)


def token_losses(model, ids, context):
    """The loss of each token but the first, window by window; shape (len(ids) - 1,)."""
    text, found = torch.from_numpy(ids.astype(np.int64)), []
    for start in range(0, len(ids) - 1, context):
        window = text[start : start + context + 1][None]
        found.append(model.module.losses(window[:, :-1], window[:, 1:])[0].double())
    return torch.cat(found).detach().numpy()


def sharp():
    """A model with large weights, so that its loss differs much from text to text."""
    model = learner()
    model.load([4 * model.master], 0)
    return model


@pytest.mark.parametrize("rows", [1, 3, 64])
@pytest.mark.parametrize("begins_with_an_end", [False, True])
def test_the_error_is_that_between_documents(rows, begins_with_an_end):
    # One document is no more than its end.
    lengths = np.append(np.random.default_rng(3).integers(40, 200, 19), 1)
    model, text = sharp(), documents(lengths)
    model.passes = Passes(16, 16 * rows)
    if begins_with_an_end:
        text = np.insert(text, 0, END)
    score = evaluate(model, TokenStream((text,), END), 16)
    # Jackknife over documents, found by their lengths: another way to the same error.
    losses = token_losses(model, text, 16)
    skipped = 0 if begins_with_an_end else 1
    ends = np.cumsum(lengths) - skipped
    starts = np.append(0, ends[:-1])
    sums = np.array([losses[a:b].sum() for a, b in zip(starts, ends)])
    assert ends[-1] == len(losses)
    mean = losses.mean()
    expected = np.sqrt(20 / 19 * ((sums - mean * (ends - starts)) ** 2).sum()) / len(losses)
    assert score.loss == pytest.approx(mean, rel=1e-6)
    assert score.se == pytest.approx(expected, rel=1e-5)
    without = (losses.sum() - sums) / (len(losses) - (ends - starts))
    jackknife = np.sqrt(19 / 20 * ((without - without.mean()) ** 2).sum())
    assert score.se == pytest.approx(jackknife, rel=0.1)


def test_documents_err_more_than_windows_and_leave_the_loss_alone():
    model, text = sharp(), documents([160] * 20)
    by_document = evaluate(model, TokenStream((text,), END), 16)
    by_window = evaluate(model, TokenStream((text,)), 16)
    assert by_document.loss == by_window.loss
    assert by_document.by_position == by_window.by_position
    assert by_document.se > 1.5 * by_window.se


def test_a_single_document_falls_back_to_windows():
    model, text = sharp(), documents([400])
    scores = [evaluate(model, TokenStream((text,), end), 16) for end in (None, END, VOCAB)]
    assert scores[0] == scores[1] == scores[2]
    totals = np.add.reduceat(token_losses(model, text, 16), range(0, 399, 16))
    counts = np.append(np.full(24, 16), 15)
    mean = totals.sum() / 399
    expected = np.sqrt(25 / 24 * ((totals - mean * counts) ** 2).sum()) / 399
    assert scores[0].se == pytest.approx(expected, rel=1e-5)


def test_a_large_vocabulary_is_scored_in_smaller_pieces(monkeypatch):
    model, stream, sizes = learner(), ids(16 * 12 + 1), []
    whole, plain = evaluate(model, stream, 16), model.module.losses

    def losses(tokens, targets):
        sizes.append(len(tokens))
        return plain(tokens, targets)

    monkeypatch.setattr(model.module, "losses", losses)
    monkeypatch.setitem(memory.SCORED_LOGITS, "cpu", 5 * 16 * VOCAB)
    model.passes = learner().passes
    assert evaluate(model, stream, 16).loss == pytest.approx(whole.loss, rel=1e-6)
    assert sizes == [5, 5, 2]
    monkeypatch.setitem(memory.SCORED_LOGITS, "cpu", VOCAB)
    assert rows_at_once(learner(), 16) == 1
