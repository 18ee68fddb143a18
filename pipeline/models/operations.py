"""The operations that have a fast form, each beside the plain one that it must agree with.

Attention: the CPU's scaled_dot_product_attention recomputes the scores in the backward pass and is
slow in bfloat16; keeping the probabilities costs T x T numbers per head and is several times
faster at the contexts trained here. The loss: projecting onto the vocabulary and the softmax in
one operation leaves no logits behind, and takes the gradient while the probabilities are in cache.
An LSTM layer: PyTorch's own, whose loop over time is not in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# Logits held at a time by the fused loss. On the CPU 64 MiB in float32; on a GPU 1 GiB, as its
# products want thousands of rows: 5,341 at a vocabulary of 50,257, where the CPU takes 333.
LOGITS = {"cpu": 1 << 24, "cuda": 1 << 28}
NARROW = 16  # columns of a product below which its transpose is computed


@dataclass(frozen=True)
class Operations:
    """What layers and the loss are computed by.

    attention(qkv, context, n_head, dropout), cross_entropy(hidden, embedding, targets) and
    lstm(inputs, input weights, state weights, bias).
    """

    attention: Callable[[Tensor, int, int, float], Tensor]
    cross_entropy: Callable[[Tensor, Tensor, Tensor], Tensor]
    lstm: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def plain_attention(qkv: Tensor, context: int, n_head: int, dropout: float) -> Tensor:
    """Causal attention of (batch * context, 3 d) rows; returns (batch * context, d)."""
    q, k, v = _heads(qkv, context, n_head, 3)
    mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    return mixed.transpose(1, 2).reshape(len(qkv), -1)


def plain_cross_entropy(hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
    """Mean loss in nats/token of (rows, d) states against (rows,) targets; a float32 scalar."""
    return functional.cross_entropy((hidden @ embedding.t()).float(), targets)


def saved_attention(qkv: Tensor, context: int, n_head: int, dropout: float) -> Tensor:
    """As plain_attention; keeps the probabilities for the backward pass. No dropout."""
    if dropout:
        return plain_attention(qkv, context, n_head, dropout)
    return _SavedAttention.apply(qkv, context, n_head)


def fused_cross_entropy(hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
    """As plain_cross_entropy; the logits of all rows never exist at once."""
    return _FusedCrossEntropy.apply(hidden, embedding, targets)


def chunk_rows(vocab_size: int, device: str) -> int:
    """Rows that the fused loss takes at a time."""
    return max(1, LOGITS[device] // vocab_size)


def plain_lstm(inputs: Tensor, of_input: Tensor, of_state: Tensor, bias: Tensor) -> Tensor:
    """An LSTM layer, step by step: (context, batch, d) inputs to states of the same shape.

    Weights are (4 d, d), the bias (4 d), in the order input, forget, candidate, output. The state
    starts at zero, so the first step needs no product with it.
    """
    state = cell = None
    states = []
    for gates in functional.linear(inputs, of_input, bias).unbind(0):
        if state is not None:
            gates = gates + state @ of_state.t()
        i, f, g, o = gates.chunk(4, -1)
        new = torch.sigmoid(i) * torch.tanh(g)
        cell = new if cell is None else torch.sigmoid(f) * cell + new
        state = torch.sigmoid(o) * torch.tanh(cell)
        states.append(state)
    return torch.stack(states)


def library_lstm(inputs: Tensor, of_input: Tensor, of_state: Tensor, bias: Tensor) -> Tensor:
    """As plain_lstm, by PyTorch's kernel, which wants a second bias."""
    zero = inputs.new_zeros((1, inputs.shape[1], inputs.shape[2]))
    weights = [of_input, of_state, bias, torch.zeros_like(bias)]
    return torch.lstm(inputs, (zero, zero), weights, True, 1, 0.0, True, False, False)[0]


def wide_lstm(inputs: Tensor, of_input: Tensor, of_state: Tensor, bias: Tensor) -> Tensor:
    """As library_lstm, in float32 whatever the inputs are."""
    found = library_lstm(inputs.float(), of_input.float(), of_state.float(), bias.float())
    return found.to(inputs.dtype)


PLAIN = Operations(plain_attention, plain_cross_entropy, plain_lstm)
FUSED_LOSS = Operations(plain_attention, fused_cross_entropy, library_lstm)
FAST = Operations(saved_attention, fused_cross_entropy, wide_lstm)


