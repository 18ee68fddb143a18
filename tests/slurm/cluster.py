"""A real SLURM cluster of several nodes on one machine, in a private folder on private ports."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import configuration
from daemons import (
    LOCAL,
    STARTING_SECONDS,
    Daemons,
    lack,
    lack_of_control_groups,
    make_devices,
    wait_until,
)  # fmt: skip
from keeper import descendants, kill

T = TypeVar("T")

# Key -> field of squeue.
JOB_FIELDS = {
    "id": "JobArrayID", "job": "JobID", "array": "ArrayJobID", "task": "ArrayTaskID",
    "state": "State", "reason": "Reason", "nodes": "NodeList", "partition": "Partition",
    "restarts": "RestartCnt", "name": "Name", "comment": "Comment",
}  # fmt: skip
ACCOUNTING_FIELDS = (
    "JobID", "JobIDRaw", "JobName", "Partition", "State", "ExitCode", "NodeList",
    "Submit", "Start", "End", "ElapsedRaw", "AllocTRES", "Comment",
)  # fmt: skip


class Cluster:
    """A cluster, from `start` (or `with`) to `stop`; no process outlives the one that started it.

    nodes: node1, node2 ... with `cpus` cores, 64 GB and `gpus` stand-ins of GPUs each.
    accounting: with slurmdbd and a database, or without any.
    memory: "cgroup" enforces --mem (a job over it is killed), "none" does not.
    extra: lines of slurm.conf; one that sets a key set already replaces that line.
    fast_forward: start requeued jobs at once, not after the two minutes that SLURM lets them wait.
    """

    def __init__(
        self, *, nodes: int = 4, cpus: int = 16, gpus: int = 4, accounting: bool = True,
        memory: str = "none", extra: Sequence[str] = (), fast_forward: bool = True,
    ) -> None:  # fmt: skip
        if memory not in ("none", "cgroup"):
            raise ValueError(f"memory is {memory!r}: choose none or cgroup")
        self.nodes = [f"node{i + 1}" for i in range(nodes)]
        self.cpus, self.gpus, self.memory, self.extra = cpus, gpus, memory, tuple(extra)
        self.accounted, self.forwarding = accounting, fast_forward

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Bring all up and wait until every node is idle. RuntimeError, with logs, if it fails."""
        limits = lack_of_control_groups() if self.memory == "cgroup" else ""
        if missing := lack(self.accounted, self.gpus) or limits:
            raise RuntimeError(missing)
        self.daemons = Daemons(3 + len(self.nodes), alone=self.memory == "cgroup")
        self.folder: Path = self.daemons.folder
        try:
            self._write()
            self._start_daemons()
        except BaseException:
            self.daemons.close()
            raise
        self._stopping = threading.Event()
        self._forwarder = threading.Thread(target=self._keep_forwarding, daemon=True)
        self._forwarder.start()

    def stop(self) -> None:
        """Kill every process of the cluster and remove its folder."""
        self._stopping.set()
        self._forwarder.join()
        self.daemons.close()

    def _write(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        make_devices(self.folder / "dev", self.gpus)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        configuration.write(
            self.folder, self.daemons.ports, nodes=len(self.nodes), cpus=self.cpus,
            gpus=self.gpus, accounting=self.accounted, memory=self.memory, extra=self.extra,
        )  # fmt: skip

    def _start_daemons(self) -> None:
        at = self.folder
        self.daemons.spawn(
            "munged", "--foreground", f"--key-file={at}/munge.key",
            f"--socket={at}/munge.socket", f"--pid-file={at}/munged.pid",
            f"--log-file={at}/log/munged", f"--seed-file={at}/munged.seed",
        )  # fmt: skip
        self.daemons.wait_for("munged", (at / "munge.socket").exists)
        if self.accounted:
            self._start_accounting()
        for node in self.nodes:
            self._start_node(node)
        self.start_controller()
        self.wait_until(lambda: set(self.node_states().values()) == {"idle"}, STARTING_SECONDS)

    def _start_node(self, node: str) -> None:
        self.daemons.spawn(
            "slurmd", "-D", "-f", str(self.folder / "slurm.conf"), "-N", node, name=node
        )

    def _start_accounting(self) -> None:
        """Start a database and slurmdbd on it, and make the cluster known there."""
        call, port = self.daemons.call, self.daemons.ports
        at = f"--socket={self.folder}/db.socket"
        # Its data need not outlive it: the disk, which others may keep busy, is not waited for.
        data = [
            f"--datadir={self.folder}/db", "--innodb-flush-method=nosync", "--skip-sync-frm",
            "--aria-sync-log-dir=NEVER", "--skip-innodb-doublewrite", "--innodb-log-file-size=8M",
        ]  # fmt: skip
        call(
            "mariadb-install-db", "--no-defaults", "--user=root", *data, "--skip-test-db",
            "--auth-root-authentication-method=socket", "--skip-name-resolve",
        )  # fmt: skip
        self.daemons.spawn(
            "mariadbd", "--no-defaults", "--user=root", *data, at,
            f"--pid-file={self.folder}/mariadbd.pid", f"--bind-address={LOCAL}",
            f"--port={port[2]}", "--skip-name-resolve", "--skip-log-bin",
            "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0",
            "--performance-schema=OFF",
        )  # fmt: skip
        self.daemons.wait_for("mariadbd", (self.folder / "db.socket").exists)
        call(
            "mariadb", "--no-defaults", at, "--user=root", "--execute",
            f"create database slurm_acct_db; create user slurm@{LOCAL} identified by 'slurm'; "
            f"grant all on slurm_acct_db.* to slurm@{LOCAL}",
        )  # fmt: skip
        self.daemons.spawn("slurmdbd", "-D")

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((LOCAL, port[1])) == 0

        self.daemons.wait_for("slurmdbd", listening)
        call("sacctmgr", "-i", "add", "cluster", "toy")

    def environment(self) -> dict[str, str]:
        """The variables that lead SLURM's commands, and what calls them, to this cluster."""
        return self.daemons.environment()

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints, e.g. run("squeue", "-h"). RuntimeError if it fails."""
        return self.daemons.call(*command, check=check).stdout

    def wait_until(self, predicate: Callable[[], T], timeout: float = 30.0) -> T:
        """The first true value of a predicate; TimeoutError, with queue and logs, without one."""

        def told() -> str:
            queue = self.run("squeue", "-t", "all", check=False)
            return f"{queue}\n{self.run('sinfo', '-N', check=False)}\n{self.daemons.logs()}"

        return wait_until(predicate, timeout, told)

    # What the scheduler says.

    def node_states(self) -> dict[str, str]:
        """Node -> its state, e.g. idle, mixed, down*."""
        lines = self.run("sinfo", "-h", "-N", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """The jobs that the controller remembers (5 minutes past their end), by JOB_FIELDS."""
        form = ",".join(f"{field}:\x1f" for field in JOB_FIELDS.values())
        wanted = ",".join(states) or "all"
        lines = self.run("squeue", "-h", "-r", "-t", wanted, "-O", form).splitlines()
        return [dict(zip(JOB_FIELDS, line.split("\x1f"))) for line in lines]

    def accounting(
        self, jobs: Iterable[int | str] = (), fields: Sequence[str] = ACCOUNTING_FIELDS,
        duplicates: bool = True,
    ) -> list[dict[str, str]]:  # fmt: skip
        """The rows of sacct, one for each turn of a job (the last turn's alone if not duplicates).

        RuntimeError on a cluster without accounting.
        """
        command = ["sacct", "-X", "-n", "-P", "--delimiter=\x1f", "-o", ",".join(fields)]
        command += ["-D"] if duplicates else []
        chosen = ",".join(map(str, jobs))
        command += ["-j", chosen] if chosen else ["-a", "-S", "now-7days"]
        return [dict(zip(fields, line.split("\x1f"))) for line in self.run(*command).splitlines()]

    def submissions(self) -> int:
        """Number of sbatch submissions accepted so far; an array counts once."""
        log = (self.folder / "log/slurmctld").read_text()
        return len(re.findall(r"_slurm_rpc_submit_batch_job: JobId=\d+", log))

    def requests(self) -> dict[str, Counter[str]]:
        """Requests the controller has got since its start: {"type": {...}, "user": {...}}."""
        text = self.run("sdiag")
        counts = {}
        for key, heading in (("type", "by message type"), ("user", "by user")):
            table = text.split(f"statistics {heading}\n")[1].split("\n\n")[0]
            rows = re.findall(r"^\s*(\S+)\s+\(\s*\d+\)\s+count:(\d+)", table, re.M)
            counts[key] = Counter({name: int(count) for name, count in rows})
        return counts

    # What happens to a cluster.

    def fast_forward(self) -> None:
        """Start the jobs that wait for their time after a requeue."""
        for job in self.jobs("PD"):
            if job["reason"] == "BeginTime" and int(job["restarts"]):
                self.run("scontrol", "update", f"JobId={job['id']}", "StartTime=now", check=False)

    def _keep_forwarding(self) -> None:
        while self.forwarding and not self._stopping.wait(1.0):
            try:
                self.fast_forward()
            except RuntimeError:
                continue  # The controller is down, by a test's wish.

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and all of its jobs' processes at once, like a power cut."""
        while alive := self._processes(node):
            kill(alive)
            time.sleep(0.01)
        del self.daemons.processes[node]

    def _processes(self, node: str) -> list[int]:
        """Ids of a node's daemon, of its jobs' steps, then of their tasks.

        In this order, as no daemon or step may live to tell how its tasks ended.
        """
        log, mark = self.folder / "log" / node, f"SLURMD_NODENAME={node}\0".encode()
        daemons, tasks = [], []
        for process in descendants(self.daemons.keeper.pid):
            at = Path(f"/proc/{process}")
            # A process may end, or its files be closed, while it is looked at.
            with contextlib.suppress(OSError):
                if any(os.readlink(file) == str(log) for file in (at / "fd").iterdir()):
                    daemons.append(process)
                elif mark in (at / "environ").read_bytes():
                    tasks.append(process)
        return daemons + [
            p for p in dict.fromkeys(descendants(*daemons) + tasks) if p not in daemons
        ]

    def revive_node(self, node: str) -> None:
        """Start a killed node's daemon again and wait until the node takes jobs."""
        self._start_node(node)
        self.wait_until(lambda: self.node_states()[node] in ("idle", "mixed", "allocated"))

    def stop_controller(self) -> None:
        """Take slurmctld down and wait until it has saved its state and is gone.

        What needs it meanwhile fails after MessageTimeout (5 s), an srun that starts also.
        """
        self.daemons.end("slurmctld")

    def start_controller(self) -> None:
        """Start slurmctld, with the state that it left, and wait until it answers."""
        self.daemons.spawn("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        self.daemons.wait_for(
            "slurmctld",
            lambda: not self.daemons.call("scontrol", "ping", check=False).returncode,
        )
