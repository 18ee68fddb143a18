"""Counts against the papers, against the model itself and against PyTorch's own counter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from pipeline import accounting
from pipeline.accounting import Shape
from pipeline.models import Transformer
from pipeline.training.operations import FAST

SHAPES = [Shape(1, 8, 32, 1), Shape(2, 16, 64, 2), Shape(3, 24, 40, 3)]


def test_non_embedding_counts_of_kaplan_table_6():
    assert accounting.non_embedding_params(Shape(12, 768, 3072, 12)) == 84_934_656
    assert accounting.non_embedding_params(Shape(48, 1600, 6400, 25)) == 1_474_560_000


def test_gpt2_small_total():
    # GPT-2 small has 124,439,808 parameters, of which 121,344 are biases, which there are none of.
    shape = Shape(12, 768, 3072, 12)
    biases = 12 * (3 * 768 + 768 + 3072 + 768 + 2 * 768) + 768
    assert accounting.total_params(shape, 50257, 1024) == 124_439_808 - biases


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_total_is_what_the_model_holds(shape):
    module = Transformer(shape, vocab_size=50, context=12)
    assert accounting.total_params(shape, 50, 12) == sum(p.numel() for p in module.parameters())
    assert accounting.non_embedding_params(shape) == sum(w.numel() for w in module.matrices())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_exact_flops_are_what_pytorch_counts(shape):
    vocab, context, batch = 50, 12, 3
    module = Transformer(shape, vocab, context, operations=FAST)
    module.initialise(torch.Generator().manual_seed(0))
    text = torch.randint(vocab, (batch, context + 1), generator=torch.Generator().manual_seed(1))
    with FlopCounterMode(display=False) as counter:
        module(text[:, :-1], text[:, 1:]).backward()
    expected = accounting.flops_exact(shape, vocab, context, batch * context)
    assert counter.get_total_flops() == expected


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
