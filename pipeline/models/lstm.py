"""The LSTM language model (Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate).

``n_layer`` layers of width d_model in the frame of the transformer: each reads the residual stream
after a norm and adds its states to it, and the unembedding is the embedding. Without the stream a
stack of four hardly trains (docs/training.md). There are no positions: order is what the state
remembers, which starts at zero with each window. The gates alone have biases, which N leaves out as
it does gains.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.models.operations import Operations
from pipeline.models.parts import LanguageModel, Norm, dropped

FORGET = 1.0  # first bias of the forget gate: to remember (Jozefowicz et al. 2015)


class Layer(nn.Module):
    """One layer; its gates stand in the order input, forget, candidate, output, as in PyTorch.

    Dropout acts on its states on their way into the stream, not on those in time (Zaremba et al.
    2014).
    """

    def __init__(self, width: int, dropout: float, operations: Operations):
        super().__init__()
        self.dropout, self.operations = dropout, operations
        self.norm = Norm(width)
        self.inputs = nn.Linear(width, 4 * width, bias=False)
        self.state = nn.Linear(width, 4 * width, bias=False)
        self.bias = nn.Parameter(torch.empty(4 * width))

    def forward(self, stream: Tensor) -> Tensor:
        """(context, batch, d_model) -> the same, with this layer's states added."""
        states = self.operations.lstm(
            self.norm(stream), self.inputs.weight, self.state.weight, self.bias
        )
        return stream + dropped(states, self.dropout if self.training else 0.0)

    def remember(self) -> None:
        """Set the biases: zero, and FORGET at the forget gate."""
        with torch.no_grad():
            self.bias.zero_()
            self.bias.chunk(4)[1].fill_(FORGET)


class LSTM(LanguageModel):
    """A stack of LSTM layers on a residual stream."""

    def new_layer(self) -> nn.Module:
        return Layer(self.shape.d_model, self.dropout, self.operations)

    def initialise(self, generator: torch.Generator) -> None:
        """As every family, with the forget gates open."""
        super().initialise(generator)
        for module in self.modules():
            if isinstance(module, Layer):
                module.remember()

    def hidden(self, tokens: Tensor) -> Tensor:
        stream = self.dropped(self.tokens(tokens.t()))
        for layer in self.blocks:
            stream = self.through(layer, stream)
        return self.norm(stream).transpose(0, 1).reshape(-1, self.shape.d_model)
