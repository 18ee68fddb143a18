"""Where jobs run: SLURM, processes of this machine, or this process. The only user of submitit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from snakemake_interface_common.exceptions import WorkflowError

from .registry import Record
from .request import Request
from .runner import Runner
from .scheduler import FULL, UNREACHABLE, Full, Queue, State, Unreachable
from .settings import ExecutorSettings

# What a terminal sends is for Snakemake, which decides what becomes of its jobs.
TERMINAL = (signal.SIGINT, signal.SIGHUP)
FOR_EVER = 10**6  # time limits that submitit lets a job reach: the runner counts its turns itself


class Backend(Protocol):
    """One way to run runners. Job ids are strings; a submission is a folder named by its tag."""

    def options(self) -> frozenset[str]:
        """Long sbatch options known here; empty where they cannot be asked for."""

    def array_size(self) -> int:
        """Most runners of one submission."""

    def submit(self, runners: Sequence[Runner], request: Request, folder: Path) -> list[str]:
        """Start runners under one request; returns their job ids, in order.

        Raises Full where there is no room for so many now, Unreachable where the scheduler did
        not answer for long, WorkflowError where it refuses; then none has been started.
        """

    def states(self, records: Sequence[Record]) -> dict[str, State]:
        """Job id -> state. Raises Unreachable where they cannot be told now."""

    def cancel(self, records: Sequence[Record]) -> None:
        """End living jobs."""

    def end(self) -> None:
        """Wait for nothing any more: the user wants to leave."""

    def abandon(self, tag: str, kept: Sequence[str]) -> None:
        """End living jobs of a submission that have no record: all but the job ids ``kept``."""


class Slurm:
    """Jobs of a SLURM cluster, in arrays."""

    def __init__(self, settings: ExecutorSettings, say: Callable[[str], None]):
        self.settings, self.queue, self.say = settings, Queue(say), say
        self._rate, self._last = threading.Lock(), 0.0
        self._doubtful: dict[str, list[str]] = {}  # tag -> job ids, where an answer was lost
        if shutil.which("sbatch") is None:
            raise WorkflowError(
                "sbatch is not on PATH: start Snakemake on a login node of the cluster, or take "
                "--submitit-cluster local"
            )
        _clear_environment(say)

    def options(self) -> frozenset[str]:
        return self.queue.options

    def array_size(self) -> int:
        return min(self.settings.array_size, self.queue.max_array_size)

    def submit(self, runners: Sequence[Runner], request: Request, folder: Path) -> list[str]:
        def attempt() -> list[str]:
            self._wait_for_rate()
            self.queue.calls += 1
            executor = self._executor(request, folder, len(runners))
            try:
                with redirect_stderr(StringIO()):  # submitit prints what its error says, too
                    return [job.job_id for job in executor.submit_array(list(runners))]
            except RuntimeError as error:  # submitit's: sbatch failed, or its answer makes no sense
                if FULL.search(str(error)):
                    raise Full(str(error).strip()) from error
                if UNREACHABLE.search(str(error)):
                    raise Unreachable(str(error).strip()) from error
                raise WorkflowError(f"rule {request.name}: sbatch refused: {error}") from error

        def again() -> list[str]:
            # The answer may have been lost and not the submission: never the same job twice.
            if found := self.queue.tagged(folder.name):
                self.queue.cancel(found)
            return attempt()

        try:
            return attempt()
        except Unreachable as error:
            self.say(f"Submitting {request.name}: SLURM does not answer ({error}); trying again.")
            self.queue.ending.wait(2)
            ids = self.queue.patiently(f"Submitting {request.name}", again)
            self._doubtful[folder.name] = ids
            return ids

    def _executor(self, request: Request, folder: Path, jobs: int) -> Any:
        from .sbatch import LightExecutor

        # The folder holds no %j: a job that starts at once must find it.
        executor = LightExecutor(folder, max_num_timeout=FOR_EVER)
        executor.update_parameters(**self.parameters(request, folder.name, jobs))
        return executor

    def parameters(self, request: Request, tag: str, jobs: int) -> dict[str, Any]:
        """submitit's parameters for an array of ``jobs`` jobs."""
        several = max(request.nodes, request.tasks, request.tasks_per_node) > 1
        return {
            "job_name": request.name, "time": request.minutes, "comment": tag, "wckey": None,
            "signal_delay_s": self.settings.signal_lead, "stderr_to_stdout": True,
            "array_parallelism": max(jobs, 1),
            # One runner for each allocation; what a command starts beside it shares its resources.
            "srun_args": ["--nodes=1", "--ntasks=1", "--overlap"] if several else [],
            "additional_parameters": {**request.sbatch(), "requeue": True},
        }  # fmt: skip

    def _wait_for_rate(self) -> None:
        with self._rate:
            pause = self._last + 1 / self.settings.submissions_per_second - time.monotonic()
            time.sleep(max(pause, 0.0))
            self._last = time.monotonic()

    def states(self, records: Sequence[Record]) -> dict[str, State]:
        states = self.queue.states(sorted({record.job_id for record in records}))
        # A submission whose answer was lost may be accepted late, beside the one that took its
        # place: it waits for a command that never comes.
        strays = [
            job
            for job, state in self.queue.seen.items()
            if job not in self._doubtful.get(state.comment, [job]) and not state.over
        ]
        if strays:
            self.queue.cancel(strays)
        return states

    def cancel(self, records: Sequence[Record]) -> None:
        self.queue.cancel(sorted({record.job_id for record in records}))

    def end(self) -> None:
        self.queue.ending.set()

    def abandon(self, tag: str, kept: Sequence[str]) -> None:
        def act() -> None:
            found = [job for job in self.queue.tagged(tag) if job not in kept]
            if found:
                self.queue.cancel(found)

        self.queue.patiently("Looking for jobs of an interrupted submission", act)


