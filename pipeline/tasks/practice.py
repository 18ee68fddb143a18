"""Practice text: solved examples of tasks, without those that models are asked.

Small models trained on prose never see sums or spelt words; a share of such lines in their corpus
lets them learn the form, and questions are all of examples that were held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from pipeline.tasks import arithmetic, brackets, spelling
from pipeline.tasks.items import Draw

DRAWS: dict[str, Draw] = {
    "arithmetic": arithmetic.example,
    "brackets": brackets.example,
    "spelling": spelling.example,
}
DOCUMENT = 2048  # bytes, so that every split gets its share


def documents(names: Sequence[str], size: int, seed: int) -> Iterator[str]:
    """Documents of one task each, the tasks in turn; about ``size`` bytes in all."""
    random, left, turn = Random(f"{seed} practice"), size, 0
    while left > 0:
        draw, lines, held = DRAWS[names[turn % len(names)]], [], 0
        while held < min(DOCUMENT, left):
            example = draw(random)
            if not example.tells:
                lines.append(example.line)
                held += len(example.line)
        yield "".join(lines)
        left, turn = left - held, turn + 1
