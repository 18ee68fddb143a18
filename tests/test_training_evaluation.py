"""Scores of models whose loss is known, and standard errors against closed forms."""

import math

import numpy as np
import pytest
import torch
from training_data import VOCAB, cell

from pipeline.training.data import TokenStream
from pipeline.training.evaluation import cluster_mean, evaluate, position_bins
from pipeline.training.learner import Learner

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
