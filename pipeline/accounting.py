"""Parameter and FLOP counts of a decoder-only transformer, under named conventions.

Standard library only: the workflow counts FLOPs for every cell each time it is parsed.

The paper's convention (Kaplan et al. 2020, section 2.1 and table 1) counts matrix weights only:
N = 2 d_model n_layer (2 d_attn + d_ff), which leaves out embeddings, positions, gains and biases.
"""

from __future__ import annotations

from dataclasses import dataclass

PF_DAY = 8.64e19  # FLOP in one petaFLOP/s-day (Kaplan et al. 2020, section 1.1)


@dataclass(frozen=True, order=True)
class Shape:
    """The shape of one transformer: layers, residual width, feed-forward width, heads."""

    n_layer: int
    d_model: int
    d_ff: int
    n_head: int

    def __str__(self) -> str:
        return f"{self.n_layer}x{self.d_model}(ff{self.d_ff},h{self.n_head})"


def non_embedding_params(shape: Shape) -> int:
    """N: weights of the attention and feed-forward matrices (eq. 2.1; d_attn = d_model)."""
    return 2 * shape.d_model * shape.n_layer * (2 * shape.d_model + shape.d_ff)


def embedding_params(shape: Shape, vocab_size: int, context: int) -> int:
    """Token and position embeddings; the unembedding is tied to the token embedding."""
    return (vocab_size + context) * shape.d_model


def gain_params(shape: Shape) -> int:
    """Layer-norm gains: two per layer and a final one, none with a bias."""
    return (2 * shape.n_layer + 1) * shape.d_model


def total_params(shape: Shape, vocab_size: int, context: int) -> int:
    """Every trainable number of the model."""
    return (
        non_embedding_params(shape)
        + embedding_params(shape, vocab_size, context)
        + gain_params(shape)
    )


def flops_6nd(shape: Shape, tokens: float) -> float:
    """C = 6 N D: training FLOP of the matrix weights alone (section 2.1)."""
    return 6.0 * non_embedding_params(shape) * tokens


def exact_flops_per_token(shape: Shape, vocab_size: int, context: int) -> float:
    """Training FLOP per token with attention and head: 6 (N + d V) + 12 n_layer T d.

    The attention term counts the full T x T products (no causal saving), as they are computed:
    scores and weighted values cost 2 T d multiply-adds per token and layer, forward, and the
    backward pass twice that. Kaplan's table 1 counts half of it; Hoffmann et al. 2022, appendix F,
    add the embedding and the softmax, which are left out here.
    """
    matrices = non_embedding_params(shape) + shape.d_model * vocab_size
    return 6.0 * matrices + 12.0 * shape.n_layer * context * shape.d_model


def flops_exact(shape: Shape, vocab_size: int, context: int, tokens: float) -> float:
    """Training FLOP of ``tokens`` tokens, attention and head included."""
    return exact_flops_per_token(shape, vocab_size, context) * tokens
