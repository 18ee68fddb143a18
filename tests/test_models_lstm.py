"""The LSTM against PyTorch's own, step by step, and its initialisation."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.accounting import Shape
from pipeline.models import LSTM
from pipeline.models.operations import FAST, FUSED_LOSS, PLAIN

VOCAB, CONTEXT = 30, 10
OPERATIONS = {"plain": PLAIN, "library": FUSED_LOSS, "wide": FAST}


def model(operations=PLAIN, layers=2, dropout=0.0, width=16):
    module = LSTM(Shape(layers, width, 0, 0, "lstm"), VOCAB, CONTEXT, dropout, operations)
    module.initialise(torch.Generator().manual_seed(0))
    return module


def text(batch=3, context=CONTEXT):
    ids = torch.randint(VOCAB, (batch, context + 1), generator=torch.Generator().manual_seed(1))
    return ids[:, :-1], ids[:, 1:]


def pytorch_losses(module, tokens, targets):
    """Losses (batch, context) with the same weights in layers of torch.nn.LSTM, and these."""
    width = module.shape.d_model

    def norm(states, gain):
        return functional.layer_norm(states, (width,), gain)

    stream, theirs = module.tokens.weight[tokens], []
    for layer in module.blocks:
        one = nn.LSTM(width, width, batch_first=True)
        with torch.no_grad():
            one.weight_ih_l0.copy_(layer.inputs.weight)
            one.weight_hh_l0.copy_(layer.state.weight)
            one.bias_ih_l0.copy_(0.25 * layer.bias)
            one.bias_hh_l0.copy_(0.75 * layer.bias)
        states, _ = one(norm(stream, layer.norm.weight))
        stream = stream + states
        theirs.append(one)
    logits = norm(stream, module.norm.weight) @ module.tokens.weight.t()
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.reshape(-1), reduction="none")
    return losses.view(targets.shape), theirs


def shaken(module):
    """With gains and biases that are not those of the start."""
    for name, weight in module.named_parameters():
        if "norm" in name or "bias" in name:
            nn.init.uniform_(weight, 0.5, 1.5, generator=torch.Generator().manual_seed(2))
    return module


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=OPERATIONS)
def test_losses_and_gradients_are_those_of_torch_nn_lstm(operations, layers):
    module, (tokens, targets) = shaken(model(operations, layers)), text()
    expected, theirs = pytorch_losses(module, tokens, targets)
    torch.testing.assert_close(module.losses(tokens, targets), expected, rtol=1e-5, atol=1e-6)
    mean = module(tokens, targets)
    torch.testing.assert_close(mean, expected.mean(), rtol=1e-6, atol=0)
    ours = [w for layer in module.blocks for w in (layer.inputs.weight, layer.state.weight)]
    same = [w for one in theirs for w in (one.weight_ih_l0, one.weight_hh_l0)]
    found = torch.autograd.grad(mean, ours)
    wanted = torch.autograd.grad(expected.mean(), same)
    for gradient, reference in zip(found, wanted):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-7)


def test_states_agree_with_the_equations_one_number_at_a_time():
    """Gers et al. 2000, in plain Python floats, for one layer of two units."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(5, 1, 2, generator=generator)
    of_input, of_state = (torch.randn(8, 2, generator=generator) for _ in range(2))
    bias = torch.randn(8, generator=generator)
    found = PLAIN.lstm(inputs, of_input, of_state, bias)
    h, c = [0.0, 0.0], [0.0, 0.0]
    for step in range(5):
        z = [
            bias[row].item()
            + sum(of_input[row, j].item() * inputs[step, 0, j].item() for j in range(2))
            + sum(of_state[row, j].item() * h[j] for j in range(2))
            for row in range(8)
        ]  # fmt: skip
        gate = [1 / (1 + math.exp(-value)) for value in z]
        c = [gate[2 + u] * c[u] + gate[u] * math.tanh(z[4 + u]) for u in range(2)]
        h = [gate[6 + u] * math.tanh(c[u]) for u in range(2)]
        assert found[step, 0].tolist() == pytest.approx(h, rel=1e-5)


def test_bf16_layers_keep_their_state_in_float32():
    """A gate that forgets nothing adds up 200 small inputs, which a bf16 state would lose."""
    width = 4
    inputs = torch.full((200, 1, width), 1.0, dtype=torch.bfloat16)
    zero = torch.zeros(4 * width, width, dtype=torch.bfloat16)
    bias = torch.tensor([-6.0, 100.0, 1.0, 100.0]).repeat_interleave(width).to(torch.bfloat16)
    found = FAST.lstm(inputs, zero, zero, bias)
    share = math.tanh(1.0) / (1 + math.exp(6.0))
    assert found.dtype == torch.bfloat16
    expected = math.tanh(200 * share)
    assert found[-1].float().flatten().tolist() == pytest.approx([expected] * width, rel=2**-8)


@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=OPERATIONS)
def test_no_position_sees_what_follows_it_and_windows_start_afresh(operations):
    tokens, targets = text()
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % VOCAB
    module = model(operations)
    before, after = module.losses(tokens, targets), module.losses(changed, targets)
    assert torch.equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] != after[:, 6:]).all()
    alone = module.losses(tokens[1:2, :4], targets[1:2, :4])
    torch.testing.assert_close(alone, before[1:2, :4])


def test_initial_spread_is_half_over_the_root_of_the_fan_in_and_gates_remember():
    module = model(width=128)
    for matrix in [*module.matrices(), module.tokens.weight]:
        spread = 0.5 / math.sqrt(128)
        assert matrix.std().item() == pytest.approx(spread, rel=5 / math.sqrt(2 * matrix.numel()))
    for layer in module.blocks:
        assert layer.bias.tolist() == [0.0] * 128 + [1.0] * 128 + [0.0] * 256
    assert torch.equal(module.norm.weight, torch.ones(128))


def test_dropout_acts_in_training_only():
    module = model(dropout=0.5)
    tokens, targets = text()
    assert module(tokens, targets) != module(tokens, targets)
    module.eval()
    assert module(tokens, targets) == module(tokens, targets) == model()(tokens, targets)
