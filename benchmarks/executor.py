"""What the executor plugin costs per job on a real SLURM cluster, beside the stock SLURM plugin.

    python benchmarks/executor.py [--stock PYTHON] [--jobs 1000] [--compare 20] [--turns 3]

Brings up a cluster of its own on this machine (SLURM's programs and the user root are needed) and
runs one workflow there: trivial jobs, and a local rule that gathers their outputs.

1. --compare jobs with this plugin, the stock plugin and its job arrays, --turns times in turns.
   All look for finished jobs after --poll seconds; the stock plugin waits 10 s longer after each
   look that finds none.
2. --jobs jobs with this plugin.
3. --jobs jobs that do nothing but wait, held for --sleep seconds and then cancelled by Ctrl-C,
   with this plugin and with the stock one: what a controller takes while jobs are in flight.

--stock is the interpreter of an environment with snakemake-executor-plugin-slurm. Its jobs find
the cluster through /etc/slurm/slurm.conf alone: a link of that name is made, only where there is
no such file, and removed at the end. Without --stock this plugin alone is measured.

Scheduler calls are counted by wrappers of SLURM's commands ahead in PATH, here and in the jobs;
requests are counted by slurmctld and slurmdbd themselves. Neither counts the srun of each job
and what follows from it. CPU seconds of jobs are those of sacct, steps included; a job's end
is that in slurmctld's log. A negative notice says that Snakemake knew before the scheduler did.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controller import Controller, Variant

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "slurm"))
from cluster import Cluster
from daemons import lack

CONFIGURATION = Path("/etc/slurm/slurm.conf")
NODES = 4
# Requests that follow from the run of a job, from daemons, and from the counting itself.
OF_ITSELF = {
    "MESSAGE_NODE_REGISTRATION_STATUS", "MESSAGE_EPILOG_COMPLETE",
    "REQUEST_COMPLETE_BATCH_SCRIPT", "REQUEST_COMPLETE_PROLOG", "REQUEST_STEP_COMPLETE",
    "REQUEST_JOB_STEP_CREATE", "REQUEST_JOB_ALLOCATION_INFO", "REQUEST_HET_JOB_ALLOC_INFO",
    "REQUEST_STATS_INFO",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What one run of the workflow took; seconds, unless said."""

    jobs: int
    wall: float
    job_cpu: float  # of all jobs
    controller_cpu: float
    memory: float  # largest of the controller, MB
    submitting: float  # from the first ready job to the end of the last sbatch
    calls: int  # by the controller
    job_calls: int  # by the jobs
    starts: int  # srun
    requests: int  # of commands, to slurmctld and slurmdbd
    notice: float  # median from a job's end to Snakemake's word of it

    def rows(self) -> dict[str, float]:
        """Figure -> value, in the order in which they are printed."""
        return {
            "wall time, s": self.wall,
            "wall time per job, s": self.wall / self.jobs,
            "CPU per job, s": (self.job_cpu + self.controller_cpu) / self.jobs,
            "  of the job itself, s": self.job_cpu / self.jobs,
            "  of the controller, s": self.controller_cpu / self.jobs,
            "submission, jobs/s": self.jobs / self.submitting,
            "scheduler calls": self.calls + self.job_calls,
            "  by the controller": self.calls,
            "  by the jobs": self.job_calls,
            "requests of commands": self.requests,
            "srun by the jobs": self.starts,
            "notice of a job's end, s": self.notice,
            "controller's memory, MB": self.memory,
        }


GOALS = {"wall time per job, s": 0.5, "CPU per job, s": 0.5, "scheduler calls": 0.2}


@contextlib.contextmanager
def configuration_in_place(cluster: Cluster) -> Iterator[None]:
    """Let CONFIGURATION lead to the cluster. SystemExit where the machine has such a file."""
    if CONFIGURATION.is_symlink() and not CONFIGURATION.exists():
        CONFIGURATION.unlink()  # of a run that was killed
    if CONFIGURATION.exists():
        sys.exit(
            f"{CONFIGURATION} exists, and the stock plugin's jobs would follow it to another "
            "cluster: move it away, or leave out --stock"
        )
    CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    CONFIGURATION.symlink_to(cluster.folder / "slurm.conf")
    try:
        yield
    finally:
        CONFIGURATION.unlink()


