"""What SLURM says of jobs: one squeue for all of them, sacct only for those it has forgotten."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

# States of a job that is over; all others are on the way (man squeue, JOB STATE CODES).
OVER = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL",
    "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
}  # fmt: skip
# Reasons for which a job waits for ever -> what to do (man squeue, JOB REASON CODES).
STUCK = {
    "PartitionTimeLimit": "lower runtime, or take another slurm_partition",
    "PartitionNodeLimit": "lower nodes, or take another slurm_partition",
    "AssocMaxWallDurationPerJobLimit": "lower runtime",
    "QOSMaxWallDurationPerJobLimit": "lower runtime, or take another qos",
    "BadConstraints": "correct constraint",
    "AccountNotAllowed": "take another slurm_account",
    "QOSNotAllowed": "take another qos",
    "InvalidQOS": "take another qos",
    "InvalidAccount": "take another slurm_account",
    "JobHeldAdmin": "ask the administrators: scontrol release",
    "JobHeldUser": "release it: scontrol release",
    "launch_failed_requeued_held": "look at the node's log, then scontrol release",
    "DependencyNeverSatisfied": "cancel it",
    "JobHoldMaxRequeue": "SLURM has requeued it too often; release it: scontrol release",
    "PartitionConfig": "take another slurm_partition, or ask for less of each node",
    "PartitionInactive": "take another slurm_partition",
    "PartitionDown": "take another slurm_partition, or wait",
}
UNREACHABLE = re.compile(
    r"[Uu]nable to contact slurm|[Ss]ocket timed out|[Cc]onnection (refused|timed out|reset)"
    r"|[Tt]emporarily un|[Zz]ero [Bb]ytes were transmitted|[Cc]ommunication connection failure"
    r"|slurm_persist|[Uu]nexpected message received|timed out after"
)
FULL = re.compile(r"(Max|Grp)Submit|Resource temporarily unavailable")
CHUNK = 500  # job ids on one command line
PATIENCE = 3600.0  # seconds for which an unreachable scheduler is waited for

T = TypeVar("T")


class Full(Exception):  # noqa: N818 - a state of the scheduler, waited out
    """The scheduler takes no more jobs of this user for now."""


class Unreachable(Exception):  # noqa: N818 - a state of the scheduler, waited out
    """The scheduler does not answer now."""


@dataclass(frozen=True)
class State:
    """A job in the scheduler's words."""

    name: str  # PENDING, RUNNING, ..., or UNKNOWN
    reason: str = ""
    nodes: str = ""
    comment: str = ""

    @property
    def over(self) -> bool:
        return self.name in OVER


UNKNOWN = State("UNKNOWN")


class Queue:
    """SLURM's commands, each asked as seldom as it can be."""

    def __init__(self, say: Callable[[str], None]):
        self.say, self.accounting, self.calls = say, True, 0
        self.seen: dict[str, State] = {}  # at the last look
        self.ending = threading.Event()  # set at Ctrl-C: nothing is waited for any more

    def run(self, *command: str, seconds: float = 60.0) -> str:
        """A command's output; raises Unreachable, or OSError with what it printed."""
        self.calls += 1
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"{command[0]} timed out after {seconds:.0f} s") from error
        if done.returncode:
            told = done.stderr.strip() or done.stdout.strip()
            if UNREACHABLE.search(told):
                raise Unreachable(told)
            raise OSError(f"{command[0]}: {told}")
        return done.stdout

    @cached_property
    def options(self) -> frozenset[str]:
        """Long options of sbatch; none where it does not say."""
        try:
            return frozenset(re.findall(r"--([a-z][a-z0-9-]*)", self.run("sbatch", "--help")))
        except (OSError, Unreachable):
            return frozenset()

    @cached_property
    def max_array_size(self) -> int:
        """Most tasks of one job array."""
        try:
            told = re.search(r"MaxArraySize\s*=\s*(\d+)", self.run("scontrol", "show", "config"))
        except (OSError, Unreachable):
            told = None
        return max(1, int(told[1]) - 1) if told else 1000

    def mine(self) -> dict[str, State]:
        """Job id -> state of all jobs of this user, those that ended lately included."""
        told = self.run("squeue", "--me", "-h", "-r", "-t", "all", "-o", "%i|%T|%r|%N|%k")
        states = {}
        for line in told.splitlines():
            if line.count("|") < 4:
                continue  # of a comment of several lines
            job, name, reason, nodes, comment = line.split("|", 4)
            states[job.strip()] = State(name, reason, nodes, comment.strip())
        return states

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """Job id -> state; UNKNOWN where the scheduler has no record (any more).

        Jobs that only a silent accounting could tell of are left out.
        """
        self.seen = self.mine()
        found = {job: self.seen[job] for job in ids if job in self.seen}
        if missing := [job for job in ids if job not in found]:
            try:
                found |= dict.fromkeys(missing, UNKNOWN) | self._recorded(missing)
            except Unreachable as error:
                self.say(f"The accounting does not answer ({error}); asking again later.")
        return found

    def _recorded(self, ids: Sequence[str]) -> dict[str, State]:
        """States by the accounting; nothing, and said once, where there is none."""
        found: dict[str, State] = {}
        if not self.accounting:
            return found
        for part in _chunks(ids):
            try:
                told = self.run("sacct", "-X", "-n", "-P", "-o", "JobID,State,NodeList", "-j",
                                ",".join(part))  # fmt: skip
            except OSError as error:
                self.accounting = False
                self.say(
                    f"No accounting here ({error}): the states of jobs that ended long ago stay "
                    "unknown; squeue tells all others."
                )
                return found
            for line in told.splitlines():
                job, name, nodes = line.split("|", 2)
                found[job] = State(name.split(" ")[0], "", nodes)  # "CANCELLED by 1000"
        return found

    def tagged(self, tag: str) -> list[str]:
        """Ids of the living jobs that carry a comment."""
        return [job for job, state in self.mine().items() if state.comment == tag
                and not state.over]  # fmt: skip

    def cancel(self, ids: Sequence[str]) -> None:
        for part in _chunks(ids):
            self.run("scancel", *part)

    def patiently(self, what: str, act: Callable[[], T], seconds: float = PATIENCE) -> T:
        """Repeat ``act`` with growing pauses while the scheduler does not answer.

        Raises Unreachable when that lasts longer than ``seconds``.
        """
        until, pause = time.monotonic() + seconds, 2.0
        while True:
            try:
                return act()
            except Unreachable as error:
                if time.monotonic() + pause > until or self.ending.is_set():
                    raise
                self.say(f"{what}: SLURM does not answer ({error}); trying again.")
                self.ending.wait(pause)
                pause = min(2 * pause, 60.0)


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK))
