"""Ending in good order: one process for each training, and signals that ask it to stop.

Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pipeline import provenance
from pipeline.training.inputs import InputError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class Stopped(Exception):  # noqa: N818 - an ending, not an error
    """Training stopped at a signal, after writing a checkpoint; ``code`` is the exit status."""

    def __init__(self, number: int):
        super().__init__(
            f"stopped by {signal.Signals(number).name}; run the command again to go on"
        )
        self.code = 128 + number


class StopRequest:
    """Holds the number of the signal that asked to stop, until training can."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def listen(self) -> None:
        """Take SIGTERM, SIGINT and SIGUSR2 as a request instead of an end at once."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the only right to write in ``folder``, until the end or the death of the process.

    Raises InputError naming the holder where another process has it. What an earlier holder left
    half written is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                f"{folder}: {lock.read().strip() or 'another process'} is training this; wait for "
                "it, or end it and run the command again"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"process {os.getpid()} on {provenance.host()}")
        lock.flush()
        for leftover in folder.glob(".*.tmp"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
        yield
