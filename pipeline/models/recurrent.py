"""The transformer that uses its weights again: universal transformer (Dehghani et al. 2019).

The stack of ``n_layer`` blocks is applied ``reuse`` times to the same stream (Kaplan et al. 2020,
section 3.1.1 and fig. 17): a transformer of n_layer times reuse layers whose weights are tied.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from pipeline.models.transformer import Transformer


class Recurrent(Transformer):
    """A transformer whose stack of blocks is applied ``shape.reuse`` times."""

    def layers(self) -> Iterable[nn.Module]:
        return [*self.blocks] * self.shape.reuse
