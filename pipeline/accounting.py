"""Parameter and FLOP counts of each family of models, under named conventions.

Standard library only: the workflow counts FLOPs for every cell each time it is parsed.

The paper's convention (Kaplan et al. 2020, section 2.1 and table 1) counts matrix weights only:
N = 2 d_model n_layer (2 d_attn + d_ff) of a transformer, which leaves out embeddings, positions,
gains and biases. A weight that is used several times for a token is one of N and costs each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PF_DAY = 8.64e19  # FLOP in one petaFLOP/s-day (Kaplan et al. 2020, section 1.1)


@dataclass(frozen=True, order=True)
class Shape:
    """The shape of one model: layers, residual width, feed-forward width, heads.

    An LSTM has no feed-forward part and no heads: both are 0. ``reuse`` is how many times a
    recurrent transformer applies its layers.
    """

    n_layer: int
    d_model: int
    d_ff: int
    n_head: int
    family: str = "transformer"
    reuse: int = 1

    @property
    def depth(self) -> int:
        """Layers that a token passes."""
        return self.n_layer * self.reuse

    def keys(self) -> dict[str, int | str]:
        """The shape as keys of a config's size: what the family has of it."""
        told = {"n_layer": self.n_layer, "d_model": self.d_model}
        if self.n_head:
            told |= {"d_ff": self.d_ff, "n_head": self.n_head}
        of_family = {} if self.family == "transformer" else {"family": self.family}
        return told | of_family | ({"reuse": self.reuse} if self.family == "recurrent" else {})

    def __str__(self) -> str:
        width = f"{self.n_layer}x{self.d_model}"
        if not self.n_head:
            return f"{width}({self.family})"
        again = f",x{self.reuse}" if self.family == "recurrent" else ""
        return f"{width}(ff{self.d_ff},h{self.n_head}{again})"


def _block_matrices(shape: Shape) -> int:
    """Attention and feed-forward matrices (eq. 2.1; d_attn = d_model)."""
    return 2 * shape.d_model * shape.n_layer * (2 * shape.d_model + shape.d_ff)


def _block_gains(shape: Shape) -> int:
    """Layer-norm gains: two per layer and a final one, none with a bias."""
    return (2 * shape.n_layer + 1) * shape.d_model


def _attention_flops(shape: Shape, context: int) -> float:
    """The full T x T products (no causal saving), as they are computed: 12 layers T d.

    Scores and weighted values cost 2 T d multiply-adds per token and layer, forward, and the
    backward pass twice that. Kaplan's table 1 counts half of it.
    """
    return 12.0 * shape.depth * context * shape.d_model


def _lstm_matrices(shape: Shape) -> int:
    """Four gates of each layer, each with a matrix of the input and one of the state."""
    return 8 * shape.n_layer * shape.d_model**2


def _lstm_vectors(shape: Shape) -> int:
    """The gates' biases, and the gains of a norm for each layer and of a final one."""
    return (5 * shape.n_layer + 1) * shape.d_model


def _first_state_flops(shape: Shape, context: int) -> float:
    """What a window saves, per token: its first has a state of zero, which nothing multiplies."""
    return -6.0 * 4 * shape.n_layer * shape.d_model**2 / context


@dataclass(frozen=True)
class Counts:
    """What a family's shape and context say of its size and cost."""

    matrices: Callable[[Shape], int]  # N
    vectors: Callable[[Shape], int]  # gains and biases
    positions: bool  # are positions learned?
    flops: Callable[[Shape, int], float]  # of training, per token, added to 6 for each weight's use


FAMILIES = {
    "transformer": Counts(_block_matrices, _block_gains, True, _attention_flops),
    "lstm": Counts(_lstm_matrices, _lstm_vectors, False, _first_state_flops),
    "recurrent": Counts(_block_matrices, _block_gains, True, _attention_flops),
}


def non_embedding_params(shape: Shape) -> int:
    """N: weights of the layers' matrices, each counted once."""
    return FAMILIES[shape.family].matrices(shape)


def embedding_params(shape: Shape, vocab_size: int, context: int) -> int:
    """Embeddings of tokens and positions; the unembedding is tied to the token embedding."""
    positions = context if FAMILIES[shape.family].positions else 0
    return (vocab_size + positions) * shape.d_model


def total_params(shape: Shape, vocab_size: int, context: int) -> int:
    """Every trainable number of the model."""
    return (
        non_embedding_params(shape)
        + embedding_params(shape, vocab_size, context)
        + FAMILIES[shape.family].vectors(shape)
    )


def flops_6nd(shape: Shape, tokens: float) -> float:
    """C = 6 N D: training FLOP of the matrix weights alone (section 2.1), for each use of them."""
    return 6.0 * non_embedding_params(shape) * shape.reuse * tokens


def exact_flops_per_token(shape: Shape, vocab_size: int, context: int) -> float:
    """Training FLOP per token of all matrix products: 6 (N reuse + d V), and attention.

    Hoffmann et al. 2022, appendix F, add the embedding and the softmax, which are left out here.
    """
    matrices = non_embedding_params(shape) * shape.reuse + shape.d_model * vocab_size
    return 6.0 * matrices + FAMILIES[shape.family].flops(shape, context)


def flops_exact(shape: Shape, vocab_size: int, context: int, tokens: float) -> float:
    """Training FLOP of ``tokens`` tokens, attention and head included."""
    return exact_flops_per_token(shape, vocab_size, context) * tokens
