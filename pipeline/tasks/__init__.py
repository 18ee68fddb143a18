"""The tasks that models are scored on beside the loss: what each is called and what it needs.

Standard library only: every parse of the Snakefile reads this registry. A task's module,
``pipeline/tasks/<module>.py``, has ``items(name, material)``, which makes its questions.
"""

from __future__ import annotations

from dataclasses import dataclass

RECIPE = 1  # raised when a task asks other questions of the same text, or examples change


@dataclass(frozen=True)
class Task:
    """A task: its module, and what a model must have for its questions to be put.

    ``context`` is the least that holds a question even where each byte is a token.
    """

    module: str
    context: int
    reads_text: bool = True  # else any vocabulary does, a synthetic one, too
    vocabulary: int = 2


TASKS: dict[str, Task] = {
    "last_word": Task("last_word", 16),
    "top1": Task("next_token", 2, reads_text=False),
    # Tokens by their place in the order of frequency: up to 10, 11 to 100, and so on.
    **{
        f"rank_{10**k}": Task("next_token", 2, reads_text=False, vocabulary=10 ** (k - 1) + 1)
        for k in range(1, 6)
    },
    "induction": Task("induction", 8, reads_text=False),
    "spelling": Task("spelling", 20),
    "arithmetic": Task("arithmetic", 12),
    "brackets": Task("brackets", 20),
    "minimal_pairs": Task("minimal_pairs", 24),
}
