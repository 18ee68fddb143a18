"""The transformer, in Kaplan's form (2020, section 2.1).

Decoder only, learned positions, layer norm before each part, GELU, the unembedding tied to the
token embedding. Gains but no biases, so that the matrices are all of N.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import Tensor, nn
from torch.nn import functional

from pipeline.accounting import Shape
from pipeline.models.operations import Operations
from pipeline.models.parts import LanguageModel, Norm, dropped


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
        stream = stream + dropped(self.attention_out(mixed), dropout)
        inner = functional.gelu(self.feedforward_in(self.feedforward_norm(stream)))
        return stream + dropped(self.feedforward_out(inner), dropout)


class Transformer(LanguageModel):
    """A decoder-only transformer."""

    def new_layer(self) -> nn.Module:
        return Block(self.shape, self.dropout, self.operations)

    def layers(self) -> Iterable[nn.Module]:
        """The blocks in the order in which they are applied."""
        return self.blocks

    def writers(self) -> Collection[nn.Module]:
        blocks = [module for module in self.modules() if isinstance(module, Block)]
        return {b.attention_out for b in blocks} | {b.feedforward_out for b in blocks}

    def hidden(self, tokens: Tensor) -> Tensor:
        context = tokens.shape[1]
        stream = self.dropped(self.tokens(tokens) + self.positions.weight[:context])
        stream = stream.view(-1, self.shape.d_model)
        for block in self.layers():
            stream = self.through(block, stream, context)
        return self.norm(stream)
