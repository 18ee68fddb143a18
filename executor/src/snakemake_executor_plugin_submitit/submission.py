"""Commands -> jobs of a backend, with a record of each for the Snakemake process after this one."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from snakemake_interface_common.exceptions import WorkflowError

from . import verdict
from .backends import Backend
from .follow import Watched
from .registry import Record, Registry
from .request import Request
from .runner import Command, Runner
from .scheduler import Full, Unreachable
from .settings import ExecutorSettings

T = TypeVar("T")


def parts(jobs: Sequence[T], together: int, most: int) -> Iterator[list[list[T]]]:
    """Jobs as submissions of at most ``most`` allocations.

    Each allocation holds ``together`` jobs; what is left over is a submission of its own.
    """
    packs = [list(jobs[i : i + together]) for i in range(0, len(jobs), together)]
    for _, alike in groupby(packs, len):
        same = list(alike)
        yield from (same[i : i + most] for i in range(0, len(same), most))


@dataclass(frozen=True)
class Work:
    """A Snakemake job to submit: its key, what it makes, the command that runs it, its recipe."""

    key: str
    targets: tuple[str, ...]
    shell: str
    recipe: str = ""


@dataclass(frozen=True)
class Submitter:
    """Submits allocations; ``environment`` are variables of all their commands."""

    registry: Registry
    backend: Backend
    settings: ExecutorSettings
    environment: Mapping[str, str]

    def submit(self, asked: Request, packs: Sequence[Sequence[Work]]) -> list[list[Watched]]:
        """Start one allocation for each pack, all under one submission; packs are of one size.

        Raises Full where there is no room for so many now, WorkflowError where they are refused.
        """
        return self._start(asked, packs, 0, "")

    def again(self, job: Watched, outcome: dict[str, Any]) -> Watched | None:
        """Submit an interrupted job once more where the scheduler has not requeued it.

        None where it has ended for good; ``outcome`` says so then.
        """
        record = job.record
        if outcome["ended"] not in verdict.INTERRUPTED:
            return None
        turns = verdict.turns(self.registry.folder(record), record.job_id)
        earlier = record.earlier + len(turns)
        if earlier >= self.settings.turns:
            outcome["ended"] = "turns"
            return None
        told = [turn["ended"] for turn in turns if "ended" in turn]
        outcome["cause"] = outcome.get("cause") or (told[-1] if told else "node_failure")
        work = Work(record.key, record.targets, job.shell, record.recipe)
        ((watched,),) = self._start(job.request, [[work]], earlier, outcome["cause"])
        return watched

    def _start(
        self, asked: Request, packs: Sequence[Sequence[Work]], earlier: int, interruption: str
    ) -> list[list[Watched]]:
        tag = f"{asked.name}-{uuid.uuid4().hex[:12]}"
        folder = self.registry.open(tag, [work.key for pack in packs for work in pack])
        runners = [
            Runner(
                commands=tuple(Command(work.key, work.shell) for work in pack),
                folder=str(folder), minutes=asked.minutes, signal_name=self.settings.signal,
                lead=self.settings.signal_lead, turns=self.settings.turns,
                environment=tuple(self.environment.items()), earlier=earlier,
                interruption=interruption or max(self.registry.cause(w.key) for w in pack),
            )
            for pack in packs
        ]  # fmt: skip
        try:
            ids = self.backend.submit(runners, asked.shared_by(len(packs[0])), folder)
        except Unreachable as error:  # it may have been accepted: its tag stays for take_up
            raise WorkflowError(f"rule {asked.name}: SLURM does not answer: {error}") from error
        except (Full, WorkflowError):
            self.registry.discard(tag)
            raise
        started = []
        for pack, job_id in zip(packs, ids):
            records = [
                Record(work.key, job_id, tag, asked.name, work.targets, self.settings.cluster,
                       socket.gethostname(), earlier, work.recipe)
                for work in pack
            ]  # fmt: skip
            for record in records:
                self.registry.add(record)
            started.append([Watched(r, asked, w.shell) for r, w in zip(records, pack)])
        self.registry.close(tag)
        return started
