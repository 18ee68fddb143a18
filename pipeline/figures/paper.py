"""Figures of a paper, drawn from several experiments of a study that replicates it.

Standard library only: every parse of the Snakefile reads these registries. A figure's module is
``pipeline/figures/<paper>/<name>.py``, its caption ``workflow/report/<paper>/<name>.rst``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pipeline.findings.needs import Needs


@dataclass(frozen=True)
class PaperFigure:
    """One figure of a paper: its title, and what it is drawn from of each experiment, by name.

    Of ``optional`` experiments it is drawn without those that the study lacks.
    """

    title: str
    needs: Mapping[str, Needs]
    optional: Mapping[str, Needs] = field(default_factory=dict)

    def drawn_from(self, fitted: Mapping[str, Collection[str]]) -> dict[str, Needs] | None:
        """Experiment -> what is read of it, by the laws that each fits; None if some is missing."""
        if not all(needs.met(fitted.get(name)) for name, needs in self.needs.items()):
            return None
        further = {n: needs for n, needs in self.optional.items() if needs.met(fitted.get(n))}
        return {**self.needs, **further}