class Local:
    """Processes of this machine, each under submitit's local controller."""

    def __init__(self, settings: ExecutorSettings):
        self.settings = settings
        self._jobs: dict[str, Any] = {}  # kept, so that ended controllers are reaped

    def options(self) -> frozenset[str]:
        return frozenset()

    def array_size(self) -> int:
        return 1

    def submit(self, runners: Sequence[Runner], request: Request, folder: Path) -> list[str]:
        import submitit

        if request.nodes > 1:
            raise WorkflowError(f"rule {request.name}: nodes={request.nodes}, but this is one")
        executor = submitit.LocalExecutor(folder, max_num_timeout=FOR_EVER)
        executor.update_parameters(
            timeout_min=request.minutes, signal_delay_s=self.settings.signal_lead,
            gpus_per_node=request.gpus, tasks_per_node=1, stderr_to_stdout=True,
        )  # fmt: skip
        before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)  # the jobs inherit it
        try:
            jobs = [executor.submit(runner) for runner in runners]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._jobs |= {job.job_id: job for job in jobs}
        return [job.job_id for job in jobs]

    def states(self, records: Sequence[Record]) -> dict[str, State]:
        return {
            record.job_id: State("RUNNING" if self._alive(record) else "COMPLETED")
            for record in records
        }

    def _alive(self, record: Record) -> bool:
        if record.job_id in self._jobs:
            return not self._jobs[record.job_id].done()
        if record.host != socket.gethostname():
            raise WorkflowError(
                f"job {record.job_id} of rule {record.rule} runs on {record.host}, where "
                "Snakemake was started before; start it there, or end that job"
            )
        try:
            command = Path(f"/proc/{record.job_id}/cmdline").read_bytes()
        except OSError:
            return False
        return record.tag.encode() in command

    def cancel(self, records: Sequence[Record]) -> None:
        for job_id in {record.job_id for record in records if self._alive(record)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job_id), signal.SIGTERM)

    def end(self) -> None:
        """Nothing: nothing is waited for."""

    def abandon(self, tag: str, kept: Sequence[str]) -> None:
        """Nothing: the record of a local job is written at once."""


class Debug:
    """This process: submission runs the job. Meant for looking at a job with a debugger."""

    def options(self) -> frozenset[str]:
        return frozenset()

    def array_size(self) -> int:
        return 1

    def submit(self, runners: Sequence[Runner], request: Request, folder: Path) -> list[str]:
        del request  # this process has what it has
        import submitit

        jobs = [submitit.DebugExecutor(folder).submit(runner) for runner in runners]
        for job in jobs:
            job.wait()
        return [job.job_id for job in jobs]

    def states(self, records: Sequence[Record]) -> dict[str, State]:
        return {record.job_id: State("COMPLETED") for record in records}

    def cancel(self, records: Sequence[Record]) -> None:
        """Nothing: what was submitted has ended."""

    def end(self) -> None:
        """Nothing: nothing is waited for."""

    def abandon(self, tag: str, kept: Sequence[str]) -> None:
        """Nothing: what was submitted has ended."""


def backend(settings: ExecutorSettings, say: Callable[[str], None]) -> Backend:
    """The backend that the settings name."""
    if settings.cluster == "slurm":
        return Slurm(settings, say)
    return Local(settings) if settings.cluster == "local" else Debug()


def _clear_environment(say: Callable[[str], None]) -> None:
    """Remove variables that would change every job unseen.

    SBATCH_* are stronger than the options of a batch script. SLURM_*, but for the configuration,
    describe the job that Snakemake itself runs in.
    """
    inside = "SLURM_JOB_ID" in os.environ
    found = [
        name
        for name in os.environ
        if name.startswith("SBATCH_")
        or (inside and name.startswith("SLURM_") and name != "SLURM_CONF")
    ]
    for name in found:
        del os.environ[name]
    if any(name.startswith("SBATCH_") for name in found):
        say("Not heeded, as options come from the profile: " + " ".join(sorted(found)))
