"""Adafactor on flat parameters against PyTorch's own on a plain model."""

import pytest
import torch
from training_data import Results, cell, chain

from pipeline.models import Transformer
from pipeline.training.data import Batches, TokenStream
from pipeline.training.learner import Learner
from pipeline.training.optimizers import factored, factors

CPU = torch.device("cpu")
MADE = {"optimizer": "adafactor", "lr": 0.05, "lr_embedding": 0.03, "weight_decay": 0.1}


def batches(made):
    return Batches(TokenStream((chain(20_000, 0),)), made, CPU)


def train(made, steps, learner=None, first=0):
    learner, stream = learner or Learner(made, CPU, "fp32"), batches(made)
    return learner, [learner.step(*stream(s), 1.0, s).item() for s in range(first, steps)]


def test_updates_agree_with_pytorch():
    made = cell(**MADE, clip=1.0)
    learner, losses = train(made, 20)
    plain = Transformer(made.shape, made.vocab_size, made.context)
    plain.initialise(torch.Generator().manual_seed(made.seed))
    matrices = plain.matrices()
    rest = [p for p in plain.parameters() if not any(p is m for m in matrices)]
    optimizer = torch.optim.Adafactor(
        [{"params": matrices, "lr": 0.05, "weight_decay": 0.1},
         {"params": rest, "lr": 0.03, "weight_decay": 0.0}], foreach=False,
    )  # fmt: skip
    stream, expected = batches(made), []
    for step in range(20):
        loss = plain(*stream(step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert losses[-1] < losses[0] - 0.5
    flat = torch.cat([p.detach().reshape(-1) for p in (*matrices, *rest)])
    torch.testing.assert_close(learner.master, flat, rtol=1e-3, atol=1e-4)


def test_it_goes_on_from_arrays_bit_for_bit():
    made = cell(**MADE)
    whole, losses = train(made, 20)
    half, _ = train(made, 9)
    resumed = Learner(made, CPU, "fp32")
    resumed.load(half.arrays(), 9)
    assert train(made, 20, resumed, 9)[1] == losses[9:]
    assert torch.equal(resumed.master, whole.master)


def test_it_keeps_a_row_and_a_column_for_each_matrix():
    shapes = [torch.Size(s) for s in ((8, 24), (5,), (2, 3, 4))]
    assert factors(shapes) == (8 + 24) + 5 + (2 * 3 + 2 * 4)
    weights = [torch.zeros(shape) for shape in shapes]
    flat = torch.arange(float(factors(shapes)))
    group = factored(0.1, 0.0, weights, weights, flat)
    assert [row if row is None else tuple(row.shape) for row in group.rows] == [
        (8, 1),
        None,
        (2, 3, 1),
    ]
    assert [c if c is None else tuple(c.shape) for c in group.columns] == [(1, 24), None, (2, 1, 4)]
    held = [t for three in zip(group.rows, group.columns, group.variances) for t in three]
    assert torch.equal(torch.cat([t.reshape(-1) for t in held if t is not None]), flat)
    made = cell(**MADE)
    assert len(Learner(made, CPU, "fp32").arrays()[1]) < made.params_total / 5


@pytest.mark.usefixtures("own_signals")
def test_a_trunk_of_it_has_the_branches_that_cells_alone_are(tmp_path):
    made = [cell(steps=s, cooldown_steps=s // 5, **MADE) for s in (20, 40)]
    shared = Results(tmp_path / "shared", *made).part().publish()
    alone = Results(tmp_path / "alone", made[1]).publish()
    assert alone.read(0) == shared.read(1)
    assert shared.run(1)["optimizer"] == "adafactor"
