"""The word before a punctuation mark or line end, from all the text before it (as in LAMBADA).

Paperno et al. 2016, arXiv:1606.06031, ask for the last word of passages that people can only guess
from the whole passage; here passages are not chosen. Words stand in the second half of a window,
so that half a context is before them. All tokens of a word must be right.
"""

from __future__ import annotations

import numpy as np

from pipeline.tasks.items import Items, Material, refuse_few

ENDS = ".,;:!?\n"


def items(_name: str, material: Material) -> Items:
    """Whole words of the validation text that end a clause, sentence or line."""
    windows = material.windows
    question = np.full((len(windows), windows.shape[1] - 1), -1)
    texts = {id_: material.tokenizer.decode([id_]) for id_ in np.unique(windows).tolist()}
    count = 0
    for row, window in enumerate(windows.tolist()):
        for first, end in words([texts[id_] for id_ in window]):
            if first > len(window) // 2:
                question[row, first - 1 : end - 1] = count
                count += 1
    refuse_few(count, "are in the validation text; raise corpus.validation_bytes")
    return Items(windows, question)


def words(tokens: list[str]) -> list[tuple[int, int]]:
    """Where words begin and end (half-open) that one of ``ENDS`` follows."""
    found: list[tuple[int, int]] = []
    first: int | None = None
    spaced = False  # does a token of letters begin a word here, or go on with one?
    for place, text in enumerate(tokens):
        if (text.startswith(" ") and text[1:].isalpha()) or (spaced and text.isalpha()):
            first = place
        elif not text.isalpha():
            if first is not None and text.startswith(tuple(ENDS)):
                found.append((first, place))
            first = None
        spaced = text[-1:].isspace()
    return found
