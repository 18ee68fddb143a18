"""The shape solver: the model whose non-embedding N meets a target. Standard library only."""

from __future__ import annotations

import math

from pipeline.accounting import Shape, non_embedding_params

TOLERANCE = 0.01  # |N / target - 1| that a solved shape keeps


def heads(d_model: int, head_width: int) -> int:
    """The number of heads that divides d_model and comes nearest to heads of ``head_width``."""
    wanted = max(1.0, d_model / head_width)
    small = [h for h in range(1, math.isqrt(d_model) + 1) if d_model % h == 0]
    divisors = [*small, *(d_model // h for h in small)]
    return min(divisors, key=lambda h: (abs(math.log(h / wanted)), h))


def solve(
    target: float, aspect: float, head_width: int, max_layers: int,
    family: str = "transformer", reuse: int = 1, ff_ratio: float = 4.0,
) -> Shape | None:  # fmt: skip
    """The shape of a family nearest to ``aspect`` = d_model / n_layer with N within 1 %.

    Returns None where no shape of at most ``max_layers`` layers meets the target. A recurrent
    transformer's N and layers are those before ``reuse``.
    """
    if family == "lstm":
        return _lstm(target, aspect, max_layers)
    kind = family, reuse if family == "recurrent" else 1
    return _transformer(target, aspect, head_width, max_layers, ff_ratio, kind)


def _widths(limit: int) -> list[int]:
    """Residual widths worth trying: finer steps for small models, hardware-friendly for large."""
    return [*range(4, 64, 4), *range(64, 512, 8), *range(512, 2048, 32), *range(2048, limit, 128)]


def _transformer(
    target: float, aspect: float, head_width: int, max_layers: int, ff_ratio: float,
    kind: tuple[str, int],
) -> Shape | None:  # fmt: skip
    """Nearest to d_ff = ``ff_ratio`` d_model, too; the width moves in hardware-friendly steps and
    d_ff, within a factor of two, takes up the rest. ``kind`` is family and reuse."""
    best: tuple[float, Shape] | None = None
    for d_model in _widths(32768):
        per_layer = (4 + 2 * ff_ratio) * d_model * d_model
        ideal = target / per_layer
        for n_layer in {math.floor(ideal), math.ceil(ideal)} & set(range(1, max_layers + 1)):
            grain = 4 if d_model >= 32 else 1  # small models need every step to come within 1 %
            d_ff = grain * round((target / (2 * d_model * n_layer) - 2 * d_model) / grain)
            if not 0 < ff_ratio / 2 * d_model <= d_ff <= 2 * ff_ratio * d_model:
                continue
            shape = Shape(n_layer, d_model, d_ff, heads(d_model, head_width), *kind)
            if abs(non_embedding_params(shape) / target - 1) > TOLERANCE:
                continue
            # A d_ff off its ratio costs little (Kaplan et al. 2020, fig. 5), so it weighs less.
            cost = abs(math.log(d_model / n_layer / aspect)) + 0.5 * abs(
                math.log(d_ff / (ff_ratio * d_model))
            )
            if best is None or cost < best[0]:
                best = (cost, shape)
    return best[1] if best else None


def _lstm(target: float, aspect: float, max_layers: int) -> Shape | None:
    """The width alone meets the target, rounded ever more coarsely the wider it is."""
    best: tuple[float, Shape] | None = None
    for n_layer in range(1, max_layers + 1):
        ideal = math.sqrt(target / (8 * n_layer))
        grain = 2 ** max(0, math.floor(math.log2(max(ideal, 1.0))) - 7)  # within 0.4 %
        shape = Shape(n_layer, grain * max(1, round(ideal / grain)), 0, 0, "lstm")
        if abs(non_embedding_params(shape) / target - 1) > TOLERANCE:
            continue
        cost = abs(math.log(shape.d_model / n_layer / aspect))
        if best is None or cost < best[0]:
            best = (cost, shape)
    return best[1] if best else None
