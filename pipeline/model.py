"""The models. A family is one line of FAMILIES and one module with the methods of Transformer.

The transformer is Kaplan's form (2020, section 2.1): decoder only, learned positions, layer norm
before each part, GELU, the unembedding tied to the token embedding. Gains but no biases, so that
the matrices are all of N.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.accounting import Shape
from pipeline.training.operations import PLAIN, Operations

SPREAD = 0.5  # standard deviation of a weight times sqrt(fan-in): docs/training.md


class Norm(nn.Module):
    """Layer norm with a gain and no bias, computed in float32 whatever the model computes in."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, stream: Tensor) -> Tensor:
        """(..., width) -> the same."""
        wide = functional.layer_norm(stream.float(), self.weight.shape, self.weight.float())
        return wide.to(stream.dtype)


class Block(nn.Module):
    """One layer on the residual stream: attention, then feed-forward, each after a norm."""

    def __init__(self, shape: Shape, dropout: float, operations: Operations):
        super().__init__()
        self.n_head, self.dropout, self.operations = shape.n_head, dropout, operations
        self.attention_norm = Norm(shape.d_model)
        self.qkv = nn.Linear(shape.d_model, 3 * shape.d_model, bias=False)
        self.attention_out = nn.Linear(shape.d_model, shape.d_model, bias=False)
        self.feedforward_norm = Norm(shape.d_model)
        self.feedforward_in = nn.Linear(shape.d_model, shape.d_ff, bias=False)
        self.feedforward_out = nn.Linear(shape.d_ff, shape.d_model, bias=False)

    def forward(self, stream: Tensor, context: int) -> Tensor:
        """(batch * context, d_model) -> the same, with this layer's two parts added."""
        dropout = self.dropout if self.training else 0.0
        qkv = self.qkv(self.attention_norm(stream))
        mixed = self.operations.attention(qkv, context, self.n_head, dropout)
        stream = stream + _dropped(self.attention_out(mixed), dropout)
        inner = functional.gelu(self.feedforward_in(self.feedforward_norm(stream)))
        return stream + _dropped(self.feedforward_out(inner), dropout)


class Transformer(nn.Module):
    """A decoder-only transformer; with PLAIN operations, the readable reference of itself."""

    def __init__(
        self,
        shape: Shape,
        vocab_size: int,
        context: int,
        dropout: float = 0.0,
        operations: Operations = PLAIN,
    ):
        super().__init__()
        self.shape, self.dropout, self.operations = shape, dropout, operations
        self.tokens = nn.Embedding(vocab_size, shape.d_model)
        self.positions = nn.Embedding(context, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape, dropout, operations) for _ in range(shape.n_layer))
        self.norm = Norm(shape.d_model)

    def matrices(self) -> list[Tensor]:
        """The weights that N counts: they take the width-scaled learning rate and the decay."""
        return [m.weight for m in self.modules() if isinstance(m, nn.Linear)]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal with standard deviation 0.5 / sqrt(fan-in); gains are one.

        The matrices that write into the residual stream are smaller by sqrt(2 n_layer), so that
        the stream's variance does not grow with depth (GPT-2, Radford et al. 2019, section 2.3).
        """
        writers = {b.attention_out for b in self.blocks} | {b.feedforward_out for b in self.blocks}
        for module in self.modules():
            if isinstance(module, Norm):
                nn.init.ones_(module.weight)
            elif isinstance(module, nn.Linear | nn.Embedding):
                spread = SPREAD / module.weight.shape[1] ** 0.5
                if module in writers:
                    spread /= (2 * self.shape.n_layer) ** 0.5
                nn.init.normal_(module.weight, 0.0, spread, generator=generator)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean loss in nats/token of (batch, context) int64 tokens and their successors."""
        return self.operations.cross_entropy(
            self.hidden(tokens), self.tokens.weight, targets.reshape(-1)
        )

    def losses(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Loss in nats of each token, (batch, context) float32."""
        logits = (self.hidden(tokens) @ self.tokens.weight.t()).float()
        return functional.cross_entropy(logits, targets.reshape(-1), reduction="none").view(
            targets.shape
        )

    def hidden(self, tokens: Tensor) -> Tensor:
        """States after the last norm, (batch * context, d_model)."""
        context = tokens.shape[1]
        stream = self.tokens(tokens) + self.positions.weight[:context]
        stream = _dropped(stream, self.dropout if self.training else 0.0)
        stream = stream.view(-1, self.shape.d_model)
        for block in self.blocks:
            stream = block(stream, context)
        return self.norm(stream)


def _dropped(values: Tensor, probability: float) -> Tensor:
    return functional.dropout(values, probability) if probability else values


FAMILIES = {
    "transformer": Transformer,
}
