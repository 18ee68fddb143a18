"""What papers claim, and how each claim is measured in the experiments of a replication.

Standard library only: every parse of the Snakefile reads what is needed from here. The claims
themselves stand in ``pipeline/claims/<paper>/<topic>.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipeline.claims import kaplan2020
from pipeline.findings.needs import Needs


@dataclass(frozen=True)
class Paper:
    """A paper's title, the modules of its claims, and all that these read of each experiment."""

    title: str
    topics: tuple[str, ...]
    reads: Mapping[str, Needs]

    def read_from(self, fitted: Mapping[str, Collection[str]]) -> dict[str, Needs]:
        """Experiment -> what is read of it, for those that a study has, by the laws it fits."""
        return {name: needs for name, needs in self.reads.items() if name in fitted}


PAPERS = {"kaplan2020": Paper(kaplan2020.TITLE, kaplan2020.TOPICS, kaplan2020.READS)}


def modules(paper: str) -> list[str]:
    """The full names of the modules that hold a paper's claims."""
    return [f"pipeline.claims.{paper}.{topic}" for topic in PAPERS[paper].topics]
