"""How a job ended, in the words of a person: outcomes and states -> sentences with their cures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .registry import Record
from .request import Request
from .runner import lines
from .scheduler import State
from .settings import ExecutorSettings

LINES = 15  # of a log that an error shows
BYTES = 20000  # of a log's end, among which they are looked for

# State of a job that left no outcome -> outcome.
STATES = {
    "CANCELLED": "cancelled", "TIMEOUT": "timeout", "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "out_of_memory", "NODE_FAIL": "node_failure", "BOOT_FAIL": "node_failure",
    "PREEMPTED": "preempted", "UNKNOWN": "unknown",
}  # fmt: skip
# Outcomes after which a job goes on where it was, under a new id.
INTERRUPTED = ("interrupted", "node_failure", "preempted")


def turns(folder: Path, job_id: str) -> list[dict[str, Any]]:
    """The turns of a job: each its first line, updated by the line that tells its end."""
    found: list[dict[str, Any]] = []
    for line in lines(folder / f"{job_id}.turns.jsonl"):
        if "begun" in line:
            found.append(line)
        elif found:
            found[-1] |= line
    return found


def from_state(state: State, told: list[dict[str, Any]]) -> dict[str, Any]:
    """The outcome of a job that is over by its state and left none itself."""
    ended = STATES.get(state.name, "vanished")
    last = told[-1] if told else {}
    if ended == "vanished" and last.get("ended", "done") in ("preempted", "requeued", "timeout"):
        # It gave way and was to go on, which the cluster did not let it.
        ended = "interrupted"
    return {"ended": ended, "host": state.nodes or last.get("host", ""), "state": state.name,
            "cause": ended if ended in ("node_failure", "preempted") else None}  # fmt: skip


def log(folder: Path, record: Record) -> Path:
    """The file that holds what a job printed."""
    own = folder / f"{record.key}.log"
    return own if own.exists() else folder / f"{record.job_id}_0_log.out"


def message(
    record: Record,
    request: Request,
    outcome: dict[str, Any],
    path: Path,
    settings: ExecutorSettings,
) -> str:
    """What happened, what to do, and the end of the log."""
    end = _end(path)
    shown = _of_the_command(end)[-LINES:]
    ended = outcome["ended"]
    if ended in ("failed", "vanished") and any(
        re.search(r"oom.kill|Out Of Memory|OUT_OF_MEMORY", line)
        for line in [*shown, *end.splitlines()[-LINES:]]
    ):
        ended = "out_of_memory"
    where = f" on {outcome['host']}" if outcome.get("host") else ""
    told = "\n".join(f"        {line}" for line in shown) or "    (empty)"
    return (
        f"Job {record.job_id} ({record.rule}){where} {_sentence(ended, outcome, request, settings)}"
        f"\n    Its log: {path}\n{told}\n    "
    )


def _sentence(
    ended: str, outcome: dict[str, Any], request: Request, settings: ExecutorSettings
) -> str:
    name = "mem_mb_per_cpu" if request.mem_mb_per_cpu else "mem_mb"
    memory = f"is {request.mem_mb or request.mem_mb_per_cpu}; raise it"
    if not (request.mem_mb or request.mem_mb_per_cpu):
        memory = "is not set; set it"
    return {
        "failed": f"failed: its command ended with status {outcome.get('status')}.",
        "out_of_memory": f"ran out of memory: {name} {memory}.",
        "timeout": f"timed out: it had {request.minutes} min and did not end on "
        f"SIG{settings.signal}; raise runtime, or let its command write a checkpoint and end "
        "when it gets the signal.",
        "turns": f"was interrupted too often: --submitit-turns allows {settings.turns} turns.",
        "cancelled": "was cancelled (scancel), by you or an administrator.",
        "unknown": "is not known to the scheduler any more, and left no outcome.",
    }.get(ended, f"ended as {outcome.get('state', ended)} without an outcome: it did not start, or "
          "its node was lost.")  # fmt: skip


def _end(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _of_the_command(end: str) -> list[str]:
    """Lines of a log's end less what Snakemake says when a command fails, which hides its words."""
    reports = list(re.finditer(r"^\[.*\]\nError in (rule|group) ", end, re.M))
    if not reports:
        return end.splitlines()
    before, after = end[: reports[-1].start()], end[reports[-1].start() :]
    head, found, rest = before.rpartition("RuleException:\nCalledProcessError in ")
    if found and "\nError in " not in rest:
        before = head
    scheduler = [line for line in after.splitlines() if re.match(r"(slurmstepd|srun): ", line)]
    return [*before.splitlines(), *scheduler]
