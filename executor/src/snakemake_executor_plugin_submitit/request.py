"""What a job asks of the scheduler: Snakemake resources -> a Request, or a refusal by name.

Resource names are those of snakemake-executor-plugin-slurm where it has one.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

# Resources with a meaning here. Others (disk_mb, tmpdir, a workflow's own) are not the scheduler's.
RESOURCES = (
    "runtime", "mem_mb", "mem_mb_per_cpu", "cpus_per_task", "gpus", "gpu", "gpu_model", "gres",
    "nodes", "tasks", "tasks_per_node", "constraint", "qos", "reservation", "slurm_partition",
    "slurm_account", "slurm_extra", "jobs_per_allocation",
)  # fmt: skip

# sbatch options that slurm_extra may not set -> what to use instead.
SET_BY = {
    "account": "the resource slurm_account", "partition": "the resource slurm_partition",
    "time": "the resource runtime (minutes)", "mem": "the resource mem_mb",
    "mem-per-cpu": "the resource mem_mb_per_cpu", "mem-per-gpu": "the resource mem_mb",
    "cpus-per-task": "the resource cpus_per_task, or threads", "gpus": "the resource gpus",
    "gpus-per-node": "the resource gpus", "gres": "the resource gres",
    "nodes": "the resource nodes", "ntasks": "the resource tasks",
    "ntasks-per-node": "the resource tasks_per_node", "constraint": "the resource constraint",
    "qos": "the resource qos", "reservation": "the resource reservation",
    "signal": "--submitit-signal and --submitit-signal-lead", "array": "--submitit-array-size",
    "job-name": "nothing: the rule names the job", "comment": "nothing: jobs are found by it",
    "output": "nothing: the path is printed", "error": "nothing: the path is printed",
    "open-mode": "nothing: turns append to one log", "requeue": "nothing: it is always set",
    "no-requeue": "--submitit-turns 1", "wrap": "nothing: the job is Snakemake's",
    "parsable": "nothing", "test-only": "snakemake --dry-run", "wait": "nothing",
    "chdir": "snakemake --directory", "export": "nothing: the environment is passed on",
    "export-file": "nothing: the environment is passed on",
    "clusters": "nothing: jobs of one cluster are followed",
    "quiet": "nothing: the job's id is read from what sbatch prints",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One allocation. Jobs whose requests are equal go into one job array."""

    name: str
    minutes: int
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    reservation: str = ""
    cpus_per_task: int = 1
    mem_mb: int = 0
    mem_mb_per_cpu: int = 0
    gpus: int = 0  # on each node
    gres: str = ""
    nodes: int = 1
    tasks: int = 0
    tasks_per_node: int = 0
    extra: tuple[tuple[str, str | bool], ...] = ()
    jobs_per_allocation: int = field(default=1)

    def shared_by(self, jobs: int) -> Request:
        """The request of an allocation that ``jobs`` such jobs share: its GPUs once, CPUs and
        memory for each."""
        return replace(
            self, cpus_per_task=self.cpus_per_task * jobs, mem_mb=self.mem_mb * jobs,
            jobs_per_allocation=jobs,
        )  # fmt: skip

    def sbatch(self) -> dict[str, Any]:
        """sbatch options by long name, True for flags."""
        options: dict[str, Any] = {
            "partition": self.partition, "account": self.account, "qos": self.qos,
            "constraint": self.constraint, "reservation": self.reservation, "gres": self.gres,
            "cpus-per-task": self.cpus_per_task, "nodes": self.nodes,
            "ntasks": self.tasks, "ntasks-per-node": self.tasks_per_node,
            "gpus-per-node": self.gpus,
        }  # fmt: skip
        if self.mem_mb:
            options["mem"] = f"{self.mem_mb}M"
        if self.mem_mb_per_cpu:
            options["mem-per-cpu"] = f"{self.mem_mb_per_cpu}M"
        if not (self.tasks or self.tasks_per_node):
            options["ntasks-per-node"] = 1
        return {key: value for key, value in options.items() if value} | dict(self.extra)


