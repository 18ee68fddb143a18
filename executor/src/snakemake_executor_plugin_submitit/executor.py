"""The executor: ready jobs -> submissions, files and states -> finished jobs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.utils import (
    encode_target_jobs_cli_args,
    format_cli_arg,
    join_cli_args,
)

from . import verdict
from .backends import backend
from .frozen import freeze
from .registry import Record, Registry, job_key
from .request import Request, request
from .runner import Command, Runner
from .scheduler import STUCK, UNKNOWN, State, Unreachable
from .settings import check

FIRST_LOOK = 15.0  # seconds until the first look at the queue; later ones are further apart
SETTLE = 10.0  # seconds for which a job must be over before its missing outcome counts
OFTEN = 1.0  # seconds between looks at the files of jobs while they come in


@dataclass
class Watched:
    """A living job as this process follows it."""

    record: Record
    request: Request
    shell: str
    turns_said: int = 0
    over_since: float | None = None
    warned: str = ""


class Executor(RemoteExecutor):
    """Runs Snakemake jobs as jobs of submitit; see the package's README."""

    def __post_init__(self) -> None:
        self.settings = self.workflow.executor_settings
        check(self.settings)
        # submitit reads the signal when it is imported, here and in the jobs.
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = self.settings.signal
        root = Path.cwd() / ".snakemake" / "submitit"
        self.registry = Registry(root)
        self.backend = backend(self.settings, self.say)
        self.frozen = self._freeze(root / "frozen")
        # An own list: the base empties its while it polls, and Ctrl-C may come then.
        self.living: dict[str, SubmittedJobInfo] = {}
        self._changing = threading.Lock()
        self._looked, self._pause = time.monotonic(), FIRST_LOOK
        self._check_requests()
        self.registry.sweep()
        self.found = self._take_up()

    def say(self, line: str) -> None:
        """A line for people."""
        self.logger.info(line)

    # -- before the first job ---------------------------------------------------------------

    def _freeze(self, store: Path) -> Any:
        if not self.settings.freeze.split():
            return None
        root = Path.cwd()
        configs = [Path(path).absolute() for path in self.workflow.configfiles]
        inside = [str(path.relative_to(root)) for path in configs if path.is_relative_to(root)]
        frozen = freeze({*self.settings.freeze.split(), *inside}, root, store)
        if frozen.path(self.workflow.main_snakefile) is None:
            raise WorkflowError(
                f"--submitit-freeze: {self.settings.freeze!r} lacks the Snakefile "
                f"{os.path.relpath(self.workflow.main_snakefile)}; add it"
            )
        return frozen

    def _check_requests(self) -> None:
        """Refuse what a rule asks for before any job of any rule is submitted."""
        rules: dict[str, JobExecutorInterface] = {}
        for job in self.workflow.dag.needrun_jobs():
            if not job.is_local:
                rules.setdefault(job.name, job)
        for job in rules.values():
            self._request(job)

    def _take_up(self) -> dict[str, Record]:
        """Key -> record of the jobs of earlier processes that are still alive, or have ended well.

        What an interrupted submission left without a record is ended: nobody could follow it.
        """
        records = list(self.registry)
        for tag in self.registry.unclosed():
            self.backend.abandon(tag, [r.job_id for r in records if r.tag == tag])
            self.registry.close(tag)
        foreign = [r.cluster for r in records if r.cluster != self.settings.cluster]
        if foreign:
            raise WorkflowError(
                f"{len(foreign)} jobs of an earlier run live on {foreign[0]!r}, not "
                f"{self.settings.cluster!r}; run with --submitit-cluster {foreign[0]} to take "
                f"them up, or end them and delete {self.registry.jobs}"
            )
        states = self._states_at_last(records) if records else {}
        alive: dict[str, Record] = {}
        for record in records:
            if not states[record.job_id].over and states[record.job_id] != UNKNOWN:
                alive[record.key] = record
            else:
                self.registry.remove(record.key)
        if alive:
            wanted = {self._key(job) for job in self.workflow.dag.needrun_jobs()}
            self.say(f"Taking up {len(wanted & set(alive))} living jobs of an earlier run.")
            if idle := [record.job_id for key, record in alive.items() if key not in wanted]:
                self.say(
                    f"{len(idle)} other jobs of an earlier run are alive and not asked for now: "
                    f"{' '.join(idle[:20])}{' ...' if len(idle) > 20 else ''}"
                )
        return alive

    def _states_at_last(self, records: Sequence[Record]) -> dict[str, State]:
        while True:
            try:
                return self.backend.states(records)
            except Unreachable as error:
                self.say(f"SLURM does not answer ({error}); trying again in 10 s.")
                time.sleep(10)

    # -- submission -------------------------------------------------------------------------

    def run_job(self, job: JobExecutorInterface) -> None:
        self.run_jobs([job])

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Submit ready jobs: those with equal requests as one array, those alive not again."""
        waiting: dict[Request, list[JobExecutorInterface]] = {}
        for job in jobs:
            self.run_job_pre(job)
            asked = self._request(job)
            record = self.found.pop(self._key(job), None)
            if record is not None and self.registry.find(record.key) == record:
                self._watch(job, Watched(record, asked, self.format_job_exec(job)))
            else:
                waiting.setdefault(asked, []).append(job)
        for asked, group in waiting.items():
            self._submit_group(asked, group)

    def _submit_group(self, asked: Request, jobs: Sequence[JobExecutorInterface]) -> None:
        """Pack jobs that share allocations, then submit packs of one size together."""
        packs = list(_chunks(jobs, asked.jobs_per_allocation))
        sizes = sorted({len(pack) for pack in packs}, reverse=True)
        for size in sizes:
            alike = [pack for pack in packs if len(pack) == size]
            for part in _chunks(alike, self.backend.array_size()):
                work = [[(job, self.format_job_exec(job)) for job in pack] for pack in part]
                self._submit(asked, work)

    def _submit(
        self, asked: Request, packs: Sequence[Sequence[tuple[JobExecutorInterface, str]]]
    ) -> None:
        runners_of = [
            tuple(Command(self._key(job), shell) for job, shell in pack) for pack in packs
        ]
        ids, tag = self._start(asked, runners_of)
        for pack, job_id in zip(packs, ids):
            for job, shell in pack:
                record = self._record(job, job_id, tag)
                self.registry.add(record)
                self._watch(job, Watched(record, asked, shell))
        self.registry.close(tag)
        self.say(f"Submitted {sum(map(len, packs))} x {asked.name} as {_range(ids)}.")

    def _start(
        self, asked: Request, packs: Sequence[tuple[Command, ...]], earlier: int = 0,
        interruption: str = "",
    ) -> tuple[list[str], str]:  # fmt: skip
        """Submit packs of commands; returns their job ids and the tag of the submission."""
        tag = f"{asked.name}-{uuid.uuid4().hex[:12]}"
        folder = self.registry.open(tag, [command.key for pack in packs for command in pack])
        environment = tuple(self.frozen.environment().items()) if self.frozen else ()
        runners = [
            Runner(
                commands=pack, folder=str(folder), minutes=asked.minutes,
                signal_name=self.settings.signal, lead=self.settings.signal_lead,
                turns=self.settings.turns, environment=environment, earlier=earlier,
                interruption=interruption,
            )
            for pack in packs
        ]  # fmt: skip
        try:
            return self.backend.submit(runners, asked.shared_by(len(packs[0])), folder), tag
        except Unreachable as error:
            raise WorkflowError(f"rule {asked.name}: SLURM does not answer: {error}") from error
        except WorkflowError:
            self.registry.close(tag)
            raise

    def _record(self, job: JobExecutorInterface, job_id: str, tag: str, earlier: int = 0) -> Record:
        return Record(
            self._key(job), job_id, tag, job.name, tuple(self._targets(job)),
            self.settings.cluster, socket.gethostname(), earlier,
        )  # fmt: skip

    def _watch(self, job: JobExecutorInterface, watched: Watched) -> None:
        info = SubmittedJobInfo(job, external_jobid=watched.record.job_id, aux={"job": watched})
        with self._changing:
            self.living[watched.record.key] = info
        self.next_seconds_between_status_checks = OFTEN
        self.report_job_submission(info)

    def _targets(self, job: JobExecutorInterface) -> list[str]:
        return [*encode_target_jobs_cli_args(job.get_target_spec()), *map(str, job.output)]

    def _key(self, job: JobExecutorInterface) -> str:
        return job_key(self._targets(job))

    def _request(self, job: JobExecutorInterface) -> Request:
        resources = {name: job.resources.get(name) for name in list(job.resources.keys())}
        return request(job.name, resources, job.threads, self.backend.options())

    # -- the command of a job ---------------------------------------------------------------

    def get_snakefile(self) -> str:
        if getattr(self, "frozen", None):
            return str(self.frozen.path(self.snakefile))
        return self.snakefile

    def additional_general_args(self) -> str:
        """The config as it was at submission; the last --configfiles counts."""
        if not self.frozen:
            return ""
        files = [self.frozen.path(path) or path for path in self.workflow.configfiles]
        return format_cli_arg("--configfiles", [Path(file) for file in files], skip=not files)

    def get_job_args(self, job: JobExecutorInterface, **_: Any) -> str:
        """As the base's, but for files of a folder that is gone when a job starts its next turn."""
        asked = self._request(job)
        arguments = RealExecutor.get_job_args(self, job, cores=asked.cpus_per_task)
        listed = self.registry.submissions.parent / "inputs" / f"{self._key(job)}.txt"
        listed.parent.mkdir(exist_ok=True)
        listed.write_text("".join(f"{file}\n" for file in job.get_wait_for_files()))
        return join_cli_args([arguments, format_cli_arg("--wait-for-files-file", listed)])

    # -- following jobs ---------------------------------------------------------------------

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report the jobs that have ended; yields those that have not."""
        if not active_jobs:
            return
        outcomes = self._outcomes(info.aux["job"].record for info in active_jobs)
        states = self._look(active_jobs)
        ended = 0
        for info in active_jobs:
            watched: Watched = info.aux["job"]
            outcome = outcomes.get(watched.record.key)
            if outcome is None:
                outcome = self._without_outcome(watched, states.get(watched.record.job_id))
            if outcome is None:
                yield info
            elif again := self._continued(info, outcome):
                yield again
            else:
                ended += 1
                self._end(info, outcome)
        calm = min(self.next_seconds_between_status_checks * 1.3, self._calmest)
        self.next_seconds_between_status_checks = OFTEN if ended else calm

    async def sleep(self) -> None:
        """Until the next look, or until there is more to look at, or nothing any more."""
        begun, before = time.monotonic(), len(self.active_jobs)
        while time.monotonic() - begun < (self.next_seconds_between_status_checks or OFTEN):
            await asyncio.sleep(0.2)
            if not self.wait or len(self.active_jobs) > before:
                return

    @property
    def _calmest(self) -> float:
        return self.workflow.remote_execution_settings.seconds_between_status_checks or 10

    def _outcomes(self, records: Iterable[Record]) -> dict[str, dict[str, Any]]:
        """Key -> outcome, by one listing of each submission's folder."""
        found: dict[str, dict[str, Any]] = {}
        for folder in {self.registry.folder(record) for record in records}:
            try:
                folder.chmod(folder.stat().st_mode)  # makes a network file system look anew
                names = [path.name for path in folder.iterdir()]
            except OSError:
                continue
            for name in names:
                if name.startswith("outcome-"):
                    key = name.removeprefix("outcome-").removesuffix(".json")
                    found[key] = json.loads((folder / name).read_text())
        return found

    def _look(self, active: Sequence[SubmittedJobInfo]) -> dict[str, State]:
        """States of all jobs, when it is time for a look; nothing otherwise."""
        if time.monotonic() - self._looked < self._pause:
            return {}
        records = [info.aux["job"].record for info in active]
        try:
            states = self.backend.states(records)
        except (Unreachable, OSError) as error:
            self.say(f"The states of jobs are unknown for now ({error}); they go on.")
            states = {}
        self._looked = time.monotonic()
        self._pause = min(self._pause * 1.5, self.settings.status_seconds)
        for info in active:
            self._tell(info.aux["job"], states.get(info.aux["job"].record.job_id))
        return states

    def _tell(self, watched: Watched, state: State | None) -> None:
        """Say what a user wants to know of a job that goes on."""
        record = watched.record
        turns = verdict.turns(self.registry.folder(record), record.job_id)
        for turn in turns[watched.turns_said :]:
            if turn.get("interruption"):
                self.say(
                    f"Job {record.job_id} ({record.rule}): {turn['interruption']}; turn "
                    f"{turn['turn']} of at most {self.settings.turns} on {turn['host']}."
                )
        watched.turns_said = len(turns)
        if state and state.name == "PENDING" and state.reason in STUCK:
            if watched.warned != state.reason:
                self.logger.warning(
                    f"Job {record.job_id} ({record.rule}) will not start: {state.reason}; "
                    f"{STUCK[state.reason]}."
                )
            watched.warned = state.reason

    def _without_outcome(self, watched: Watched, state: State | None) -> dict[str, Any] | None:
        """The outcome of a job that left none, once it is surely over."""
        if state is None:
            return None
        if not state.over and state != UNKNOWN:
            watched.over_since = None
            return None
        now = time.monotonic()
        if watched.over_since is None:
            # Its last files may be on their way, or the scheduler about to requeue it.
            watched.over_since = now
        if now - watched.over_since < SETTLE:
            self._pause = SETTLE / 2
            return None
        folder = self.registry.folder(watched.record)
        return verdict.from_state(state, verdict.turns(folder, watched.record.job_id))

    def _continued(
        self, info: SubmittedJobInfo, outcome: dict[str, Any]
    ) -> SubmittedJobInfo | None:
        """Submit an interrupted job again where the scheduler has not; None where it has ended."""
        watched: Watched = info.aux["job"]
        record = watched.record
        if outcome["ended"] not in verdict.INTERRUPTED:
            return None
        turns = verdict.turns(self.registry.folder(record), record.job_id)
        used = record.earlier + len(turns)
        if used >= self.settings.turns:
            outcome["ended"] = "turns"
            return None
        cause = outcome.get("cause") or next(
            (turn["ended"] for turn in reversed(turns) if "ended" in turn), "node_failure"
        )
        ids, tag = self._start(
            watched.request, [(Command(record.key, watched.shell),)], used, cause
        )
        again = Record(
            record.key, ids[0], tag, record.rule, record.targets, record.cluster,
            socket.gethostname(), used,
        )  # fmt: skip
        self.registry.add(again)
        self.registry.close(tag)
        self.say(
            f"Job {record.job_id} ({record.rule}): {cause}, and not requeued by the cluster; "
            f"submitted again as {ids[0]}."
        )
        info = SubmittedJobInfo(
            info.job, ids[0], {"job": Watched(again, watched.request, watched.shell)}
        )
        with self._changing:
            self.living[record.key] = info
        return info

    def _end(self, info: SubmittedJobInfo, outcome: dict[str, Any]) -> None:
        watched: Watched = info.aux["job"]
        with self._changing:
            self.living.pop(watched.record.key, None)
        self.registry.remove(watched.record.key)
        if outcome["ended"] == "succeeded":
            self.report_job_success(info)
            return
        log = verdict.log(self.registry.folder(watched.record), watched.record)
        message = verdict.message(watched.record, watched.request, outcome, log, self.settings)
        self.report_job_error(info, msg=message, aux_logs=[str(log)])

    # -- the end ----------------------------------------------------------------------------

    def cancel(self) -> None:
        """Ctrl-C, or an error of Snakemake itself."""
        with self._changing:
            infos = list(self.living.values())
        if self.settings.on_interrupt == "detach" and infos:
            self.say(f"Leaving {len(infos)} jobs running; the same command takes them up again.")
        else:
            self.cancel_jobs(infos)
        self.shutdown()

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        records = [info.aux["job"].record for info in active_jobs]
        if not records:
            return
        try:
            self.backend.cancel(records)
        except (Unreachable, OSError) as error:
            ids = " ".join(sorted({record.job_id for record in records}))
            self.logger.error(f"Could not cancel the jobs ({error}); cancel them by: scancel {ids}")
            return
        for record in records:
            self.registry.remove(record.key)
        self.say(f"Cancelled {len(records)} jobs.")


def _chunks(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _range(ids: Sequence[str]) -> str:
    return f"job {ids[0]}" if len(ids) == 1 else f"jobs {ids[0]} to {ids[-1]}"
