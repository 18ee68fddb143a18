"""What a job can learn of its own allocation. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

# States of a job that SLURM has taken back while its processes still end.
TAKEN_BACK = ("PENDING", "REQUEUED", "COMPLETING", "CONFIGURING")
# Recorded end of a turn -> its cause, as the runner calls it.
CAUSES = {"PREEMPTED": "preempted", "REQUEUED": "requeued", "NODE_FAIL": "node_failure"}


def _output(*command: str) -> str:
    """What a command prints; nothing where it fails or takes long."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=False
        ).stdout
    return ""


def job() -> dict[str, str]:
    """SLURM's fields of the job that this process belongs to; none where they are not told."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    # The last task of an array has the array's own id, under which scontrol shows all of them.
    own = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "0")
    told = _output("scontrol", "show", "job", own)
    return dict(re.findall(r"(\w+)=(\S*)", told))


def limit(fields: dict[str, str]) -> float | None:
    """The job's time limit as it is now, in seconds: it may have been changed since submission."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", fields.get("TimeLimit", ""))
    if not found:
        return None  # unlimited, or not told
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def preempted(fields: dict[str, str]) -> bool:
    """Is the job being preempted?"""
    return fields.get("PreemptTime", "None") not in ("None", "Unknown", "N/A")


def last_end(job_id: str) -> str:
    """Why the turn before this one ended, by the accounting; "" where it does not tell.

    A node's death and a preemption without grace leave a job no time to learn it itself.
    """
    told = _output("sacct", "-D", "-X", "-n", "-P", "-o", "State", "-j", job_id).split("\n")
    states = [state.split(" ")[0] for state in told if state]
    return CAUSES.get(states[-2], "") if len(states) > 1 else ""


def out_of_memory() -> bool:
    """Has the kernel killed a process of this allocation for its memory? False if unknown."""
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return False
    for line in groups:
        _, controllers, name = line.split(":", 2)
        if controllers == "memory":  # version 1
            base, file = Path("/sys/fs/cgroup/memory"), "memory.oom_control"
        elif controllers == "":  # version 2
            base, file = Path("/sys/fs/cgroup"), "memory.events"
        else:
            continue
        path = Path(name.lstrip("/"))
        for group in (path, *path.parents):  # the limit may be the step's or the job's
            if not re.search(r"job_?\d+", str(group)):
                break
            with contextlib.suppress(OSError):
                if re.search(r"^oom_kill [1-9]", (base / group / file).read_text(), re.M):
                    return True
    return False
