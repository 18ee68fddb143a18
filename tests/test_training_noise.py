"""The noise of gradients against covariances known in closed form, or by going through all data."""

import math

import numpy as np
import pytest
import torch
from training_data import Results, cell, chain, train_in_turns

from pipeline.training import noise
from pipeline.training.data import Batches, TokenStream
from pipeline.training.learner import Learner
from pipeline.training.memory import Passes
from pipeline.training.schedules import is_evaluated, lr_factor

CPU = torch.device("cpu")


def test_a_linear_model_whose_covariance_is_known():
    # y = x w* + e with x and e normal: at w = w* + d the gradient of (y - x w)^2 / 2 is
    # x (x d - e), of expectation d and covariance (|d|^2 + s^2) 1 + d d'.
    rng, width, sigma, small, large = np.random.default_rng(0), 20, 2.0, 8, 64
    d = rng.normal(size=width)
    squared, variance = d @ d, (d @ d + sigma**2) * width + d @ d
    found = []
    for _ in range(2000):
        x = rng.normal(size=(large, width))
        each = x * (x @ d - sigma * rng.normal(size=large))[:, None]
        norms = [torch.tensor(np.square(each[:n].mean(0)).sum()) for n in (small, large)]
        found.append(noise.estimates(*norms, small, large).numpy())
    means, errors = np.mean(found, 0), np.std(found, 0) / math.sqrt(len(found))
    assert np.all(np.abs(means - (squared, variance)) < 3 * errors)
    assert np.all(errors < (0.1 * squared, 0.03 * variance))


def test_columns_are_means_and_their_ratio():
    assert noise.columns([3.0, 60.0, 2.0]) == {
        "grad_squared": 1.5, "grad_variance": 30.0, "noise_scale": 20.0,
    }  # fmt: skip
    assert noise.columns([-1.0, 60.0, 2.0])["noise_scale"] is None
    assert set(noise.columns([0.0, 0.0, 0.0]).values()) == {None}


def exact(made, stream):
    """|G|^2 and tr Sigma for one token, from the gradient of every window."""
    learner, count = Learner(made, CPU, "fp32"), (len(stream) - 1) // made.context
    each = []
    for window in range(count):
        ids = torch.from_numpy(stream.windows([window * made.context], made.context + 1))
        learner.backward(ids[:, :-1], ids[:, 1:])
        each.append(learner.gradient.double().clone())
    gradients = torch.stack(each)
    spread = gradients.var(0, correction=1).sum().item()
    # Windows are drawn without replacement: a batch of all would be certain, and what the
    # estimates aim at is the text that the windows are a sample of.
    return gradients.mean(0).square().sum().item() - spread / count, spread * made.context


@pytest.mark.parametrize("tokens", [4096, 48], ids=["one piece", "pieces of 3, 3 and 2 windows"])
def test_a_models_noise_is_that_between_all_windows(tokens):
    stream = TokenStream((chain(16 * 160 + 1, 0),))
    made = cell(batch_tokens=128, lr=0.0, lr_embedding=0.0, noise_every=1)
    squared, variance = exact(made, stream)
    learner, batches = Learner(made, CPU, "fp32", passes=Passes(tokens, tokens)), Batches(
        stream, made, CPU)  # fmt: skip
    found = []
    for step in range(160):  # eight times through
        learner.step(*batches(step), 1.0, step)
        found.append(learner.noise.numpy())
    means, errors = np.mean(found, 0), np.std(found, 0) / math.sqrt(len(found))
    assert np.all(np.abs(means - (squared, variance)) < 3.5 * errors)
    assert np.all(errors < (0.1 * squared, 0.05 * variance))


def test_measuring_changes_no_number_of_the_training(tmp_path):
    plain = Results(tmp_path / "plain", cell(dropout=0.1)).publish()
    measured = Results(tmp_path / "measured", cell(dropout=0.1, noise_every=2)).publish()
    new = ("grad_squared", "grad_variance", "noise_scale")
    for without, row in zip(plain.read()[0][1:], measured.read()[0][1:]):
        assert row["grad_variance"] > 0
        assert without == {**row, **dict.fromkeys(new)}


def test_a_row_averages_the_steps_since_the_row_before(tmp_path):
    made = cell(noise_every=3)
    [_, *curve], _ = Results(tmp_path, made).publish().read()
    stream = Batches(TokenStream((chain(8000, 0),)), made, CPU)
    learner, sums, found = Learner(made, CPU, "fp32"), np.zeros(2), []
    count = 0
    for step in range(made.steps):
        learner.step(*stream(step), lr_factor(made, step), step)
        if learner.noise is not None:
            sums, count = sums + learner.noise.numpy(), count + 1
        if is_evaluated(made, step + 1):
            found += [*(sums / count), sums[1] / sums[0]]
            sums, count = np.zeros(2), 0
    assert [row["step"] for row in curve] == [4, 8, 16, 32, 40]
    names = ("grad_squared", "grad_variance", "noise_scale")
    assert [row[name] for row in curve for name in names] == pytest.approx(found)


def test_a_batch_of_one_window_tells_nothing():
    made = cell(batch_tokens=16, noise_every=1)
    learner = Learner(made, CPU, "fp32")
    learner.step(*Batches(TokenStream((chain(800, 0),)), made, CPU)(0), 1.0, 0)
    assert learner.noise is None


@pytest.mark.usefixtures("own_signals")
def test_it_is_the_same_after_interruptions_in_trunk_and_branches(tmp_path):
    made = [
        cell(steps=s, cooldown_steps=s // 5, noise_every=3, along=("other-1",)) for s in (20, 40)
    ]
    whole = Results(tmp_path / "whole", *made).part().publish()
    results = Results(tmp_path / "turns", *made)
    assert train_in_turns(results, 7) >= 4
    results.part().publish()
    assert [results.read(i) for i in range(2)] == [whole.read(i) for i in range(2)]
