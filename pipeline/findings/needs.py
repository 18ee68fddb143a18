"""What of an experiment a figure or the claims of a paper are made from. Standard library only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.laws import named


@dataclass(frozen=True)
class Needs:
    """What is read of one experiment: tables, and laws that must be fitted.

    Fits of ``also`` are read where there are any. A fit of one text, transfer@code, is known by
    the law before the @, too.
    """

    tables: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def met(self, fitted: Collection[str] | None) -> bool:
        """Whether an experiment with these laws has it all; None is an experiment not there."""
        return fitted is not None and all(law in fitted for law in self.laws)

    def laws_among(self, fitted: Collection[str]) -> list[str]:
        """The fits that are read, in the order of ``fitted``."""
        wanted = (*self.laws, *self.also)
        return [law for law in fitted if law in wanted or named(law) in wanted]
