"""Ending in good order: one process for each training, and signals that ask it to stop.

Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from pipeline import provenance
from pipeline.files import atomic
from pipeline.training.inputs import InputError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP)
POLL_SECONDS = 0.5  # between looks at what another process does
PR_SET_PDEATHSIG = 1  # of Linux's prctl (sys/prctl.h)
PARENT = "JOB_PARENT"  # the environment variable that names the process to end with
ORPHANED = signal.SIGHUP  # what a terminal sends as it goes, and here stands for the parent's end


class Stopped(Exception):  # noqa: N818 - an ending, not an error
    """Training stopped at a signal, after writing a checkpoint; ``code`` is the exit status."""

    def __init__(self, number: int):
        cause = f"by {signal.Signals(number).name}"
        if number == ORPHANED:
            cause = "as the process or terminal that started it has ended"
        super().__init__(f"stopped {cause}; run the command again to go on")
        self.code = 128 + number


class StopRequest:
    """Holds the number of the signal that asked to stop, until training can.

    Processes that train together read a ``shared`` file, too; who launched them writes there the
    signals that come to it (``announces``). Once the process ``parent`` has ended, that asks to
    stop as the signal ORPHANED would.
    """

    def __init__(
        self, shared: Path | None = None, announces: bool = False, parent: int | None = None
    ) -> None:
        self._announces, self._parent = announces, parent
        self._number: int | None = None
        self._shared, self._looked = shared, -math.inf

    @property
    def signal(self) -> int | None:
        """The signal's number; None while nobody asked."""
        if not self._number and (self._shared or self._parent):
            now = time.monotonic()
            if now - self._looked > POLL_SECONDS:
                self._looked = now
                if told := self._told():  # a signal may have come meanwhile
                    self._number = told
        return self._number

    def _told(self) -> int | None:
        """The signal that the shared file holds, or that the parent's end stands for."""
        if self._shared:
            with suppress(OSError, ValueError):
                return int(self._shared.read_text(encoding="utf-8"))
        if self._parent:
            return ORPHANED if _has_ended(self._parent) else None
        return None

    def listen(self) -> None:
        """Take SIGNALS as a request instead of an end at once.

        Under nohup a terminal's end is to be ignored, and is.
        """
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        if self._shared and self._announces:
            with suppress(OSError), atomic(self._shared) as temporary:
                temporary.write_text(str(number), encoding="utf-8")


def _has_ended(process: int) -> bool:
    """Has a process of this machine ended, perhaps without its own parent having noticed?"""
    try:
        os.kill(process, 0)
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except ProcessLookupError:
        return True
    except OSError:  # another user's, or a system without /proc
        return False
    return told.rpartition(")")[2].split()[0] in "ZX"  # zombie, dead: proc(5)


def _locked(lock: TextIO) -> bool:
    """Take the lock; False where another process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _silent(_line: str) -> None:
    """Tell nobody."""


def parent() -> int | None:
    """The process of this machine that the training is to end with, if the environment names one.

    Shells stand between Snakemake and the training and outlive it, so that the system's own word
    of a parent's end (``end_with_parent``) would not come.
    """
    named = os.environ.get(PARENT, "")
    return int(named) if named.isdigit() else None


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the system (Linux) to send this process a signal when the one that started it dies."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


@contextmanager
def exclusive(
    folder: Path,
    patience: float = 0.0,
    stop: StopRequest | None = None,
    log: Callable[[str], None] = _silent,
) -> Iterator[None]:
    """Hold the only right to write in ``folder``, until the end or the death of the process.

    Where another process has it, wait ``patience`` seconds for that one's end, then raise
    InputError naming it; raise Stopped where a signal comes meanwhile. What an earlier holder left
    half written is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as lock:
        deadline, said = time.monotonic() + patience, False
        while not _locked(lock):
            lock.seek(0)
            holder = f"{folder}: {lock.read().strip() or 'another process'} is training this"
            if time.monotonic() >= deadline:
                raise InputError(f"{holder}; wait for it, or end it and run the command again")
            if not said:
                log(f"{holder}; waiting up to {patience:.0f} s for its end")
                said = True
            if stop and stop.signal:
                raise Stopped(stop.signal)
            time.sleep(min(POLL_SECONDS, patience))
        lock.seek(0)
        lock.truncate()
        lock.write(f"process {os.getpid()} on {provenance.host()}")
        lock.flush()
        for leftover in folder.glob(".*.tmp"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
        yield
