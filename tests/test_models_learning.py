"""Every family learns what can be known, and no more: tasks whose least loss is known exactly."""

import math

import numpy as np
import pytest
import torch
from training_data import cell

from pipeline.corpus import synthetic
from pipeline.models import FAMILIES
from pipeline.training.data import Batches, TokenStream
from pipeline.training.learner import Learner
from pipeline.training.schedules import lr_factor

CPU = torch.device("cpu")
KINDS = {
    "transformer": {"family": "transformer"},
    "lstm": {"family": "lstm", "n_layer": 1, "d_ff": 0, "n_head": 0},
    "recurrent": {"family": "recurrent", "reuse": 2},
}


def trained(kind, ids, **changes):
    """A model of a family after its cell's steps on a text."""
    made = cell(**{**KINDS[kind], **changes})
    learner = Learner(made, CPU, "fp32")
    batches = Batches(TokenStream((ids,)), made, CPU)
    for step in range(made.steps):
        learner.step(*batches(step), lr_factor(made, step), step)
    return learner


def losses(learner, ids, context):
    """Loss in nats of each token but the first, (windows, context), in windows from the start."""
    windows = torch.from_numpy(
        np.stack([ids[i : i + context + 1].astype(np.int64)
                  for i in range(0, len(ids) - context, context)])
    )  # fmt: skip
    with learner.evaluating():
        return learner.module.losses(windows[:, :-1], windows[:, 1:]).double().numpy()


def test_every_family_is_trained_here():
    assert set(KINDS) == set(FAMILIES)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_on_a_markov_chain_comes_near_its_entropy_rate_and_not_below(kind):
    language = synthetic.language(symbols=8, order=1, zipf=1.5, seed=0)
    learner = trained(
        kind, synthetic.sampled(language, 60_000, seed=1), vocab_size=8, steps=120,
        batch_tokens=256, tokens=120 * 256, cooldown_steps=40, lr=0.02, lr_embedding=0.05,
    )  # fmt: skip
    fresh = synthetic.sampled(language, 16_001, seed=2)
    found = losses(learner, fresh, 16).ravel()
    # The chain's own loss of each token of the same text, whose mean is the entropy rate.
    ranks = np.argsort(language.continuations, axis=1)
    least = -np.log(language.probabilities[ranks[fresh[:-1], fresh[1:]]])
    assert least.mean() == pytest.approx(language.entropy_rate, abs=4 * least.std() / 16_000**0.5)
    assert np.log(8) - language.entropy_rate > 0.5  # there is something to learn
    above = found - least
    noise = above.std() / 16_000**0.5
    assert -3 * noise < above.mean() < 0.03


@pytest.mark.parametrize(("kind", "length"), [("transformer", 4), ("lstm", 8), ("recurrent", 4)])
def test_a_symbol_is_recalled_over_a_gap_that_must_be_counted(kind, length):
    """Blocks x . . . x, x uniform among 4: the least loss is ln 4 at the first x and 0 elsewhere.

    At the last x, what counts the dots and forgets x loses ln 4; what sees one dot loses more.
    """
    rng = np.random.default_rng(0)
    ids = np.full((8000, length), 4)
    ids[:, 0] = ids[:, -1] = rng.integers(0, 4, 8000)
    learner = trained(
        kind, ids[:7000].ravel(), vocab_size=5, context=length, steps=300, lr=0.01,
        batch_tokens=16 * length, tokens=300 * 16 * length, cooldown_steps=75, lr_embedding=0.05,
    )  # fmt: skip
    found = losses(learner, ids[7000:].ravel(), length).mean(0)
    assert found[:-2] == pytest.approx(0.0, abs=0.02)  # dots
    assert found[-2] < 0.1 * math.log(4)  # x again
    assert math.log(4) * 0.98 < found[-1] < math.log(4) * 1.05  # the next x is new
