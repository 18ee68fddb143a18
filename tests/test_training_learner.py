"""The update against PyTorch's own AdamW and clipping on a plain model, in fp32 and bf16."""

import math

import pytest
import torch
from training_data import VOCAB, cell, chain

from pipeline import provenance
from pipeline.models import Transformer
from pipeline.training.data import Batches, TokenStream
from pipeline.training.learner import Learner, dropout_seed, resolve_precision
from pipeline.training.memory import Passes

CPU = torch.device("cpu")


FAMILIES = {
    "transformer": {},
    "lstm": {"family": "lstm", "d_ff": 0, "n_head": 0},
    "recurrent": {"family": "recurrent", "reuse": 2},
}


def batches(made):
    return Batches(TokenStream((chain(20_000, 0),)), made, CPU)


def train(made, precision="fp32", fast=True, steps=20):
    learner, stream = Learner(made, CPU, precision, fast), batches(made)
    losses = [learner.step(*stream(s), 1.0, s).item() for s in range(steps)]
    return learner, losses


@pytest.mark.parametrize("clip", [0.0, 0.3, 1.0])
def test_updates_agree_with_pytorch(clip):
    made = cell(clip=clip, weight_decay=0.1)
    _, losses = train(made, fast=False)
    plain = Transformer(made.shape, VOCAB, made.context)
    plain.initialise(torch.Generator().manual_seed(made.seed))
    matrices = plain.matrices()
    rest = [p for p in plain.parameters() if not any(p is m for m in matrices)]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "lr": made.lr, "weight_decay": 0.1},
         {"params": rest, "lr": made.lr_embedding, "weight_decay": 0.0}], betas=made.betas,
        foreach=False, fused=False,
    )  # fmt: skip
    stream, expected = batches(made), []
    for step in range(20):
        loss = plain(*stream(step))
        optimizer.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(plain.parameters(), clip)
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_fast_and_plain_paths_train_alike(family):
    made = cell(**FAMILIES[family])
    assert train(made)[1] == pytest.approx(train(made, fast=False)[1], rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_trains_as_fp32_does_within_the_noise_of_seeds(family):
    def last(seed, precision):
        made = cell(seed=seed, **FAMILIES[family])
        return sum(train(made, precision, steps=80)[1][-20:]) / 20

    seeds = torch.tensor([last(seed, "fp32") for seed in range(4)])
    difference = abs(last(0, "bf16") - seeds[0].item())
    assert difference < 2 * seeds.std().item()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_same_seed_same_curve(precision):
    first, second = train(cell(), precision), train(cell(), precision)
    assert first[1] == second[1]
    assert torch.equal(first[0].master, second[0].master)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_going_on_from_arrays_is_the_same_run(precision, dropout, family):
    made = cell(dropout=dropout, weight_decay=0.1, **FAMILIES[family])
    whole, losses = train(made, precision)
    half, _ = train(made, precision, steps=9)
    resumed, stream = Learner(made, CPU, precision), batches(made)
    resumed.load(half.arrays(), 9)
    rest = [resumed.step(*stream(s), 1.0, s).item() for s in range(9, 20)]
    assert rest == losses[9:]
    assert torch.equal(resumed.master, whole.master)


def test_dropout_takes_any_seed_and_differs_by_seed_and_step():
    largest = 2**63 - 1
    first, _ = train(cell(dropout=0.2, seed=largest), steps=2)
    assert torch.isfinite(first.master).all()
    drawn = {dropout_seed(seed, step) for seed in (0, 1, 11, largest, 2**70) for step in range(200)}
    assert len(drawn) == 1000
    assert max(drawn) < 2**63


def test_small_pieces_of_a_batch_give_its_gradient():
    made = cell()
    whole = Learner(made, CPU, "fp32")
    loss = whole.backward(*batches(made)(0))
    # Three of the four rows, then the last: pieces of unequal size.
    pieces = Learner(made, CPU, "fp32", passes=Passes(3 * made.context, made.context))
    torch.testing.assert_close(pieces.backward(*batches(made)(0)), loss)
    torch.testing.assert_close(pieces.gradient, whole.gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_decay_shrinks_matrices_only(family):
    made = cell(weight_decay=10.0, lr=0.01, lr_embedding=0.01, **FAMILIES[family])
    learner = Learner(made, CPU, "fp32")
    before = learner.master.clone()
    learner.backward = lambda *_: learner.gradient.zero_()
    learner.step(None, None, 1.0, 0)
    assert torch.allclose(learner.master[: made.params], 0.9 * before[: made.params])
    assert torch.equal(learner.master[made.params :], before[made.params :])


def test_the_recorded_norm_is_that_before_clipping():
    made = cell(clip=1e-3)
    learner = Learner(made, CPU, "fp32")
    learner.step(*batches(made)(0), 1.0, 0)
    assert learner.norm > 0.1
    assert torch.linalg.vector_norm(learner.gradient) == pytest.approx(1e-3, rel=1e-3)


def test_precision_follows_the_hardware(monkeypatch):
    for flags, expected in (("avx2 avx512f", "fp32"), ("avx2 avx512_bf16", "bf16"),
                            ("amx_bf16", "bf16")):  # fmt: skip
        monkeypatch.setattr(provenance.Path, "read_text", lambda *_, flags=flags, **__: flags)
        assert resolve_precision("auto", CPU) == expected
        assert resolve_precision("fp32", CPU) == "fp32"


def test_two_hundred_layers_train():
    """The first loss is that of a uniform guess, its gradient bounded; a batch is learned."""
    norms = []
    for layers in (2, 200):
        made = cell(n_layer=layers, d_model=8, d_ff=8, n_head=1, lr=0.005)
        learner, losses = train(made, steps=1)
        assert losses[0] == pytest.approx(math.log(VOCAB), abs=0.3)
        norms.append(learner.norm.item())
    assert norms[1] < 10 * norms[0]
    batch = batches(made)(1)
    again = [learner.step(*batch, 1.0, step).item() for step in range(1, 13)]
    assert again[-1] < again[0] - 0.1
