"""A Snakemake on a cluster as a benchmark sees it: its cost, its words, and its scheduler calls."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from cluster import Cluster

SNAKEFILE = """
localrules: all, gather
rule all:
    input: "all.txt"
rule job:
    output: "done/{{i}}"
    shell: "{work}echo $SLURM_JOB_ID > {{output}}"
rule gather:
    input: expand("done/{{i}}", i=range({jobs}))
    output: "all.txt"
    shell: "cat done/* > {{output}}"
"""
# sh has no clock of its own; srun gets signals, so that nothing may stand before it.
WRAPPER = """#!/bin/bash
begun=$EPOCHREALTIME
case "$1" in --help|--version|-V) asks=nothing ;; *) asks=scheduler ;; esac
note() {{ echo "$begun $EPOCHREALTIME ${{SLURM_JOB_ID:+job}}. {command} $asks" >> {log}; }}
if [ {command} = srun ]; then note; exec {real} "$@"; fi
{real} "$@"
status=$?
note
exit $status
"""
COMMANDS = (
    "sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo", "sacctmgr", "sshare", "sprio",
    "sdiag", "srun",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A way to submit: the interpreter of its environment and Snakemake's options."""

    name: str
    python: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """A command that asked the scheduler; begin and end in seconds since 1970."""

    command: str
    begun: float
    ended: float
    by_job: bool


def wrap_commands(folder: Path, log: Path) -> None:
    """Write wrappers of SLURM's commands that note each call in a log."""
    folder.mkdir()
    for command in COMMANDS:
        if real := shutil.which(command):
            path = folder / command
            path.write_text(WRAPPER.format(command=command, log=log, real=real))
            path.chmod(0o755)


class Controller:
    """A Snakemake that runs the workflow, in a folder that goes with it when `with` ends."""

    def __init__(self, variant: Variant, cluster: Cluster, jobs: int, work: str = "") -> None:
        """Start it on ``jobs`` jobs, each a shell command ``work`` (";" at its end) and a word."""
        self._temporary = tempfile.TemporaryDirectory(
            prefix="executor-", ignore_cleanup_errors=True
        )
        self.folder = folder = Path(self._temporary.name)
        self.log = folder / "calls"
        wrap_commands(folder / "commands", self.log)
        (folder / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs, work=work))
        foreign = ("SLURM_", "SBATCH_", "SNAKEMAKE_")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        path = f"{folder / 'commands'}:{Path(variant.python).parent}:{clean['PATH']}"
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [
                variant.python, "-m", "snakemake", "--nocolor", "--jobs", str(jobs),
                "--max-jobs-per-timespan", "10000/1s", "--default-resources", "runtime=1440",
                "mem_mb=100", "cpus_per_task=1", "slurm_partition=cpu", *variant.options,
            ],
            cwd=folder, env={**clean, **cluster.environment(), "PATH": path}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self.lines: list[tuple[float, str]] = []  # each with the time at which it came
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._temporary.cleanup()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append((time.time(), line))

    def cpu(self) -> float:
        """CPU seconds so far, those of ended children included."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")

    def end(self, limit: float, good: bool = True) -> tuple[float, float, float]:
        """Wait; wall seconds, CPU seconds, largest memory in MB. SystemExit if it fails."""
        killer = threading.Timer(limit, os.killpg, (self.process.pid, signal.SIGKILL))
        killer.start()
        try:
            _, status, used = os.wait4(self.process.pid, 0)
        finally:
            killer.cancel()
        wall = time.monotonic() - self.begun
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._reader.join()
        if good and self.process.returncode:
            self.tell_failure()
        return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    def ended(self) -> bool:
        """Has it ended, though nobody has waited for it?"""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, flags) is not None

    def tell_failure(self) -> NoReturn:
        """SystemExit with the last words of Snakemake."""
        sys.exit("".join(line for _, line in self.lines[-60:]) + "Snakemake failed")

    def calls(self) -> list[Call]:
        """The commands that asked the scheduler so far."""
        found = []
        for line in self.log.read_text().replace(",", ".").splitlines():
            begun, ended, place, command, asks = line.split()
            if asks == "scheduler":
                found.append(Call(command, float(begun), float(ended), place == "job."))
        return found

    def ready(self) -> float:
        """When the first jobs were ready to be submitted, in seconds since 1970."""
        return next(at for at, line in self.lines if re.match(r"Execute \d+ jobs", line))

    def noted(self) -> dict[str, float]:
        """SLURM's job id -> time at which Snakemake called the job finished."""
        ids: dict[str, str] = {}
        times, output = {}, ""
        for at, line in self.lines:
            if found := re.match(r"\s+output: done/(\d+)", line):
                output = found[1]
            elif (found := re.match(r"\s+jobid: (\d+)", line)) and output:
                ids[found[1]], output = (self.folder / "done" / output).read_text().strip(), ""
            elif (found := re.match(r"Finished jobid: (\d+)", line)) and found[1] in ids:
                times[ids[found[1]]] = at
        return times
