"""Counts against the papers, against the models themselves and against PyTorch's own counter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from pipeline import accounting
from pipeline.accounting import Shape
from pipeline.models import FAMILIES
from pipeline.models.operations import FAST, PLAIN

SHAPES = [
    Shape(1, 8, 32, 1), Shape(2, 16, 64, 2), Shape(3, 24, 40, 3),
    Shape(1, 64, 16, 64), Shape(2, 4, 96, 1), Shape(200, 4, 4, 2),
    *(Shape(layers, 24, 0, 0, "lstm") for layers in (1, 2, 4)),
    Shape(2, 16, 64, 2, "recurrent"), Shape(2, 16, 64, 2, "recurrent", 3),
]  # fmt: skip


def test_non_embedding_counts_of_kaplan_table_6():
    assert accounting.non_embedding_params(Shape(12, 768, 3072, 12)) == 84_934_656
    assert accounting.non_embedding_params(Shape(48, 1600, 6400, 25)) == 1_474_560_000


def test_gpt2_small_total():
    # GPT-2 small has 124,439,808 parameters, of which 121,344 are biases, which there are none of.
    shape = Shape(12, 768, 3072, 12)
    biases = 12 * (3 * 768 + 768 + 3072 + 768 + 2 * 768) + 768
    assert accounting.total_params(shape, 50257, 1024) == 124_439_808 - biases


def model(shape, vocab, context, operations=PLAIN):
    return FAMILIES[shape.family](shape, vocab, context, operations=operations)


def test_every_family_is_counted():
    assert set(accounting.FAMILIES) == set(FAMILIES) == {shape.family for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_total_is_what_the_model_holds(shape):
    module = model(shape, vocab=50, context=12)
    assert accounting.total_params(shape, 50, 12) == sum(p.numel() for p in module.parameters())
    assert accounting.non_embedding_params(shape) == sum(w.numel() for w in module.matrices())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("context", [8, 12])
def test_exact_flops_are_what_pytorch_counts(shape, context):
    # PyTorch does not look into its own LSTM, whose products are those of the plain one.
    vocab, batch = 50, 3
    module = model(shape, vocab, context, PLAIN if shape.family == "lstm" else FAST)
    module.initialise(torch.Generator().manual_seed(0))
    text = torch.randint(vocab, (batch, context + 1), generator=torch.Generator().manual_seed(1))
    with FlopCounterMode(display=False) as counter:
        module(text[:, :-1], text[:, 1:]).backward()
    expected = accounting.flops_exact(shape, vocab, context, batch * context)
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-12)


def test_an_lstm_counts_as_torch_nn_lstm_does_without_biases():
    theirs = torch.nn.LSTM(48, 48, 4, bias=False)
    shape = Shape(4, 48, 0, 0, "lstm")
    assert accounting.non_embedding_params(shape) == sum(w.numel() for w in theirs.parameters())


def test_every_use_of_a_weight_costs_and_the_weight_counts_once():
    once, thrice = (Shape(2, 16, 64, 2, "recurrent", reuse) for reuse in (1, 3))
    unrolled = Shape(6, 16, 64, 2)
    assert accounting.non_embedding_params(thrice) == accounting.non_embedding_params(once)
    assert accounting.flops_6nd(thrice, 10) == accounting.flops_6nd(unrolled, 10)
    assert accounting.flops_exact(thrice, 50, 12, 10) == accounting.flops_exact(
        unrolled, 50, 12, 10
    )


def test_six_nd():
    assert accounting.flops_6nd(Shape(12, 768, 3072, 12), 1e9) == 6 * 84_934_656 * 1e9


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 60))
def test_standard_shapes_have_twelve_layers_width_squared(n_layer, heads, vocab):
    width = 8 * heads
    shape = Shape(n_layer, width, 4 * width, heads)
    assert accounting.non_embedding_params(shape) == 12 * n_layer * width**2
    exact = accounting.exact_flops_per_token(shape, vocab, 64)
    assert exact > accounting.flops_6nd(shape, 1)
