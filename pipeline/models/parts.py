"""What all families of models share: the embedding, tied to the unembedding, the norm, the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipeline.accounting import FAMILIES, Shape
from pipeline.models.operations import PLAIN, Operations

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


class LanguageModel(nn.Module, ABC):
    """Token embedding, positions where the family has them, its layers, and the loss.

    With PLAIN operations, the readable reference of itself. Where it is ``recomputed``, a layer
    leaves only its input for the backward pass, and is computed anew there (Chen et al. 2016).
    ``faster``, if any, computes layers in passes with gradients: from a layer and its inputs.
    """

    recomputed = False
    faster: Callable[..., Tensor] | None = None

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
        if FAMILIES[shape.family].positions:
            self.positions = nn.Embedding(context, shape.d_model)
        # The layers are what is shared out between processes, one by one.
        self.blocks = nn.ModuleList(self.new_layer() for _ in range(shape.n_layer))
        self.norm = Norm(shape.d_model)

    @abstractmethod
    def new_layer(self) -> nn.Module:
        """One layer of this shape, its weights not drawn yet."""

    @abstractmethod
    def hidden(self, tokens: Tensor) -> Tensor:
        """States after the last norm, (batch * context, d_model), of (batch, context) tokens."""

    def through(self, layer: nn.Module, *inputs: Tensor | int) -> Tensor:
        """A layer's output; computed anew in the backward pass, its dropout draws the same."""
        if not torch.is_grad_enabled():
            return layer(*inputs)
        if self.recomputed:
            random = bool(self.dropout)
            return checkpoint(layer, *inputs, use_reentrant=False, preserve_rng_state=random)
        return (self.faster or _as_it_is)(layer, *inputs)

    def matrices(self) -> list[Tensor]:
        """The weights that N counts: they take the width-scaled learning rate and the decay."""
        return [m.weight for m in self.modules() if isinstance(m, nn.Linear)]

    def writers(self) -> Collection[nn.Module]:
        """The matrices that write into a residual stream, drawn smaller by sqrt(2 layers)."""
        return ()

    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal with standard deviation 0.5 / sqrt(fan-in); gains are one.

        The matrices that write into the residual stream are smaller by sqrt(2 layers), so that
        the stream's variance does not grow with depth (GPT-2, Radford et al. 2019, section 2.3).
        """
        writers = self.writers()
        for module in self.modules():
            if isinstance(module, Norm):
                nn.init.ones_(module.weight)
            elif isinstance(module, nn.Linear | nn.Embedding):
                spread = SPREAD / module.weight.shape[1] ** 0.5
                if module in writers:
                    spread /= (2 * self.shape.depth) ** 0.5
                nn.init.normal_(module.weight, 0.0, spread, generator=generator)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean loss in nats/token of (batch, context) int64 tokens and their successors."""
        return self.operations.cross_entropy(
            self.hidden(tokens), self.tokens.weight, targets.reshape(-1)
        )

    def losses(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Loss in nats of each token, (batch, context) float32."""
        logits = self.logits(tokens)
        return functional.cross_entropy(logits, targets.reshape(-1), reduction="none").view(
            targets.shape
        )

    def logits(self, tokens: Tensor) -> Tensor:
        """Logarithms, up to a constant, of the successors' probabilities: (tokens, vocabulary)."""
        return (self.hidden(tokens) @ self.tokens.weight.t()).float()

    def dropped(self, values: Tensor) -> Tensor:
        """``values`` with this model's dropout, in training only."""
        return dropped(values, self.dropout if self.training else 0.0)


def _as_it_is(layer: nn.Module, *inputs: Tensor | int) -> Tensor:
    return layer(*inputs)


def dropped(values: Tensor, probability: float) -> Tensor:
    """Dropout; at zero nothing is drawn."""
    return functional.dropout(values, probability) if probability else values
