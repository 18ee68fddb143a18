"""What runs in an allocation: the commands of its jobs, and good order when it is taken away.

Standard library only, and it loads nothing of Snakemake: a job's start is paid by each job.

A job's life is a sequence of turns. A turn ends early by preemption, at the time limit or with
its node; the scheduler (or the executor) then starts the next one. Each turn leaves a line in
``<job id>.turns.jsonl``; each command that ended for good leaves ``outcome-<key>.json``, and is
not run again. Both lie in the folder of the submission.

The commands of a job are told why their last turn ended by the environment variable
JOB_INTERRUPTION: preempted, timeout, requeued, or node_failure (the turn ended without a word).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import allocation

PATIENCE = 10.0  # seconds between asking commands to end by SIGTERM and killing them
MARGIN = 15.0  # seconds of the lead time, beside PATIENCE, that are kept for ending and requeueing
UNSURE = 75.0  # seconds by which the scheduler may send the signal of the time limit early
POLL = 0.2  # seconds between looks at the commands: bounds what a short job waits for
AGAIN = 5.0  # seconds after which a command that has not ended is told again


@dataclass(frozen=True)
class Command:
    """One Snakemake job: its key, and the shell command that runs it."""

    key: str
    shell: str


@dataclass
class Runner:
    """Run commands side by side until all have ended or the turn is over. Pickled by submitit."""

    commands: tuple[Command, ...]
    folder: str  # of the submission
    minutes: int
    signal_name: str
    lead: int  # seconds
    turns: int  # at most
    environment: tuple[tuple[str, str], ...] = ()
    earlier: int = 0  # turns under other job ids
    interruption: str = ""  # why the last of them ended

    def __call__(self) -> None:
        Turn(self).run()

    def checkpoint(self) -> Any:
        """Asked by submitit when the turn is over: the same work again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Turn:
    """One turn of a runner on this machine."""

    def __init__(self, runner: Runner):
        self.runner, self.begun = runner, time.time()
        self.folder = Path(runner.folder)
        import submitit

        environment = submitit.JobEnvironment()
        self.job_id, self.cluster = environment.job_id, environment.cluster
        self.signal = getattr(signal, f"SIG{runner.signal_name}")
        self.came: list[int] = []  # signals, in the order in which they came
        self.ending = False  # a command that ends now was told to
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.record = self.folder / f"{self.job_id}.turns.jsonl"
        self.number, self.before = self._history()

    def _history(self) -> tuple[int, str]:
        """This turn's number, from 1, and why the one before ended ("" where there is none)."""
        told = lines(self.record)
        # A turn that was killed with its node has begun and left no word of its end.
        last = told[-1] if told else {}
        begun = [line for line in told if "begun" in line]
        before = last.get("ended", "node_failure") if begun else self.runner.interruption
        if before in ("requeued", "node_failure") and begun and self.cluster == "slurm":
            before = allocation.last_end(self.job_id) or before
        return self.runner.earlier + len(begun) + 1, before

    def run(self) -> None:
        """Run what has no outcome yet; returns when all have one, else leaves by SystemExit."""
        left = self._open()
        self._note(turn=self.number, begun=self.begun, host=socket.gethostname(),
                   interruption=self.before)  # fmt: skip
        if self.number > self.runner.turns:
            self._settle("turns", None, *(command.key for command in left))
            return
        handlers = {n: signal.getsignal(n) for n in (self.signal, signal.SIGTERM, signal.SIGINT)}
        for number in handlers:
            signal.signal(number, lambda number, _frame: self.came.append(number))
        try:
            for command in left:
                self.processes[command.key] = self._start(command)
            if self._wait() and not self._open():
                self._note(ended="done")
            else:
                self._interrupted(self.came[0], handlers[self.signal])
        finally:
            self._send(signal.SIGKILL)  # none outlives its turn, whatever went wrong
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_IGN if self.came else handler)

    def _start(self, command: Command) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **dict(self.runner.environment)}
        environment["JOB_INTERRUPTION"] = self.before
        environment["JOB_TURN"] = str(self.number)
        environment.pop("SNAKEMAKE_PROFILE", None)
        output = None
        if len(self.runner.commands) > 1:  # each its own log: lines of many would mix
            output = (self.folder / f"{command.key}.log").open("ab")
        ignored = self.signal

        def prepare() -> None:
            # The shell and Snakemake in between must outlive the signal; a program that knows
            # what to do with it sets its own handler, the others go on.
            signal.signal(ignored, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what this process is kept from

        try:
            return subprocess.Popen(
                ["/bin/bash", "-c", command.shell], env=environment, stdout=output,
                stderr=output and subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, preexec_fn=prepare,
            )  # fmt: skip
        finally:
            if output:
                output.close()

    def _wait(self, seconds: float | None = None) -> bool:
        """Wait until all commands have ended (True); or a signal came, or the seconds are over."""
        until = None if seconds is None else time.monotonic() + seconds
        while self._collect():
            if self.came if until is None else time.monotonic() > until:
                return False
            time.sleep(POLL)
        return True

    def _collect(self) -> bool:
        """Take note of commands that have ended; are there any left?"""
        for key, process in list(self.processes.items()):
            status = process.poll()
            if status is not None:
                del self.processes[key]
                self._ended(key, status)
        return bool(self.processes)

    def _ended(self, key: str, status: int) -> None:
        if status == 0:
            self._settle("succeeded", 0, key)
        elif self.ending or self.came:
            return  # it goes on in the next turn
        elif allocation.out_of_memory():
            self._settle("out_of_memory", status, key)
        else:
            self._settle("failed", status, key)

    def _settle(self, ended: str, status: int | None, *keys: str) -> None:
        """Leave the outcome of commands: the executor looks for these files."""
        for key in keys:
            _write(self._outcome(key), {
                "ended": ended, "status": status, "turn": self.number,
                "host": socket.gethostname(), "seconds": round(time.time() - self.begun, 3),
            })  # fmt: skip

    def _open(self) -> list[Command]:
        """The commands that have no outcome yet."""
        return [c for c in self.runner.commands if not self._outcome(c.key).exists()]

    def _outcome(self, key: str) -> Path:
        return self.folder / f"outcome-{key}.json"

    def _note(self, **line: Any) -> None:
        with self.record.open("a") as record:
            record.write(json.dumps({"at": time.time(), **line}) + "\n")

    def _interrupted(self, number: int, requeue: Any) -> None:
        """A signal came. ``requeue`` is submitit's handler: it checkpoints and requeues."""
        told = allocation.job() if self.cluster == "slurm" else {}
        late = (allocation.limit(told) or self.runner.minutes * 60) - self.runner.lead - UNSURE
        over = number == self.signal and time.time() - self.begun > late
        cause = "timeout" if over else "requeued"
        if allocation.preempted(told):
            cause = "preempted"
        self._note(ended=cause)  # at once: there may be no time later
        if told.get("JobState") in allocation.TAKEN_BACK:
            self._leave(number)
        elif number == self.signal or (number == signal.SIGTERM and cause == "preempted"):
            # A job that ends by itself while it is preempted would not be requeued.
            self._give_way(number, cause, requeue)
        else:
            self._leave(number)

    def _give_way(self, number: int, cause: str, requeue: Any) -> None:
        """The turn is about to be over: let the commands end in order, then ask for the next."""
        print(f"turn {self.number}: {cause}; telling the commands", file=sys.stderr, flush=True)
        self.ending = True
        lead = self.runner.lead
        heeded = self._ask(number, max(lead - MARGIN - PATIENCE, lead / 2))
        self._end_all()
        open_keys = [command.key for command in self._open()]
        self._note(ended=cause if open_keys else "done", heeded=heeded)
        if not open_keys:
            return
        if cause == "timeout" and not heeded:
            # It would begin anew and not get further the next time.
            self._settle("timeout", None, *open_keys)
        elif self.number >= self.runner.turns:
            self._settle("turns", None, *open_keys)
        else:
            try:
                requeue(int(self.signal), None)
            except (subprocess.SubprocessError, OSError, RuntimeError) as error:
                if self.cluster == "slurm" and allocation.job().get("JobState") != "RUNNING":
                    raise SystemExit(128 + number) from None  # SLURM has been first
                print(f"could not requeue this job ({error})", file=sys.stderr, flush=True)
                self._settle("interrupted", None, *open_keys)

    def _ask(self, number: int, seconds: float) -> bool:
        """Ask the commands to end, and again: one that has just begun may not listen yet."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._send(number)
            if self._wait(min(AGAIN, left)):
                return True
        return False

    def _leave(self, number: int) -> None:
        """End after SIGTERM or SIGINT, leaving no outcome: the scheduler decides what follows."""
        self.ending = True
        self._send(signal.SIGTERM)
        self._wait(PATIENCE)
        raise SystemExit(128 + number)

    def _send(self, number: int) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _end_all(self) -> None:
        """End what is still alive, by SIGTERM and then by SIGKILL."""
        if self.processes:
            self._send(signal.SIGTERM)
            self._wait(min(PATIENCE, self.runner.lead / 4))
        if self.processes:
            self._send(signal.SIGKILL)
            self._wait(1.0)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a record of turns, without what a node that died left unfinished."""
    found: list[dict[str, Any]] = []
    try:
        told = path.read_text(errors="replace").splitlines()
    except OSError:
        return found
    for line in told:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _write(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(json.dumps(value))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
