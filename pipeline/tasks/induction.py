"""Copying: random tokens, then the same once more (Olsson et al. 2022, arXiv:2209.11895).

What follows a token cannot be known from the training text, only from where it stood before.
"""

from __future__ import annotations

import numpy as np

from pipeline.tasks.items import Items, Material

LONGEST = 32  # tokens that are repeated, where the context has room
TOKENS = 2048  # of all windows


def items(_name: str, material: Material) -> Items:
    """Tokens that occur in the text, drawn uniformly; asked is the second copy but its first."""
    length = min(LONGEST, (material.context + 1) // 2)
    pool = np.flatnonzero(material.counts)
    if material.text.end_of_text is not None:
        pool = pool[pool != material.text.end_of_text]
    rows = max(1, TOKENS // (2 * length))
    drawn = np.random.default_rng([material.seed, 1]).choice(pool, (rows, length))
    question = np.full((rows, 2 * length - 1), -1)
    question[:, length:] = np.arange(rows * (length - 1)).reshape(rows, -1)
    return Items(np.hstack([drawn, drawn]).astype(np.int64), question)
