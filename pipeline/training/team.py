"""Who trains together: one process alone, or several that stay in step. Standard library only.

Everything that must be the same in all processes goes through a team: which rows of a batch are
whose, what the first process found on disk, when to stop. The first process alone writes, logs and
holds locks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Ended(Exception):  # noqa: N818 - an ending, not an error
    """The first process ended the work of all, and has said why."""


def share(count: int, index: int, of: int) -> range:
    """The part ``index`` of ``count`` things in a row, cut as evenly as whole things can be.

    The first parts are the larger ones; the last are empty where there are more parts than things.
    """
    least, larger = divmod(count, of)
    start = index * least + min(index, larger)
    return range(start, start + least + (index < larger))


class Alone:
    """A team of one: every decision is its own."""

    rank, size = 0, 1
    agreed = False  # is an error that ends the work known to all processes?

    @property
    def first(self) -> bool:
        """Is this the process that writes?"""
        return self.rank == 0

    def part(self, count: int) -> range:
        """Which of ``count`` things in a row are this process's."""
        return share(count, self.rank, self.size)

    def told(self, find: Callable[[], T]) -> T:
        """What ``find`` gives in the first process, the only one that calls it.

        Where it raises there, the others raise Ended.
        """
        return find()

    def stopping(self, step: int, signal: int | None) -> int | None:  # noqa: ARG002 - others need it
        """The signal at which all end after ``step``; called by all at every step."""
        return signal

    def gathered(self, value: T) -> list[T]:
        """Every process's value, in the order of ranks."""
        return [value]

    def close(self) -> None:
        """Part, all at once."""
