"""The gradient's noise scale from squared norms at two batch sizes (McCandlish et al. 2018, A.1).

The gradient of a batch of B tokens is G + noise, of covariance Sigma / B. Two batch sizes give
unbiased estimates of |G|^2 and of tr Sigma; their ratio tr Sigma / |G|^2 is the noise scale in
tokens. The ratio of two noisy numbers is biased, so each is averaged over steps by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

PART = 8  # where a batch is computed in one piece, another gradient is that of 1 / PART of it


def squared_norm(gradients: Iterable[Tensor]) -> Tensor:
    """Squared norm of some tensors as one vector, 0-d float64."""
    norms = [torch.linalg.vector_norm(part, dtype=torch.float32) for part in gradients]
    return torch.stack(norms).double().square().sum()


def estimates(small: Tensor, large: Tensor, small_tokens: float, large_tokens: float) -> Tensor:
    """(2,) float64: unbiased estimates of |G|^2 and of tr Sigma, for one token.

    ``small`` and ``large`` are the squared norms of gradients of so many tokens. The larger batch
    may contain the smaller one, and ``small`` may be a mean over several.
    """
    variance = (small - large) / (1 / small_tokens - 1 / large_tokens)
    return torch.stack([large - variance / large_tokens, variance])


def columns(sums: Sequence[float]) -> dict[str, Any]:
    """Columns of contracts.CURVE from the sums of the two estimates and their number.

    All are null without an estimate, and the noise scale is where that of |G|^2 is not positive.
    """
    squared, variance, count = sums
    if not count:
        return {"grad_squared": None, "grad_variance": None, "noise_scale": None}
    scale = variance / squared if squared > 0 else None
    return {
        "grad_squared": squared / count,
        "grad_variance": variance / count,
        "noise_scale": scale,
    }
