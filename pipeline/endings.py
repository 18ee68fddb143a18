"""The last words of a run of the workflow that did not reach its end: what stopped, what to do.

Snakemake's own say which jobs it gave up, not that nothing is lost. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHOWN = 5  # failed jobs at most
STOPPED = "stopped "  # how the last line of a training begins that wrote a checkpoint

Job = tuple[str, Path]  # its rule and its log


def last_words(failed: Sequence[Job], running: Sequence[Job]) -> str:
    """What to tell of jobs that failed, or else of those that ran when the run was interrupted."""
    kept = "What is finished is kept"
    if not failed:
        logs = sorted(str(log) for _, log in running if _last_line(log).startswith(STOPPED))
        if logs:
            number = "1 training" if len(logs) == 1 else f"{len(logs)} trainings"
            kept = f"{number} stopped with a checkpoint ({', '.join(logs)})"
        return f"Interrupted. {kept}; the same command goes on from there."
    number = "1 job" if len(failed) == 1 else f"{len(failed)} jobs"
    told = [
        f"  {rule}: {_last_line(log) or 'ended without a word'} ({log})"
        for rule, log in sorted(failed)[:SHOWN]
    ]
    if len(failed) > SHOWN:
        told.append(f"  and {len(failed) - SHOWN} more")
    return "\n".join([f"{number} failed. {kept}; the same command goes on from there.", *told])


def _last_line(log: Path) -> str:
    """The last line of a log that holds anything; empty where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
