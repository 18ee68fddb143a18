"""The executor: ready jobs -> submissions, files and states -> finished jobs."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.utils import (
    format_cli_arg,
    join_cli_args,
)

from . import jobs, verdict
from .backends import backend
from .follow import Follower, Watched, take_up
from .frozen import freeze_workflow
from .registry import Record, Registry
from .request import Request
from .scheduler import Full, Unreachable
from .settings import check
from .submission import Submitter, Work, parts

ROOM = 30.0  # seconds between asking a full scheduler
OFTEN = 1.0  # seconds between looks at the files of jobs while they come in
CALM = 10.0  # and at most, where Snakemake is not told otherwise

Packs = Sequence[Sequence[JobExecutorInterface]]  # allocations, each with the jobs that share it


class Executor(RemoteExecutor):
    """Runs Snakemake jobs as jobs of submitit; see the package's README."""

    # Jobs that found no room; here, too, as the base's thread looks before __post_init__ is done.
    backlog: Sequence[tuple[Request, Sequence[JobExecutorInterface]]] = ()

    def __post_init__(self) -> None:
        self.settings = self.workflow.executor_settings
        check(self.settings)
        # submitit reads the signal when it is imported, here and in the jobs.
        os.environ["SUBMITIT_PREEMPT_SIGNAL"] = self.settings.signal
        root = Path.cwd() / ".snakemake" / "submitit"
        self.registry = Registry(root)
        self.backend = backend(self.settings, self.say)
        self.frozen = freeze_workflow(
            self.settings.freeze.split(), self.workflow.main_snakefile, self.workflow.configfiles,
            root / "frozen",
        )  # fmt: skip
        # An own list: the base empties its while it polls, and Ctrl-C may come then.
        self.living: dict[str, SubmittedJobInfo] = {}
        self._changing = threading.Lock()
        self.follower = Follower(
            self.registry, self.backend, self.settings, self.say, self.logger.warning
        )
        environment = self.frozen.environment() if self.frozen else {}
        self.submitter = Submitter(self.registry, self.backend, self.settings, environment)
        self._check_requests()
        self._full_until = 0.0
        self.found = self._take_up()
        self.registry.sweep()

    def say(self, line: str) -> None:
        """A line for people."""
        self.logger.info(line)

    def _check_requests(self) -> None:
        """Refuse what a rule asks for before any job of any rule is submitted."""
        rules: dict[str, JobExecutorInterface] = {}
        for job in self.workflow.dag.needrun_jobs():
            if not job.is_local:
                rules.setdefault(job.name, job)
        for job in rules.values():
            jobs.check(job, self.settings.signal_lead, self.backend.options())

    def _take_up(self) -> dict[str, Record]:
        """Key -> record of the jobs of earlier processes that are still alive."""
        alive = take_up(self.registry, self.backend, self.settings.cluster, self.say)
        if alive:
            wanted = {jobs.key(job) for job in self.workflow.dag.needrun_jobs()}
            self.say(f"Taking up {len(wanted & set(alive))} living jobs of an earlier run.")
            if idle := [record.job_id for key, record in alive.items() if key not in wanted]:
                self.say(
                    f"{len(idle)} other jobs of an earlier run are alive and not asked for now: "
                    f"{' '.join(idle[:20])}{' ...' if len(idle) > 20 else ''}"
                )
        return alive

    def run_job(self, job: JobExecutorInterface) -> None:
        self.run_jobs([job])

    def run_jobs(self, ready: list[JobExecutorInterface]) -> None:
        """Submit ready jobs: those with equal requests as one array, those alive not again."""
        waiting: dict[Request, list[JobExecutorInterface]] = {}
        for job in ready:
            self.run_job_pre(job)
            try:
                asked = self._asked(job)
            except WorkflowError as error:  # what could not be told before its inputs were there
                self.report_job_error(SubmittedJobInfo(job), msg=f"{error} ")
                continue
            record = self._taken_up(job)
            if record is not None:
                self._watch(job, Watched(record, asked, self.format_job_exec(job)))
            else:
                waiting.setdefault(asked, []).append(job)
        for asked, group in waiting.items():
            for part in parts(group, asked.jobs_per_allocation, self.backend.array_size()):
                self._submit_as_room_is(asked, part)

    def _taken_up(self, job: JobExecutorInterface) -> Record | None:
        """The living job of an earlier run that does this job; one of another recipe is ended."""
        record = self.found.pop(jobs.key(job), None)
        if record is None or self.registry.find(record.key) != record:
            return None
        if record.recipe == jobs.recipe(job):
            return record
        self.say(
            f"Job {record.job_id} of an earlier run makes the same with another command or other "
            "params: it is cancelled, and submitted anew."
        )
        self.backend.cancel([record])
        self.registry.remove(record.key)
        return None

    def _submit_as_room_is(self, asked: Request, packs: Packs) -> None:
        """Submit all that the scheduler takes at once; the rest in smaller parts, or later."""
        if time.monotonic() < self._full_until:
            self._put_off(asked, packs)
            return
        try:
            self._submit(asked, packs)
        except Full as error:
            half = len(packs) // 2
            if half:
                self._submit_as_room_is(asked, packs[:half])
                self._submit_as_room_is(asked, packs[half:])
                return
            self._put_off(asked, packs)
            self._full_until = time.monotonic() + ROOM
            told = str(error).splitlines()[0]
            self.say(f"No room in the queue beside {len(self.living)} jobs ({told}); waiting.")
        except WorkflowError as error:
            if not self.living:
                raise  # nothing is under way: better end than fail job by job
            for job in [job for pack in packs for job in pack]:
                self.report_job_error(SubmittedJobInfo(job), msg=f"{error} ")

    def _put_off(self, asked: Request, packs: Packs) -> None:
        with self._changing:  # Snakemake's thread adds, the one that follows jobs takes
            self.backlog = [*self.backlog, *((asked, pack) for pack in packs)]

    def _submit_backlog(self) -> None:
        """Submit what found no room before, all of one request together."""
        if not self.backlog or time.monotonic() < self._full_until:
            return
        with self._changing:
            taken, self.backlog = self.backlog, ()
        waiting: dict[tuple[Request, int], list[Sequence[JobExecutorInterface]]] = {}
        for asked, pack in taken:
            waiting.setdefault((asked, len(pack)), []).append(pack)
        for (asked, _), packs in waiting.items():
            self._submit_as_room_is(asked, packs)

    def _submit(self, asked: Request, packs: Packs) -> None:
        work = [
            [
                Work(jobs.key(job), tuple(jobs.targets(job)), self.format_job_exec(job),
                     jobs.recipe(job))
                for job in pack
            ]
            for pack in packs
        ]  # fmt: skip
        started = self.submitter.submit(asked, work)
        for pack, watched in zip(packs, started):
            for job, following in zip(pack, watched):
                self._watch(job, following)
        ids = [watched[0].record.job_id for watched in started]
        self.say(f"Submitted {sum(map(len, packs))} x {asked.name} as {_range(ids)}.")

    def _watch(self, job: JobExecutorInterface, watched: Watched) -> None:
        info = SubmittedJobInfo(job, external_jobid=watched.record.job_id, aux={"job": watched})
        with self._changing:
            self.living[watched.record.key] = info
        self.next_seconds_between_status_checks = OFTEN
        self.report_job_submission(info)

    def _asked(self, job: JobExecutorInterface) -> Request:
        return jobs.asked(job, self.settings.signal_lead, self.backend.options())

    def get_snakefile(self) -> str:
        return str((self.frozen and self.frozen.path(self.snakefile)) or self.snakefile)

    def additional_general_args(self) -> str:
        """Arguments after Snakemake's own, which they override.

        The config as it was at submission; and the light scheduler: a job has one step to plan.
        """
        arguments = ["--scheduler greedy"]
        if self.frozen:
            files = [Path(self.frozen.path(p) or p) for p in self.workflow.configfiles]
            arguments.append(format_cli_arg("--configfiles", files, skip=not files))
        return join_cli_args(arguments)

    def get_job_args(self, job: JobExecutorInterface, **_: Any) -> str:
        """As the base's, but for files of a folder that is gone when a job starts its next turn."""
        asked = self._asked(job)
        arguments = RealExecutor.get_job_args(self, job, cores=asked.cpus_per_task)
        listed = self.registry.submissions.parent / "inputs" / f"{jobs.key(job)}.txt"
        listed.parent.mkdir(exist_ok=True)
        listed.write_text("".join(f"{file}\n" for file in job.get_wait_for_files()))
        return join_cli_args([arguments, format_cli_arg("--wait-for-files-file", listed)])

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report the jobs that have ended; yields those that have not."""
        self._submit_backlog()  # also where none is active: others' jobs may have filled the queue
        if not active_jobs:
            return
        outcomes = self.follower.ended([info.aux["job"] for info in active_jobs])
        for info in active_jobs:
            outcome = outcomes.get(info.aux["job"].record.key)
            if outcome is None:
                yield info
            elif again := self._continued(info, outcome):
                yield again
            else:
                self._end(info, outcome)
        calm = self.workflow.remote_execution_settings.seconds_between_status_checks or CALM
        pause = min(self.next_seconds_between_status_checks * 1.3, calm)
        self.next_seconds_between_status_checks = OFTEN if outcomes else pause

    async def sleep(self) -> None:
        """Until the next look, or until there is more to look at, or nothing any more."""
        begun, before = time.monotonic(), len(self.active_jobs)
        while time.monotonic() - begun < (self.next_seconds_between_status_checks or OFTEN):
            await asyncio.sleep(0.2)
            if not self.wait or len(self.active_jobs) > before:
                return

    def _continued(
        self, info: SubmittedJobInfo, outcome: dict[str, Any]
    ) -> SubmittedJobInfo | None:
        """An interrupted job under its new id; None where it has ended."""
        record = info.aux["job"].record
        try:
            again = self.submitter.again(info.aux["job"], outcome)
        except Full:
            return info  # tried again at the next look
        except WorkflowError as error:
            self.logger.error(str(error))
            return None
        if again is None:
            return None
        self.say(
            f"Job {record.job_id} ({record.rule}): {outcome['cause']}, and not requeued by the "
            f"cluster; submitted again as {again.record.job_id}."
        )
        info = SubmittedJobInfo(info.job, again.record.job_id, {"job": again})
        with self._changing:
            self.living[record.key] = info
        return info

    def _end(self, info: SubmittedJobInfo, outcome: dict[str, Any]) -> None:
        watched: Watched = info.aux["job"]
        with self._changing:
            self.living.pop(watched.record.key, None)
        succeeded = outcome["ended"] == "succeeded"
        self.registry.remove(watched.record.key, "" if succeeded else outcome["ended"])
        if succeeded:
            self.report_job_success(info)
            return
        log = verdict.log(self.registry.folder(watched.record), watched.record)
        message = verdict.message(watched.record, watched.request, outcome, log, self.settings)
        self.report_job_error(info, msg=message, aux_logs=[str(log)])

    def cancel(self) -> None:
        """Ctrl-C, or an error of Snakemake itself."""
        self.backend.end()
        with self._changing:
            infos = list(self.living.values())
        if self.settings.on_interrupt == "detach" and infos:
            self.say(f"Leaving {len(infos)} jobs running; the same command takes them up again.")
        else:
            self.cancel_jobs(infos)
            self._abandon_unclosed()
        self.shutdown()

    def _abandon_unclosed(self) -> None:
        """End what was cut off in the middle of its submission."""
        for tag in self.registry.unclosed():
            try:
                self.backend.abandon(tag, [])
            except (Unreachable, OSError) as error:
                self.say(f"Jobs with the comment {tag} may be left ({error}); the next start of "
                         "Snakemake ends them.")  # fmt: skip
                return
            self.registry.close(tag)

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
            self.registry.remove(record.key, "cancelled")
        self.say(f"Cancelled {len(records)} jobs.")


def _range(ids: Sequence[str]) -> str:
    return f"job {ids[0]}" if len(ids) == 1 else f"jobs {ids[0]} to {ids[-1]}"
