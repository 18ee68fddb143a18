"""The transformer against a second implementation, loop by loop, and its initialisation."""

import math

import numpy as np
import pytest
import torch

from pipeline.accounting import Shape
from pipeline.models import FAMILIES, Transformer
from pipeline.models.operations import FAST, PLAIN

SHAPE, VOCAB, CONTEXT = Shape(2, 16, 40, 2), 30, 10


def model(operations=PLAIN, dropout=0.0, shape=SHAPE, seed=0):
    module = Transformer(shape, VOCAB, CONTEXT, dropout, operations)
    module.initialise(torch.Generator().manual_seed(seed))
    return module


def text(batch=3, context=CONTEXT, seed=1):
    ids = torch.randint(VOCAB, (batch, context + 1), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1], ids[:, 1:]


def by_hand(module, tokens, targets):
    """Losses of one sequence in float64, one position, head and row at a time."""
    named = {n: p.detach().double().numpy() for n, p in module.named_parameters()}

    def norm(x, gain):
        return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * gain

    def gelu(x):
        return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])

    width = SHAPE.d_model // SHAPE.n_head
    stream = [named["tokens.weight"][t] + named["positions.weight"][i]
              for i, t in enumerate(tokens)]  # fmt: skip
    for layer in range(SHAPE.n_layer):
        w = {n.removeprefix(f"blocks.{layer}."): v for n, v in named.items()}
        rows = [w["qkv.weight"] @ norm(x, w["attention_norm.weight"]) for x in stream]
        q, k, v = (np.array([r[i * 16 : (i + 1) * 16] for r in rows]) for i in range(3))
        for i, x in enumerate(stream):
            mixed = []
            for head in range(SHAPE.n_head):
                s = slice(head * width, (head + 1) * width)
                scores = np.exp([q[i, s] @ k[j, s] / math.sqrt(width) for j in range(i + 1)])
                weights = scores / scores.sum()
                mixed.extend(sum(weights[j] * v[j, s] for j in range(i + 1)))
            x = x + w["attention_out.weight"] @ np.array(mixed)
            inner = gelu(w["feedforward_in.weight"] @ norm(x, w["feedforward_norm.weight"]))
            stream[i] = x + w["feedforward_out.weight"] @ inner
    losses = []
    for x, wanted in zip(stream, targets):
        logits = named["tokens.weight"] @ norm(x, named["norm.weight"])
        losses.append(math.log(np.exp(logits).sum()) - logits[wanted])
    return losses


def test_losses_agree_with_a_second_implementation():
    module = model().double()
    for gain in [p for n, p in module.named_parameters() if "norm" in n]:
        torch.nn.init.uniform_(gain, 0.5, 1.5, generator=torch.Generator().manual_seed(2))
    tokens, targets = text()
    found = module.losses(tokens, targets).detach().numpy()
    for row in range(len(tokens)):
        # The norm and the loss are computed in float32 whatever the weights are.
        expected = by_hand(module, tokens[row].tolist(), targets[row].tolist())
        np.testing.assert_allclose(found[row], expected, rtol=2e-6)


def test_mean_loss_is_the_mean_of_the_losses():
    tokens, targets = text()
    expected = model().losses(tokens, targets).mean()
    for operations in (PLAIN, FAST):
        torch.testing.assert_close(model(operations)(tokens, targets), expected)


@pytest.mark.parametrize("shape", [SHAPE, Shape(1, 8, 32, 1), Shape(3, 24, 24, 3)], ids=str)
def test_fast_operations_give_the_reference_loss_and_gradients(shape):
    tokens, targets = text()
    found = []
    for operations in (PLAIN, FAST):
        module = model(operations, shape=shape)
        loss = module(tokens, targets)
        found.append((loss, torch.autograd.grad(loss, list(module.parameters()))))
    (plain, plain_gradients), (fast, fast_gradients) = found
    torch.testing.assert_close(fast, plain, rtol=1e-6, atol=0)
    for ours, reference in zip(fast_gradients, plain_gradients):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("operations", [PLAIN, FAST], ids=["plain", "fast"])
def test_no_position_sees_what_follows_it(operations):
    tokens, targets = text()
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % VOCAB
    module = model(operations)
    before, after = module.losses(tokens, targets), module.losses(changed, targets)
    assert torch.equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] != after[:, 6:]).all()


def test_shorter_windows_are_prefixes():
    tokens, targets = text()
    module = model()
    whole, part = module.losses(tokens, targets), module.losses(tokens[:, :4], targets[:, :4])
    torch.testing.assert_close(part, whole[:, :4])


def test_initial_spread_is_half_over_the_root_of_the_fan_in():
    shape = Shape(8, 128, 512, 4)
    module = Transformer(shape, 512, 64)
    module.initialise(torch.Generator().manual_seed(0))
    block = module.blocks[3]
    expected = {
        block.qkv.weight: 0.5 / math.sqrt(128),
        block.feedforward_in.weight: 0.5 / math.sqrt(128),
        block.attention_out.weight: 0.5 / math.sqrt(128) / math.sqrt(16),
        block.feedforward_out.weight: 0.5 / math.sqrt(512) / math.sqrt(16),
        module.tokens.weight: 0.5 / math.sqrt(128),
    }
    for weight, spread in expected.items():
        # The relative error of a standard deviation of n draws is 1 / sqrt(2 n).
        assert weight.std().item() == pytest.approx(spread, rel=5 / math.sqrt(2 * weight.numel()))
    assert torch.equal(module.norm.weight, torch.ones(128))


def test_a_seed_fixes_the_weights():
    first, same, other = model(seed=3), model(seed=3), model(seed=4)
    for a, b in zip(first.parameters(), same.parameters()):
        assert torch.equal(a, b)
    assert not torch.equal(first.tokens.weight, other.tokens.weight)


def test_dropout_acts_in_training_only():
    module = model(dropout=0.5)
    tokens, targets = text()
    assert module(tokens, targets) != module(tokens, targets)
    module.eval()
    assert module(tokens, targets) == module(tokens, targets)


BLOCK = ("attention_norm", "qkv", "attention_out", "feedforward_norm", "feedforward_in",
         "feedforward_out")  # fmt: skip
OF_A_LAYER = {
    "transformer": [f"{part}.weight" for part in BLOCK],
    "recurrent": [f"{part}.weight" for part in BLOCK],
    "lstm": ["bias", "norm.weight", "inputs.weight", "state.weight"],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_have_the_names_and_the_order_of_checkpoints(family):
    """Weights are drawn, and stored as one array, in this order."""
    shape = Shape(2, 16, 0, 0, family) if family == "lstm" else Shape(2, 16, 40, 2, family)
    embeddings = ["tokens.weight", "positions.weight"][: 1 if family == "lstm" else 2]
    layers = [f"blocks.{layer}.{part}" for layer in range(2) for part in OF_A_LAYER[family]]
    module = FAMILIES[family](shape, VOCAB, CONTEXT)
    assert [name for name, _ in module.named_parameters()] == [*embeddings, *layers, "norm.weight"]
    assert list(module.state_dict()) == [*embeddings, *layers, "norm.weight"]


def test_every_family_of_the_config_is_registered():
    from pipeline.config.schema import schema

    assert set(FAMILIES) == set(schema()["properties"]["model"]["properties"]["family"]["enum"])
