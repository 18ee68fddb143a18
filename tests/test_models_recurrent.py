"""The recurrent transformer against the transformer: itself without reuse, else its unrolled form."""

from dataclasses import replace

import pytest
import torch

from pipeline.accounting import Shape
from pipeline.models import Recurrent, Transformer
from pipeline.models.operations import FAST, PLAIN

SHAPE, VOCAB, CONTEXT = Shape(2, 16, 40, 2, "recurrent"), 30, 10


def model(reuse, kind=Recurrent, dropout=0.0, operations=PLAIN):
    module = kind(replace(SHAPE, reuse=reuse), VOCAB, CONTEXT, dropout, operations)
    module.initialise(torch.Generator().manual_seed(0))
    return module


def text():
    ids = torch.randint(VOCAB, (3, CONTEXT + 1), generator=torch.Generator().manual_seed(1))
    return ids[:, :-1], ids[:, 1:]


def trained(module, steps=4):
    """Loss of each step of plain gradient descent."""
    tokens, targets = text()
    torch.manual_seed(0)  # dropout
    for _ in range(steps):
        loss = module(tokens, targets)
        yield loss.item()
        weights = list(module.parameters())
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                weight -= 0.1 * gradient


@pytest.mark.parametrize("operations", [PLAIN, FAST], ids=["plain", "fast"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_used_once_it_is_the_transformer_bit_for_bit(dropout, operations):
    ours, theirs = (model(1, kind, dropout, operations) for kind in (Recurrent, Transformer))
    assert list(trained(ours)) == list(trained(theirs))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("operations", [PLAIN, FAST], ids=["plain", "fast"])
@pytest.mark.parametrize("reuse", [2, 3])
def test_it_is_an_unrolled_transformer_with_tied_weights(reuse, operations):
    tokens, targets = text()
    ours = model(reuse, operations=operations)
    unrolled = Transformer(Shape(2 * reuse, 16, 40, 2), VOCAB, CONTEXT, operations=operations)
    state = ours.state_dict()
    copies = {
        name.replace(f"blocks.{block}.", f"blocks.{2 * again + block}."): weight
        for name, weight in state.items()
        for block in range(2)
        for again in range(reuse)
        if name.startswith(f"blocks.{block}.")
    }
    rest = {name: weight for name, weight in state.items() if not name.startswith("blocks.")}
    unrolled.load_state_dict(copies | rest)
    assert torch.equal(ours.losses(tokens, targets), unrolled.losses(tokens, targets))
    ours(tokens, targets).backward()
    unrolled(tokens, targets).backward()
    theirs = {name: weight.grad for name, weight in unrolled.named_parameters()}
    for name, weight in ours.named_parameters():
        uses = [name]
        if name.startswith("blocks."):
            _, block, part = name.split(".", 2)
            uses = [f"blocks.{2 * again + int(block)}.{part}" for again in range(reuse)]
        torch.testing.assert_close(weight.grad, sum(theirs[use] for use in uses), rtol=1e-4,
                                   atol=1e-7)  # fmt: skip


def test_what_writes_into_the_stream_is_drawn_for_every_use():
    once, four = model(1), model(4)
    torch.testing.assert_close(four.blocks[1].qkv.weight, once.blocks[1].qkv.weight)
    for part in ("attention_out", "feedforward_out"):
        ours, theirs = (getattr(m.blocks[1], part).weight for m in (four, once))
        torch.testing.assert_close(2 * ours, theirs)
