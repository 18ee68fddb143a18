"""What the executor reads off a Snakemake job."""

from __future__ import annotations

import hashlib
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.utils import encode_target_jobs_cli_args

from .registry import job_key
from .request import Request, request

TBD = "<TBD>"  # Snakemake's word for a resource that depends on files that are not there yet


def targets(job: JobExecutorInterface) -> list[str]:
    """What a job makes: its rule with wildcards, and its output files."""
    return [*encode_target_jobs_cli_args(job.get_target_spec()), *map(str, job.output)]


def key(job: JobExecutorInterface) -> str:
    """The same for the same job in every run."""
    return job_key(targets(job))


def recipe(job: Any) -> str:
    """A digest of what a job runs: a living one that runs something else is not taken up."""
    parts: list[str] = []
    for member in job.jobs if job.is_group() else [job]:
        rule = member.rule
        parts += [str(member.shellcmd), str(rule.script), str(rule.notebook), str(rule.wrapper)]
        parts += sorted(map(str, member.params))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def asked(job: JobExecutorInterface, lead: int, known: frozenset[str]) -> Request:
    """What a job asks of the scheduler, whose signal comes ``lead`` seconds before its end.

    Raises WorkflowError naming rule, resource, value and cure.
    """
    return _checked(request(job.name, _resources(job), job.threads, known), lead)


def check(job: JobExecutorInterface, lead: int, known: frozenset[str]) -> None:
    """Refuse what a job asks for, as far as it is known before its inputs are there."""
    try:
        told = {name: value for name, value in _resources(job).items()
                if value != TBD or name != "slurm_extra"}  # fmt: skip
    except WorkflowError:
        return
    stood_in = {name: value for name, value in told.items() if value != TBD}
    if told.get("runtime") == TBD:
        stood_in["runtime"] = lead  # minutes: long enough
    _checked(request(job.name, stood_in, job.threads, known), lead)


def _resources(job: JobExecutorInterface) -> dict[str, Any]:
    return {name: job.resources.get(name) for name in list(job.resources.keys())}


def _checked(found: Request, lead: int) -> Request:
    if found.minutes * 60 <= lead:
        raise WorkflowError(
            f"rule {found.name}: runtime={found.minutes} min leaves nothing before the signal, "
            f"which comes --submitit-signal-lead {lead} s before its end; raise the one or lower "
            "the other"
        )
    return found
