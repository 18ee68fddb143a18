"""Several processes for one training: started by torch's launcher, ended in good order together.

The command that a person or a scheduler gives stays the one to talk to: signals to it, or to any
process that it started, ask all to stop, and its exit status is that of the training. Over several
nodes a prefix given by the caller starts the same launcher on each. Standard library only.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import write_json
from pipeline.training.inputs import InputError, read_json
from pipeline.training.interruption import Stopped, StopRequest, end_with_parent

STOP, STATUS = "stop", "status.json"  # files in a launch's folder: what is asked, what came of it


def add_options(parser: ArgumentParser) -> None:
    """The command line's options on processes."""
    parser.add_argument("--processes", type=int, default=1, help="on each node; a GPU each")
    parser.add_argument(
        "--gpus", type=int, default=0, metavar="N",
        help="that each node gives: a process for each, and refuse to train without them "
        "(--device auto)",
    )  # fmt: skip
    parser.add_argument("--nodes", type=int, default=1, help="machines to train on together")
    parser.add_argument(
        "--across", metavar="COMMAND",
        help="prefix that starts one copy of a command on each node; needed where --nodes > 1",
    )  # fmt: skip
    parser.add_argument(
        "--shard", choices=("auto", "always", "never"), default="auto",
        help="share out one model's weights between the processes: auto where a GPU cannot hold it",
    )  # fmt: skip
    parser.add_argument("--launch", type=Path, help="(given to processes by their launcher)")


def check(arguments: Namespace) -> None:
    """Refuse a number of processes that cannot be started; let GPUs that were asked for count."""
    arguments.processes = max(arguments.processes, arguments.gpus)
    if arguments.gpus and arguments.device == "auto":
        arguments.device = "cuda"
    for option in ("processes", "nodes"):
        if getattr(arguments, option) < 1:
            raise InputError(f"--{option}: {getattr(arguments, option)}; give at least 1")
    if arguments.nodes > 1 and not arguments.across:
        raise InputError(
            f"--nodes: {arguments.nodes} nodes need --across, the command that starts one copy of "
            "another on each of them"
        )


def is_launched() -> bool:
    """Is this one of several processes that a launcher started?"""
    return "RANK" in os.environ


def is_wanted(arguments: Namespace) -> bool:
    """Must this process start others for the work?"""
    return arguments.processes * arguments.nodes > 1 and not is_launched()


@dataclass(frozen=True)
class Nodes:
    """What the launcher on each node must know: how many join, where they meet, what they start."""

    nodes: int
    processes: int
    endpoint: str
    name: str
    folder: Path
    threads: int


def is_first() -> bool:
    """Is this the process that writes, of several or alone?"""
    return os.environ.get("RANK", "0") == "0"


def run(arguments: Namespace, log: Callable[[str], None]) -> int:
    """Train in several processes, copies of this one; returns the training's exit status."""
    name = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
    folder = arguments.state.absolute() / "launches" / name
    folder.mkdir(parents=True)
    stop = StopRequest(folder / STOP, announces=True)
    stop.listen()
    try:
        log(f"training in {arguments.nodes} x {arguments.processes} processes")
        copies = [*arguments.command, "--launch", str(folder)]
        if arguments.nodes == 1:
            end = _here(Nodes(1, arguments.processes, "localhost:0", name, folder,
                              arguments.threads), copies)  # fmt: skip
        else:
            end = _across(arguments, name, folder, copies)
        if (folder / STATUS).exists():
            return int(read_json(folder / STATUS, "the outcome of a launch")["status"])
        if stop.signal:  # before the processes could listen to it
            return Stopped(stop.signal).code
        log(f"error: the processes ended without an outcome (status {end}): see the lines above")
        return end or 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others may be training
            folder.parent.rmdir()


def leave(folder: Path, status: int, together: bool) -> int:
    """Tell the launching process the training's exit status; returns this process's own.

    It is 0 where all processes end ``together``, whatever the outcome: at another the launcher
    ends those that still run.
    """
    if is_first():
        write_json(folder / STATUS, {"status": status})
    return 0 if together else status


def _here(nodes: Nodes, copies: Sequence[str]) -> int:
    from pipeline.training import agent  # imports PyTorch

    return agent.run(nodes, copies)


def _across(arguments: Namespace, name: str, folder: Path, copies: Sequence[str]) -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        endpoint = f"{socket.gethostname()}:{free.getsockname()[1]}"
    command = [
        *shlex.split(arguments.across), sys.executable, "-m", "pipeline.training.agent",
        "--nodes", str(arguments.nodes), "--processes", str(arguments.processes),
        "--endpoint", endpoint, "--name", name, "--folder", str(folder),
        "--threads", str(arguments.threads), "--", *copies,
    ]  # fmt: skip
    try:
        # A group of its own: a terminal's Ctrl-C would end the prefix before the training.
        process = subprocess.Popen(
            command, start_new_session=True, preexec_fn=lambda: end_with_parent(signal.SIGTERM)
        )
    except OSError as error:
        raise InputError(
            f"--across: {shlex.split(arguments.across)[0]!r}: {error.strerror}"
        ) from None
    return process.wait()
