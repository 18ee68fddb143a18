"""Parent of every process of a cluster, and the end of them all.

    python keeper.py FOLDER

A JSON line {"command": [...], "environment": {...}, "output": FILE} on the standard input starts a
process; its id is printed. Daemons and jobs that leave their parent come back to this process (it is the reaper of
its descendants), so that none can escape. When the input ends, by wish or because the process at
its other end died in whatever way, all are killed and the folder is removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
CGROUPS = Path("/sys/fs/cgroup")


def descendants(*roots: int) -> list[int]:
    """Ids of the living processes below some processes, parents before children."""
    children = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold spaces and brackets of its own.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children[int(parent)].append(int(entry.name))
    found = list(roots)
    for process in found:
        found += children[process]
    return found[len(roots) :]


def kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def serve() -> None:
    """Start what each line of the input names."""
    for line in sys.stdin:
        order = json.loads(line)
        with open(order["output"], "ab") as output:
            process = subprocess.Popen(
                order["command"], env=order["environment"], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        print(process.pid, flush=True)


def clear(folder: Path) -> None:
    """Kill all, and remove the folder and the control groups of its nodes."""
    while alive := descendants(os.getpid()):
        kill(alive)
        time.sleep(0.01)
        reap()
    # Another cluster's nodes may have the same names, but only one at a time has control groups.
    nodes = (folder / "spool").glob("*") if (folder / "cgroup.conf").exists() else ()
    for group in (group for node in nodes for group in CGROUPS.glob(f"*/slurm_{node.name}")):
        for path, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGCHLD, reap)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        serve()
    finally:
        clear(Path(sys.argv[1]))
