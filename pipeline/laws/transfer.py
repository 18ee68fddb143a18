r"""The loss on another text against the loss on the training text: a straight line.

Kaplan et al. 2020 (section 3.2.2, fig. 8) find that the loss on other texts depends on the training
text's alone, and is nearly a constant above it; slope and offset are both fitted here. With L_c the
loss at the centre, theta = (q, p):  L' = q + p (L/L_c - 1).
"""

from __future__ import annotations

import numpy as np

from pipeline.laws.affine import AffineLaw
from pipeline.laws.base import Floats, Kind, Parameter, Runs, Selection, Values
from pipeline.laws.selection import every_run


class Transfer(AffineLaw):
    """L' = k + s L."""

    name = "transfer"
    title = "Transfer of the loss to another text"
    formula = r"L'(L) = k + s\, L"
    citation = "Kaplan et al. 2020, arXiv:2001.08361, section 3.2.2"
    use = "The loss on another text at a given loss on the training text."
    failure = "Texts that only large models learn to read: the line bends where they begin to."
    target = "evaluation_loss"
    inputs = ("loss",)
    sizes_together = True  # of every text, for the intervals of all to rest on the same draws
    parameters = (
        Parameter("k", "k", "loss on the other text at loss 0", "nats/token", Kind.OFFSET),
        Parameter("s", "s", "how much of a gain transfers", "1", Kind.SLOPE),
    )

    def column(self, x: Floats) -> Floats:
        return np.expm1(x[0])

    def shifted(self, theta: Floats, centre: Floats) -> Floats:
        slope = theta[..., 1] * np.exp(-centre[0])
        return np.stack([theta[..., 0] - theta[..., 1] + slope, slope], axis=-1)

    def values(self, theta: Floats) -> dict[str, Floats]:
        return {"k": theta[..., 0] - theta[..., 1], "s": theta[..., 1]}

    def theta(self, values: Values) -> Floats:
        k, s = (np.asarray(values[name], dtype=float) for name in ("k", "s"))
        return np.stack(np.broadcast_arrays(k + s, s), axis=-1)

    def start_box(self, y: Floats) -> tuple[Floats, Floats]:
        low, high = np.exp(y.min()), np.exp(y.max())
        return np.array([low, 0.2 * low]), np.array([high, 1.0 * high])

    def select(self, runs: Runs) -> Selection:
        """All runs."""
        return every_run(
            runs, "All included runs: the loss on the other text depends on the loss alone."
        )

    def backtest_order(self, runs: Runs) -> Floats:
        """The lowest losses are the furthest out."""
        return 1 / runs.loss


LAW = Transfer()
