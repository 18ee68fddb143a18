"""What has become of submitted jobs: by the files they leave, and by the scheduler's queue."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from . import verdict
from .backends import Backend
from .registry import Record, Registry
from .request import Request
from .scheduler import STUCK, UNKNOWN, State, Unreachable
from .settings import ExecutorSettings

FIRST_LOOK = 15.0  # seconds until the first look at the queue; later ones are further apart
LOOKS = 6  # of which one must tell of every job
PATIENCE = 10.0  # seconds between asking a scheduler that does not answer
SETTLE = 10.0  # seconds for which a job must be over before its missing outcome counts


@dataclass
class Watched:
    """A living job as this process follows it."""

    record: Record
    request: Request
    shell: str
    turns_said: int = 0
    over_since: float | None = None
    warned: str = ""


class Follower:
    """Follows all jobs of one Snakemake process.

    A job that ends in order leaves an outcome, found by one listing of its submission's folder.
    The scheduler is asked, for all jobs at once and ever less often, for what ends otherwise.
    """

    def __init__(
        self, registry: Registry, backend: Backend, settings: ExecutorSettings,
        say: Callable[[str], None], warn: Callable[[str], None],
    ):  # fmt: skip
        self.registry, self.backend, self.settings = registry, backend, settings
        self.say, self.warn = say, warn
        self._looked, self._pause = time.monotonic(), min(FIRST_LOOK, settings.status_seconds)

    def ended(self, jobs: Sequence[Watched]) -> dict[str, dict[str, Any]]:
        """Key -> outcome of the jobs that are over."""
        outcomes = self._left({job.record.key: job for job in jobs})
        going = [job for job in jobs if job.record.key not in outcomes]
        if going and time.monotonic() - self._looked >= self._pause:
            for job, state in zip(going, self._look(going)):
                outcome = self._without_outcome(job, state)
                if outcome is not None:
                    outcomes[job.record.key] = outcome
        return outcomes

    def _left(self, jobs: dict[str, Watched]) -> dict[str, dict[str, Any]]:
        """The outcomes that jobs have left."""
        found = {}
        for folder in {self.registry.folder(job.record) for job in jobs.values()}:
            try:
                folder.chmod(folder.stat().st_mode)  # makes a network file system look anew
                paths = [p for p in folder.iterdir() if p.name.startswith("outcome-")]
            except OSError:
                continue
            for path in paths:
                key = path.stem.removeprefix("outcome-")
                if key in jobs and self.registry.folder(jobs[key].record) == folder:
                    with contextlib.suppress(OSError, ValueError):  # it may be on its way
                        found[key] = json.loads(path.read_text())
        return found

    def _look(self, jobs: Sequence[Watched]) -> list[State | None]:
        """The states of jobs; None where they cannot be told now."""
        states: dict[str, State] = {}
        try:
            states = self.backend.states([job.record for job in jobs])
        except (Unreachable, OSError) as error:
            self.say(f"The states of jobs are unknown for now ({error}); they go on.")
        self._looked = time.monotonic()
        self._pause = min(self._pause * 1.5, self.settings.status_seconds)
        found = [states.get(job.record.job_id) for job in jobs]
        for job, state in zip(jobs, found):
            self._tell(job, state)
        return found

    def _tell(self, job: Watched, state: State | None) -> None:
        """Say what a user wants to know of a job that goes on."""
        record = job.record
        turns = verdict.turns(self.registry.folder(record), record.job_id)
        for turn in turns[job.turns_said :]:
            if turn.get("interruption"):
                self.say(
                    f"Job {record.job_id} ({record.rule}): {turn['interruption']}; turn "
                    f"{turn['turn']} of at most {self.settings.turns} on {turn['host']}."
                )
        job.turns_said = len(turns)
        if state and state.name == "PENDING" and state.reason in STUCK:
            if job.warned != state.reason:
                self.warn(
                    f"Job {record.job_id} ({record.rule}) will not start: {state.reason}; "
                    f"{STUCK[state.reason]}."
                )
            job.warned = state.reason

    def _without_outcome(self, job: Watched, state: State | None) -> dict[str, Any] | None:
        """The outcome of a job that left none, once it is surely over."""
        if state is None:
            return None
        if not state.over and state != UNKNOWN:
            job.over_since = None
            return None
        # Its last files may be on their way, or the scheduler about to requeue it.
        now = time.monotonic()
        job.over_since = job.over_since or now
        if now - job.over_since < SETTLE and state.name != "CANCELLED":
            self._pause = SETTLE / 2
            return None
        folder = self.registry.folder(job.record)
        return verdict.from_state(state, verdict.turns(folder, job.record.job_id))


def take_up(
    registry: Registry, backend: Backend, cluster: str, say: Callable[[str], None]
) -> dict[str, Record]:  # fmt: skip
    """Key -> record of the jobs of earlier processes that are still alive; the others are removed.

    What an interrupted submission left without a record is ended: nobody could follow it. Waits
    for a scheduler that does not answer: without its word, jobs would be submitted twice. Raises
    WorkflowError where jobs live on another cluster than is asked for.
    """
    records = list(registry)
    if foreign := [record.cluster for record in records if record.cluster != cluster]:
        raise WorkflowError(
            f"{len(foreign)} jobs of an earlier run are recorded on {foreign[0]!r}, not "
            f"{cluster!r}; run with --submitit-cluster {foreign[0]} to take them up, or end them "
            f"and delete {registry.jobs}"
        )
    for tag in registry.unclosed():
        backend.abandon(tag, [record.job_id for record in records if record.tag == tag])
        registry.close(tag)
    states: dict[str, State] = {}
    looks = 0
    while any(record.job_id not in states for record in records):
        try:
            states = backend.states(records)
            looks += 1
        except Unreachable as error:
            say(f"SLURM does not answer ({error}); trying again in {PATIENCE:.0f} s.")
        if looks == LOOKS:  # the queue has forgotten some, and the accounting stays silent
            states = dict.fromkeys((record.job_id for record in records), UNKNOWN) | states
        elif any(record.job_id not in states for record in records):
            time.sleep(PATIENCE)
    alive: dict[str, Record] = {}
    for record in records:
        state = states[record.job_id]
        # A preempted job or one of a lost node may be about to be requeued: it is followed.
        if state == UNKNOWN or (state.over and state.name not in ("PREEMPTED", "NODE_FAIL")):
            registry.remove(record.key)
        else:
            alive[record.key] = record
    return alive
