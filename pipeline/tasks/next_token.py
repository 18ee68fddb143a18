"""The likeliest next token of validation text: of all tokens, or of those of some frequency.

The frequency is that in the whole validation text. Rare tokens are learnt late: the error by
frequency shows which of them a fall of the loss is about.
"""

from __future__ import annotations

import numpy as np

from pipeline.tasks.items import Items, Material, refuse_few


def items(name: str, material: Material) -> Items:
    """``top1`` asks for every token, ``rank_100`` for those of ranks 11 to 100 by frequency."""
    targets = material.windows[:, 1:]
    asked = np.ones(targets.shape, bool)
    if name != "top1":
        last = int(name.removeprefix("rank_"))
        # Ties go to the smaller id, so that ranks are the same everywhere.
        ranks = np.empty(material.vocab_size, np.int64)
        ranks[np.argsort(-material.counts, kind="stable")] = np.arange(material.vocab_size)
        found = ranks[targets]
        asked = (found < last) & (found >= (last // 10 if last > 10 else 0))
    refuse_few(int(asked.sum()), "are in the validation text; raise corpus.validation_bytes")
    question = np.full(targets.shape, -1)
    question[asked] = np.arange(asked.sum())
    return Items(material.windows, question)