def fastest(device: str, precision: str) -> Operations:
    """The operations measured fastest: in float32, and on a GPU, PyTorch's attention is.

    An LSTM's few rows for each step gain nothing from bf16 on the CPU, and its state adds up over
    the window: there it is computed in float32.
    """
    return FAST if (device, precision) == ("cpu", "bf16") else FUSED_LOSS


def _heads(rows: Tensor, context: int, n_head: int, parts: int) -> Tensor:
    """(batch * context, parts * d) -> (parts, batch, heads, context, d / heads), a view."""
    return rows.view(-1, context, parts, n_head, rows.shape[1] // parts // n_head).permute(
        2, 0, 3, 1, 4
    )


@cache
def _mask(context: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(context, context): 0 where a position may look, -inf after it."""
    full = torch.full((context, context), float("-inf"), dtype=dtype, device=device)
    return full.triu(1)


def _sum(total: Tensor | None, share: Tensor) -> Tensor:
    """The sum so far; in float32 from the second share on, lest many small ones be rounded off."""
    return share if total is None else total.float().add_(share)


def _product(many: Tensor, few: Tensor) -> Tensor:
    """``many @ few``; its transpose where it has few columns, which MKL's sgemm is faster at."""
    if few.shape[1] < NARROW and few.dtype is torch.float32:
        return (few.t() @ many.t()).t()
    return many @ few


class _SavedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, context: int, n_head: int) -> Tensor:
        split = _heads(qkv, context, n_head, 3)
        width = split.shape[-1]
        heads = split.reshape(3, -1, context, width)
        q, k, v = heads
        scores = torch.baddbmm(
            _mask(context, qkv.dtype, qkv.device), q, k.transpose(1, 2), alpha=width**-0.5
        )
        p = torch.softmax(scores, -1)
        ctx.save_for_backward(heads, p)
        ctx.n_head = n_head
        mixed = torch.bmm(p, v).view(-1, n_head, context, width)
        return mixed.transpose(1, 2).reshape(len(qkv), -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        heads, p = ctx.saved_tensors
        q, k, v = heads
        context, width = q.shape[1:]
        d_out = _heads(gradients[0].contiguous(), context, ctx.n_head, 1).reshape(q.shape)
        d_heads = torch.empty_like(heads)
        torch.bmm(p.transpose(1, 2), d_out, out=d_heads[2])
        d_p = torch.bmm(d_out, v.transpose(1, 2))
        d_scores = torch.ops.aten._softmax_backward_data(d_p, p, -1, p.dtype)
        torch.bmm(d_scores, k, out=d_heads[0])
        torch.bmm(d_scores.transpose(1, 2), q, out=d_heads[1])
        d_heads[:2] *= width**-0.5
        d_qkv = d_heads.view(3, -1, ctx.n_head, context, width).permute(1, 3, 0, 2, 4)
        return d_qkv.reshape(-1, 3 * ctx.n_head * width), None, None


def _chunk(
    hidden: Tensor, embedding: Tensor, targets: Tensor, d_hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss of some rows and its gradient by the embedding; leaves that by the rows in d_hidden.

    A function of its own, so that no chunk's logits outlive it.
    """
    p = torch.softmax(hidden @ embedding.t(), -1, dtype=torch.float32)
    chosen = p.gather(1, targets)
    # A probability that underflows counts as the smallest float32, not as infinite loss.
    loss = -chosen.clamp_min(torch.finfo(torch.float32).tiny).log_().sum()
    d_logits = p.scatter_(1, targets, chosen - 1).to(hidden.dtype)
    d_hidden.copy_(_product(d_logits, embedding))
    # MKL's sgemm takes up to seven times as long for the transpose of this product.
    return loss, (hidden.t() @ d_logits).t()


class _FusedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        rows = chunk_rows(len(embedding), hidden.device.type)
        d_hidden = torch.empty_like(hidden)
        d_embedding: Tensor | None = None
        total = hidden.new_zeros((), dtype=torch.float32)
        for first in range(0, len(hidden), rows):
            part = slice(first, first + rows)
            loss, share = _chunk(hidden[part], embedding, targets[part, None], d_hidden[part])
            total += loss
            d_embedding = _sum(d_embedding, share)
        assert d_embedding is not None
        ctx.save_for_backward(d_hidden, d_embedding.to(hidden.dtype))
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        d_hidden, d_embedding = ctx.saved_tensors
        scale = gradients[0] / len(d_hidden)  # 0-d: it does not widen what it multiplies
        return d_hidden * scale, d_embedding * scale, None
