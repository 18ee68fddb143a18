"""Hand-written gradients against finite differences, and against PyTorch's own operations."""

import pytest
import torch

from pipeline.models import operations
from pipeline.models.operations import (
    chunk_rows,
    fused_cross_entropy,
    plain_attention,
    plain_cross_entropy,
    saved_attention,
)


def normal(*shape, seed=0, dtype=torch.float32):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return values.requires_grad_()


def test_attention_gradient_against_finite_differences():
    qkv = normal(2 * 5, 3 * 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: saved_attention(x, 5, 2, 0.0), qkv)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("context", [1, 7, 16])
def test_attention_agrees_with_pytorch(heads, context):
    qkv, weight = normal(3 * context, 3 * 16), normal(3 * context, 16, seed=1).detach()
    found = [f(qkv, context, heads, 0.0) for f in (plain_attention, saved_attention)]
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad((out * weight).sum(), qkv)[0] for out in found]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows", [1000, 7, 1], ids=["whole", "a ragged last chunk", "single rows"])
def test_cross_entropy_agrees_with_pytorch(rows, monkeypatch):
    monkeypatch.setitem(operations.LOGITS, "cpu", rows * 30)
    hidden, embedding = normal(20, 16), normal(30, 16, seed=1)
    targets = torch.randint(30, (20,), generator=torch.Generator().manual_seed(2))
    losses = [f(hidden, embedding, targets) for f in (plain_cross_entropy, fused_cross_entropy)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=0)
    plain, fused = (torch.autograd.grad(3 * loss, [hidden, embedding]) for loss in losses)
    for ours, reference in zip(fused, plain):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "rows", [10, 7, 1], ids=["even chunks", "a ragged last chunk", "single rows"]
)
def test_chunks_of_bf16_give_what_the_whole_gives(rows, monkeypatch):
    """Each row's gradient is its own; the embedding's is a sum, rounded once more than the whole."""
    hidden, embedding = normal(20, 16).bfloat16(), normal(30, 16, seed=1).bfloat16()
    targets = torch.randint(30, (20,), generator=torch.Generator().manual_seed(2))

    def found():
        loss = fused_cross_entropy(hidden, embedding, targets)
        return loss, *torch.autograd.grad(loss, [hidden, embedding])

    whole = found()
    monkeypatch.setitem(operations.LOGITS, "cpu", rows * 30)
    loss, of_hidden, of_embedding = found()
    torch.testing.assert_close(loss, whole[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(of_hidden, whole[1], rtol=2**-8, atol=1e-5)
    apart = torch.linalg.vector_norm((of_embedding - whole[2]).float())
    assert apart < 2**-7 * torch.linalg.vector_norm(whole[2].float())


def test_chunks_of_a_gpu_are_thousands_of_rows():
    assert chunk_rows(50257, "cpu") == 333
    assert chunk_rows(50257, "cuda") == 5341
    assert chunk_rows(2**30, "cpu") == chunk_rows(2**30, "cuda") == 1


def test_a_hopeless_token_costs_a_finite_loss():
    hidden, embedding = torch.tensor([[200.0]]), torch.tensor([[1.0], [-1.0]])
    loss = fused_cross_entropy(hidden, embedding, torch.tensor([1]))
    assert 80 < loss.item() < 90  # -ln of the smallest float32
