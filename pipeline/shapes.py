"""The shape solver: the transformer whose non-embedding N meets a target. Standard library only."""

from __future__ import annotations

import math

from pipeline.accounting import Shape, non_embedding_params

TOLERANCE = 0.01  # |N / target - 1| that a solved shape keeps


def heads(d_model: int, head_width: int) -> int:
    """The number of heads that divides d_model and comes nearest to heads of ``head_width``."""
    wanted = max(1.0, d_model / head_width)
    divisors = [h for h in range(1, d_model + 1) if d_model % h == 0]
    return min(divisors, key=lambda h: (abs(math.log(h / wanted)), h))


def _widths(limit: int) -> list[int]:
    """Residual widths worth trying: finer steps for small models, hardware-friendly for large."""
    return [*range(4, 64, 4), *range(64, 512, 8), *range(512, 2048, 32), *range(2048, limit, 128)]


def solve(target: float, aspect: float, head_width: int, max_layers: int) -> Shape | None:
    """The shape nearest to ``aspect`` = d_model / n_layer and d_ff = 4 d_model with N within 1 %.

    The residual width moves in hardware-friendly steps and d_ff takes up the rest. Returns None
    where no shape of at most ``max_layers`` layers meets the target.
    """
    best: tuple[float, Shape] | None = None
    for d_model in _widths(32768):
        per_layer = 12 * d_model * d_model
        ideal = target / per_layer
        for n_layer in {math.floor(ideal), math.ceil(ideal)} & set(range(1, max_layers + 1)):
            grain = 4 if d_model >= 32 else 1  # small models need every step to come within 1 %
            d_ff = grain * round((target / (2 * d_model * n_layer) - 2 * d_model) / grain)
            if not 2 * d_model <= d_ff <= 8 * d_model:
                continue
            shape = Shape(n_layer, d_model, d_ff, heads(d_model, head_width))
            if abs(non_embedding_params(shape) / target - 1) > TOLERANCE:
                continue
            # A d_ff off 4 d_model costs little (Kaplan et al. 2020, fig. 5), so it weighs less.
            cost = abs(math.log(d_model / n_layer / aspect)) + 0.5 * abs(
                math.log(d_ff / (4 * d_model))
            )
            if best is None or cost < best[0]:
                best = (cost, shape)
    return best[1] if best else None
