"""The files that describe a cluster of several nodes on one machine to SLURM 22.05 and later."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from daemons import LOCAL

SETTINGS = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/%n
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MaxArraySize=10001
MaxJobCount=20000
MinJobAge=300
KillWait=5
InactiveLimit=0
SlurmdTimeout=10
MessageTimeout=5
UnkillableStepTimeout=30
EpilogMsgTime=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=30
"""

GPUS = "GresTypes=gpu"

ACCOUNTING = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
"""

LIMITED_MEMORY = """
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
"""

CGROUP = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
"""

PARTITIONS = [
    "PartitionName=gpu Default=YES PriorityTier=10 PreemptMode=REQUEUE GraceTime=10",
    "PartitionName=high PriorityTier=100 PreemptMode=OFF",
    "PartitionName=cpu PriorityTier=10 PreemptMode=OFF",
]
EVERY_PARTITION = " Nodes=ALL State=UP MaxTime=INFINITE DefaultTime=60"

SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
DebugLevel=info
LogFile={folder}/log/slurmdbd
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageLoc=slurm_acct_db
StorageUser=slurm
StoragePass=slurm
"""


def settings(*texts: str) -> str:
    """Lines Key=Value in which a later value of a key replaces an earlier one."""
    lines = (line.partition("=") for text in texts for line in text.split("\n") if line)
    return "".join(f"{key}={value}\n" for key, value in {key: v for key, _, v in lines}.items())


def node_lines(ports: Sequence[int], cpus: int, gpus: int) -> list[str]:
    gres = f" Gres=gpu:{gpus}" if gpus else ""
    return [
        f"NodeName=node{i} NodeHostname={socket.gethostname()} NodeAddr={LOCAL} Port={port} "
        f"CPUs={cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 "
        f"RealMemory=64000{gres}"
        for i, port in enumerate(ports, start=1)
    ]


def write(
    folder: Path, ports: Sequence[int], *, nodes: int, cpus: int, gpus: int,
    accounting: bool, memory: str, extra: Sequence[str],
) -> None:  # fmt: skip
    """Write slurm.conf and the files beside it.

    ports are those of the controller, the accounting, its database, and each node. A line of
    `extra` replaces the one that sets the same key; lines of nodes and partitions are added.
    """
    places = {
        "folder": folder, "host": socket.gethostname(),
        "controller": ports[0], "accounting": ports[1], "database": ports[2],
    }  # fmt: skip
    added = [line for line in extra if line.startswith(("NodeName=", "PartitionName="))]
    texts = [
        SETTINGS,
        GPUS if gpus else "",
        ACCOUNTING if accounting else "",
        LIMITED_MEMORY if memory == "cgroup" else "",
        *(line for line in extra if line not in added),
    ]
    lines = [
        *node_lines(ports[3:], cpus, gpus),
        *(line + EVERY_PARTITION for line in PARTITIONS),
        *added,
    ]
    text = settings(*texts).format(**places) + "\n".join(lines) + "\n"
    (folder / "slurm.conf").write_text(text)
    if gpus:
        devices = f"{folder}/dev/nvidia[0-{gpus - 1}]"
        (folder / "gres.conf").write_text(f"NodeName=node[1-{nodes}] Name=gpu File={devices}\n")
    if memory == "cgroup":
        (folder / "cgroup.conf").write_text(CGROUP)
    if accounting:
        (folder / "slurmdbd.conf").write_text(SLURMDBD.format(**places))
        (folder / "slurmdbd.conf").chmod(0o600)
