"""The record of a training's turns: how often it was interrupted, why, and what that cost.

A training may take several processes, one after another. While one has its turn, a small file in
the training's folder tells how far it came. The process that finds the file of another knows that
this one ended early, and how much of its work no checkpoint holds. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.files import write_json

FILE = "turn.json"
RECORD_SECONDS = 5.0  # between rewritings of the record, at least
CAUSE = "JOB_INTERRUPTION"  # the environment variable in which a scheduler tells the cause


class Turn:
    """One process's turn at a training, on record in its folder until it is closed.

    ``seconds`` are those of updates since the training's first step, as in contracts.RUN; for a
    branch since the branch point.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, str],
                 known: Iterable[dict[str, Any]], seconds: float):  # fmt: skip
        """Open the turn of a training that stands at ``seconds``, with the ``known`` interruptions.

        Without a folder it leaves no record: that of another process counts.

        ``interruptions`` then holds these and those that only the record of an earlier turn of
        the same training knows, its own end included: dictionaries with ``turn`` (what tells
        turns apart), ``cause`` and ``lost_seconds``.
        """
        self.path, self.identity = folder and folder / FILE, dict(identity)
        self.name = f"{os.getpid()}-{time.time_ns()}"
        self.interruptions = list(known)
        found = self.path and _read(self.path)
        if found and found["identity"] == self.identity:
            # Told once: a process ends in one training, as a rule the first that has a record.
            cause = os.environ.pop(CAUSE, "").strip().replace(",", " ")
            lost = max(0.0, found["seconds"] - seconds)
            ended = {"turn": found["turn"], "cause": cause or found["ended"] or "killed",
                     "lost_seconds": lost}  # fmt: skip
            names = {interruption["turn"] for interruption in self.interruptions}
            for interruption in (*found["interruptions"], ended):
                if interruption["turn"] not in names:
                    self.interruptions.append(interruption)
        self.save(seconds)

    def note(self, seconds: float) -> None:
        """Bring the record up to date, unless that was done a moment ago."""
        if time.monotonic() - self._saved > RECORD_SECONDS:
            self.save(seconds)

    def save(self, seconds: float, stop: int | None = None) -> None:
        """Write the record; ``stop`` is the signal at which the turn ends in good order."""
        self._saved = time.monotonic()
        if self.path is None:
            return
        ended = None if stop is None else signal.Signals(stop).name
        write_json(self.path, {
            "turn": self.name, "identity": self.identity, "seconds": seconds, "ended": ended,
            "interruptions": self.interruptions,
        })  # fmt: skip


def close(folder: Path) -> None:
    """Remove the record of a training that has reached its end."""
    (folder / FILE).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = {"turn", "identity", "seconds", "ended", "interruptions"}
    return found if isinstance(found, dict) and known <= set(found) else None