def requests(cluster: Cluster) -> int:
    """Requests that commands have sent to the cluster's daemons so far."""
    counts = cluster.requests()["type"]
    stored = re.findall(
        r"DBD_GET_(?!STATS)\w+\s.*count:(\d+)", cluster.run("sacctmgr", "show", "stats")
    )
    return sum(n for name, n in counts.items() if name not in OF_ITSELF) + sum(map(int, stored))


def seconds(told: str) -> float:
    """[days-][hours:]minutes:seconds as seconds."""
    days, _, clock = told.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part)
    return total + 86400 * int(days or 0)


def ends(cluster: Cluster) -> dict[str, float]:
    """SLURM's job id -> time of its end, by the log of slurmctld."""
    log = (cluster.folder / "log" / "slurmctld").read_text()
    found = re.findall(r"^\[(\S+)\] _job_complete: JobId=(?:\S+\()?(\d+)\)? done", log, re.M)
    return {job: datetime.fromisoformat(at).timestamp() for at, job in found}


def cpu_of_jobs(cluster: Cluster, ids: Iterable[str]) -> float:
    """CPU seconds of all steps of jobs, once the accounting knows that they have ended."""
    jobs = sorted(ids)

    def complete() -> list[dict[str, str]] | None:
        fields = ("JobIDRaw", "State", "TotalCPU")
        told = cluster.run("sacct", "-n", "-P", "-o", ",".join(fields), "-j", ",".join(jobs))
        rows = [dict(zip(fields, line.split("|"))) for line in told.splitlines()]
        # An id may be that of an array, too, and bring other jobs.
        rows = [row for row in rows if row["JobIDRaw"].partition(".")[0] in wanted]
        whole = {row["JobIDRaw"] for row in rows} >= wanted | {f"{job}.batch" for job in wanted}
        return rows if whole and {row["State"] for row in rows} == {"COMPLETED"} else None

    wanted = set(jobs)
    rows = cluster.wait_until(complete) or []
    return sum(seconds(row["TotalCPU"]) for row in rows if "." in row["JobIDRaw"])


def measured(variant: Variant, cluster: Cluster, jobs: int, limit: float) -> Run:
    """One run of trivial jobs to its end."""
    before = requests(cluster)
    with Controller(variant, cluster, jobs) as controller:
        wall, cpu, memory = controller.end(limit)
        asked = requests(cluster) - before
        calls, ready, noted = controller.calls(), controller.ready(), controller.noted()
    ended = ends(cluster)
    if len(noted) != jobs or not noted.keys() <= ended.keys():
        sys.exit(f"{variant.name}: {len(noted)} of {jobs} jobs are told of by Snakemake's log")
    by = Counter("srun" if call.command == "srun" else call.by_job for call in calls)
    return Run(
        jobs, wall, cpu_of_jobs(cluster, noted), cpu, memory,
        submitting=max(call.ended for call in calls if call.command == "sbatch") - ready,
        calls=by[False], job_calls=by[True], starts=by["srun"], requests=asked,
        notice=statistics.median(at - ended[job] for job, at in noted.items()),
    )  # fmt: skip


def print_waiting(variant: Variant, cluster: Cluster, jobs: int, held: float, limit: float) -> None:
    """Hold jobs in flight for some seconds and print what the controller takes meanwhile."""

    def in_flight() -> int:
        return len(cluster.run("squeue", "-h", "-r", "-t", "PD,CF,R", "-o", "%i").split())

    def calls() -> int:
        return sum(not call.by_job for call in controller.calls())

    with Controller(variant, cluster, jobs, work="sleep 86400; ") as controller:
        cluster.wait_until(lambda: controller.ended() or in_flight() == jobs, limit)
        if controller.ended():
            controller.tell_failure()
        filled = time.monotonic() - controller.begun
        before, called = controller.cpu(), calls()
        time.sleep(held)
        cpu, called = controller.cpu() - before, calls() - called
        interrupted = time.monotonic()
        controller.process.send_signal(signal.SIGINT)
        _, _, memory = controller.end(limit, good=False)
        cancelling = time.monotonic() - interrupted
        cluster.run("scancel", "--me")
        cluster.wait_until(lambda: not cluster.run("squeue", "-h"), limit)
    print(
        f"{variant.name}: {jobs} jobs in flight after {filled:.1f} s; then "
        f"{1000 * cpu / held:.1f} ms CPU/s, {called} scheduler calls in {held:.0f} s, "
        f"{memory:.0f} MB at most; ended {cancelling:.1f} s after Ctrl-C", flush=True,
    )  # fmt: skip