def request(
    rule: str, resources: Mapping[str, Any], threads: int, known: Collection[str] = ()
) -> Request:
    """The request of a job of ``rule``.

    ``known`` are the long options that sbatch has here; empty where they cannot be asked for.
    Raises WorkflowError naming rule, resource, value and cure.
    """
    asked = {
        key: resources[key]
        for key in RESOURCES
        if _given(resources.get(key)) and (resources[key] != 0 or key not in ("gpus", "gpu"))
    }
    _refuse_unknown(rule, resources)
    if "runtime" not in asked:
        raise WorkflowError(
            f"rule {rule}: the resource runtime is missing, so the job has no time limit; set "
            "minutes in the rule, or for all rules with --default-resources runtime=240"
        )
    gpus, gres = _gpus(rule, asked)
    if "mem_mb_per_cpu" in asked:
        asked.pop("mem_mb", None)  # Snakemake always gives mem_mb a default
    counts: dict[str, Any] = {
        key: _count(rule, key, asked[key], 1)
        for key in ("nodes", "tasks", "tasks_per_node", "mem_mb", "mem_mb_per_cpu",
                    "jobs_per_allocation")
        if key in asked
    }  # fmt: skip
    if counts.get("jobs_per_allocation", 1) > 1 and counts.get("nodes", 1) > 1:
        raise WorkflowError(
            f"rule {rule}: jobs_per_allocation={counts['jobs_per_allocation']} on "
            f"nodes={counts['nodes']}: jobs share one node only; set nodes to 1"
        )
    texts: dict[str, Any] = {
        key: str(asked.get(key, "")) for key in ("qos", "constraint", "reservation")
    }
    return Request(
        name=rule, minutes=_count(rule, "runtime", asked["runtime"], 1),
        cpus_per_task=_count(rule, "cpus_per_task", asked.get("cpus_per_task", threads), 1),
        partition=str(asked.get("slurm_partition", "")),
        account=str(asked.get("slurm_account", "")),
        gpus=gpus, gres=gres, extra=extra_options(rule, str(asked.get("slurm_extra", "")), known),
        **texts, **counts,
    )  # fmt: skip


def _gpus(rule: str, asked: Mapping[str, Any]) -> tuple[int, str]:
    """GPUs on each node as a number, or as a gres text."""
    if "gpu" in asked and "gpus" in asked:
        raise WorkflowError(f"rule {rule}: the resources gpu and gpus mean the same; keep gpus")
    gpus = _count(rule, "gpus", asked.get("gpus", asked.get("gpu", 0)), 0)
    gres = str(asked.get("gres", ""))
    if gres and gpus:
        raise WorkflowError(
            f"rule {rule}: gpus={gpus} and gres={gres!r} both ask for GPUs; keep one of them"
        )
    if "gpu_model" not in asked:
        return gpus, gres
    if not gpus:
        raise WorkflowError(
            f"rule {rule}: gpu_model={asked['gpu_model']!r} without gpus; set gpus, too"
        )
    return 0, f"gpu:{asked['gpu_model']}:{gpus}"


# Resources of the stock SLURM plugin that mean nothing here -> what to use.
UNSUPPORTED = {
    "cpus_per_gpu": "cpus_per_task", "tasks_per_gpu": "tasks", "ntasks": "tasks",
    "mpi": "srun --overlap in the rule's command", "clusters": "one cluster at a time",
    "cluster": "one cluster at a time", "slurm_cluster": "one cluster at a time",
}  # fmt: skip


def _given(value: Any) -> bool:
    return value is not None and value != ""


def _count(rule: str, name: str, value: Any, least: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = least - 1
    if number < least or isinstance(value, bool) or number != float(value):
        raise WorkflowError(
            f"rule {rule}: the resource {name} is {value!r}; give a whole number of at least "
            f"{least}"
        )
    return number


def _refuse_unknown(rule: str, resources: Mapping[str, Any]) -> None:
    """Refuse slurm_* resources that mean nothing: a misspelt one would silently be ignored."""
    for name in list(resources.keys()):
        if name in UNSUPPORTED and _given(resources[name]):
            raise WorkflowError(
                f"rule {rule}: the resource {name} is not supported; use {UNSUPPORTED[name]}"
            )
        if name.startswith("slurm_") and name not in RESOURCES:
            near = difflib.get_close_matches(name, RESOURCES, 1) or difflib.get_close_matches(
                name.removeprefix("slurm_"), RESOURCES, 1
            )
            raise WorkflowError(
                f"rule {rule}: the resource {name} is not known"
                + (f"; did you mean {near[0]}?" if near else "; known are " + ", ".join(RESOURCES))
            )


def extra_options(
    rule: str, text: str, known: Collection[str] = ()
) -> tuple[tuple[str, str | bool], ...]:
    """``slurm_extra`` as (long option, value or True) pairs, sorted by option.

    Raises WorkflowError on an option that the executor sets itself, on one that sbatch does not
    have, and on what is no long option.
    """
    where = f"rule {rule}: slurm_extra={text!r}"
    found: dict[str, str | bool] = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise WorkflowError(f"{where}: cannot be split into words ({error})") from None
    while words:
        word = words.pop(0)
        matched = re.fullmatch(r"--([a-z][a-z0-9-]*)(?:=(.*))?", word, re.DOTALL)
        if matched is None:
            raise WorkflowError(
                f"{where}: {word!r} is no long option; write options as --name=value"
            )
        name, value = matched.groups()
        if name in SET_BY:
            raise WorkflowError(f"{where}: --{name} is forbidden here; use {SET_BY[name]}")
        if known and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean --{near[0]}?" if near else ""
            raise WorkflowError(f"{where}: sbatch has no option --{name}{hint}")
        if value is None and words and not words[0].startswith("-"):
            value = words.pop(0)
        found[name] = True if value is None else value
    return tuple(sorted(found.items()))
