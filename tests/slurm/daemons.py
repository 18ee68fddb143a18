"""The private place of a cluster: its folder, ports, daemons, and the keeper that ends them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from keeper import CGROUPS

T = TypeVar("T")

LOCAL = "127.0.0.1"
# Program -> Debian package that holds it.
PROGRAMS = {
    "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge",
}  # fmt: skip
ACCOUNTING_PROGRAMS = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}
# The packages keep their daemons where the path of a user may not lead.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# Below the ports that the system hands out by itself.
PORTS = range(20000, 32000, 50)
STARTING_SECONDS = 60.0
STOPPING_SECONDS = 30.0


def lack(accounting: bool = True, gpus: int = 4) -> str:
    """What this machine lacks for such a cluster, as a sentence; empty where it lacks nothing."""
    needed = PROGRAMS | (ACCOUNTING_PROGRAMS if accounting else {})
    packages = {p for program, p in needed.items() if not shutil.which(program, path=PATH)}
    if packages:
        return f"SLURM is not installed: apt-get install {' '.join(sorted(packages))}"
    if os.geteuid() != 0:
        return "a SLURM cluster of several nodes on one machine needs the user root"
    if gpus:
        with tempfile.TemporaryDirectory() as folder:
            return make_devices(Path(folder), 1)
    return ""


def lack_of_control_groups() -> str:
    """Why this machine cannot limit the memory of a job; empty where it can."""
    if os.access(CGROUPS / "memory/release_agent", os.W_OK):
        return ""
    return f"no control groups of version 1 can be written at {CGROUPS}/memory"


def make_devices(folder: Path, count: int) -> str:
    """Make stand-ins of GPUs, devices nvidia0 ... like /dev/null; why not, or an empty text."""
    folder.mkdir(exist_ok=True)
    try:
        for i in range(count):
            os.mknod(folder / f"nvidia{i}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        return (
            f"mknod is refused in {folder}, so there are no stand-ins of GPUs: "
            "a container needs the capability MKNOD (docker run --cap-add=MKNOD)"
        )
    return ""


def reserve_ports(count: int) -> tuple[socket.socket, list[int]]:
    """A block of free ports, kept from other clusters for as long as the socket is open."""
    for first in PORTS:
        guard = socket.socket()
        ports = [first + 1 + i for i in range(count)]
        try:
            guard.bind((LOCAL, first))
            for port in ports:
                with socket.socket() as probe:
                    # Connections that ended a moment ago keep no daemon from the port.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((LOCAL, port))
        except OSError:
            guard.close()
            continue
        return guard, ports
    raise OSError(f"no {count + 1} free ports in a row from {PORTS.start} to {PORTS.stop}")


def only_control_groups() -> IO[str]:
    """An open file whose lock is held, as the control groups of equal node names would mix."""
    file = open(Path(tempfile.gettempdir()) / "slurm-control-groups.lock", "w")  # noqa: SIM115
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def wait_until(
    predicate: Callable[[], T], timeout: float = 30.0, told: Callable[[], str] = str
) -> T:
    """The first true value of a predicate; TimeoutError, with what `told` says, without one."""
    end = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {timeout} s\n{told()}")
        time.sleep(0.1)
    return value


def running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


class Daemons:
    """Daemons in a folder of their own, none of which outlives the process that started them."""

    def __init__(self, ports: int, alone: bool) -> None:
        """Reserve ports; with `alone`, wait for other clusters with control groups to end."""
        self.processes: dict[str, int] = {}
        self._orders = threading.Lock()
        with contextlib.ExitStack() as held:
            guard, self.ports = reserve_ports(ports)
            kept = [held.enter_context(guard).fileno()]
            if alone:
                kept.append(held.enter_context(only_control_groups()).fileno())
            # Short, as the paths of sockets in it are limited to 107 characters.
            self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
            self.folder.chmod(0o755)
            (self.folder / "log").mkdir()
            self.keeper = subprocess.Popen(
                [sys.executable, "-I", Path(__file__).with_name("keeper.py"), self.folder],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                start_new_session=True, pass_fds=kept,
            )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """The variables that lead SLURM's commands to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def spawn(self, *command: str, name: str = "") -> None:
        """Start a daemon, in the foreground, as a child of the keeper."""
        name = name or command[0]
        order = {
            "command": command,
            "environment": {"PATH": PATH, **self.environment()},
            "output": str(self.folder / "log" / f"{name}.output"),
        }
        assert self.keeper.stdout
        with self._orders:
            print(json.dumps(order), file=self.keeper.stdin, flush=True)
            self.processes[name] = int(self.keeper.stdout.readline())

    def wait_for(self, name: str, ready: Callable[[], object]) -> None:
        """Wait until a daemon is ready. RuntimeError, with its output, if it ends before."""

        def up() -> object:
            if not running(self.processes[name]):
                raise RuntimeError(f"{name} ended at once\n{self.logs()}")
            return ready()

        wait_until(up, STARTING_SECONDS, self.logs)

    def end(self, name: str) -> None:
        """Terminate a daemon and wait until it is gone."""
        process = self.processes.pop(name)
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: not running(process), STOPPING_SECONDS, self.logs)

    def call(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the cluster. RuntimeError, with what it printed, if it fails."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        done = subprocess.run(
            command, text=True, capture_output=True, stdin=subprocess.DEVNULL,
            env={**clean, "PATH": PATH, **self.environment()},
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: status {done.returncode}: {done.stderr}")
        return done

    def logs(self, lines: int = 20) -> str:
        """The last lines of each daemon's log."""
        # A daemon's own log, once it is open, says with times what its output says.
        files = sorted(self.folder.glob("log/*"), reverse=True)
        texts = {file.stem: text for file in files if (text := file.read_text(errors="replace"))}
        return "\n".join(
            "\n".join([f"--- {name}", *text.splitlines()[-lines:]])
            for name, text in sorted(texts.items())
        )

    def close(self) -> None:
        """Kill every process of the cluster and remove its folder."""
        assert self.keeper.stdin
        assert self.keeper.stdout
        with contextlib.suppress(BrokenPipeError):
            self.keeper.stdin.close()
        self.keeper.wait(STOPPING_SECONDS)
        self.keeper.stdout.close()