def print_table(columns: Mapping[str, Sequence[Run]]) -> None:
    """Medians over runs, a column for each name."""
    print("".join([f"{'':<26}", *(f"{name:>16}" for name in columns)]))
    rows = {name: [run.rows() for run in runs] for name, runs in columns.items()}
    for figure in next(iter(rows.values()))[0]:
        values = (statistics.median(run[figure] for run in runs) for runs in rows.values())
        print("".join([f"{figure:<26}", *(f"{value:>16.2f}" for value in values)]), flush=True)


def print_ratios(ours: Sequence[Run], stock: Sequence[Run], name: str) -> None:
    """Medians of the ratios within a turn, and whether they reach the goals."""
    for figure, goal in GOALS.items():
        pairs = [(a.rows()[figure], b.rows()[figure]) for a, b in zip(ours, stock)]
        ratio = statistics.median(a / b for a, b in pairs)
        verdict = "reached" if ratio <= goal else "missed"
        print(f"{figure.split(',')[0]}: {ratio:.2f} of {name}'s; goal {goal} {verdict}")


def variants(stock: str | None, poll: int) -> list[Variant]:
    """This plugin, then the stock one, alone and with job arrays."""
    polling = ("--seconds-between-status-checks", str(poll))
    found = [Variant("submitit", sys.executable, ("--executor", "submitit", *polling))]
    if stock:
        options = (
            "--executor", "slurm", *polling, "--slurm-no-account",
            "--slurm-init-seconds-before-status-checks", str(poll),
        )  # fmt: skip
        found.append(Variant("slurm", stock, options))
        found.append(Variant("slurm arrays", stock, (*options, "--slurm-array-jobs", "all")))
    return found


def parsed() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stock", metavar="PYTHON", help="with the stock plugin")
    parser.add_argument(
        "--jobs", type=int, default=1000, help="of this plugin alone; 0: not (%(default)s)"
    )
    parser.add_argument("--compare", type=int, default=20, help="jobs of each (%(default)s)")
    parser.add_argument(
        "--turns", type=int, default=3, help="of the comparison; 0: none (%(default)s)"
    )
    parser.add_argument("--sleep", type=float, default=120, help="seconds; 0: not (%(default)s)")
    parser.add_argument("--poll", type=int, default=1, help="seconds between looks (%(default)s)")
    parser.add_argument("--slots", type=int, default=16, help="jobs at a time (%(default)s)")
    parser.add_argument("--limit", type=float, default=3600, help="seconds of a run (%(default)s)")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    if missing := lack(gpus=0):
        sys.exit(missing)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ways = variants(options.stock, options.poll)
    ours = ways[0]
    with Cluster(
        nodes=NODES, cpus=max(1, options.slots // NODES), gpus=0, fast_forward=False
    ) as cluster, contextlib.ExitStack() as held:  # fmt: skip
        if options.stock:
            held.enter_context(configuration_in_place(cluster))
        slots, version = NODES * cluster.cpus, cluster.run("sbatch", "--version").strip()
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} processors, load {load:.1f}, {slots} slots, {version}")
        for way in ways:  # the first start of an environment compiles it
            subprocess.run([way.python, "-m", "snakemake", "--help"], stdout=subprocess.DEVNULL)
        runs: dict[str, list[Run]] = {way.name: [] for way in ways}
        for _ in range(options.turns):
            for way in ways:
                runs[way.name].append(measured(way, cluster, options.compare, options.limit))
        if options.turns:
            print(f"\n{options.compare} jobs, medians of {options.turns} turns")
            print_table(runs)
            for way in ways[1:]:
                print_ratios(runs[ours.name], runs[way.name], way.name)
        if options.jobs:
            print(f"\n{options.jobs} jobs")
            print_table({ours.name: [measured(ours, cluster, options.jobs, options.limit)]})
        if options.jobs and options.sleep:
            print("\nWaiting")
            for way in ways[:2]:
                print_waiting(way, cluster, options.jobs, options.sleep, options.limit)


if __name__ == "__main__":
    main()
