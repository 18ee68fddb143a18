"""Where a number comes from: the code, the packages and the machine. Standard library only."""

from __future__ import annotations

import json
import platform
import resource
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PACKAGES = ("torch", "numpy", "pyarrow")  # those that can move a trained model's numbers


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def git_commit() -> tuple[str, bool]:
    """The commit of this code and whether files differ from it; ("unknown", False) without git.

    A copy made for jobs to run carries ORIGIN.json, which tells the commit that it was made of.
    """
    with suppress(OSError, ValueError, KeyError):
        origin = json.loads((PROJECT / "ORIGIN.json").read_text(encoding="utf-8"))
        return origin["git_commit"], origin["git_dirty"]

    def output(*command: str) -> str:
        return subprocess.run(
            ["git", "-C", str(PROJECT), *command],
            capture_output=True, text=True, check=True, timeout=20,
        ).stdout.strip()  # fmt: skip

    try:
        return output("rev-parse", "HEAD"), bool(output("status", "--porcelain", "-uno"))
    except (OSError, subprocess.SubprocessError):
        return "unknown", False


def packages() -> dict[str, str]:
    """Package -> version of what a trained model's numbers depend on, Python included."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host() -> str:
    """Host name."""
    return socket.gethostname()


def processor() -> str:
    """Name of the CPU, as the system tells it."""
    return _told("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _told(path: str, name: str) -> str:
    """What a file of the system says of a name, the first time; empty where it does not."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() == name), "")


def peak_memory() -> int:
    """Bytes of main memory that this process has held at most.

    Linux hands the peak in rusage on to what a process becomes, so that a command would report that
    of whoever started it; the peak of its own memory stands in /proc.
    """
    if told := _told("/proc/self/status", "VmHWM"):  # such as 300000 kB
        return int(told.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def forget_peak_memory() -> None:
    """Let the peak begin anew at what the process holds now; only Linux can (proc(5))."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def cpu_precision() -> str:
    """bf16 where the CPU multiplies in it; fp32 where not, or where the system does not tell."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return "fp32"
    return "fp32" if {"avx512_bf16", "amx_bf16"}.isdisjoint(flags) else "bf16"
