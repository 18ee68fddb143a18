"""Repeated passages: found over a whole corpus on disk, whatever its size.

A window is four consecutive lines of one document. Lines are compared by their letters and digits
alone (case, spaces and ASCII punctuation set aside), so editions that differ in these repeat one
another; lines without any are passed over. A window that occurred before, here or in an earlier
document, marks its four lines as repeated.
"""

from __future__ import annotations

import io
import string
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pandas.util import hash_array

WINDOW = 4  # lines
PARTITIONS = 64
BUFFERED = 1 << 20  # records held before they are scattered to their partitions
_RECORD = np.dtype([("hash", "<u8"), ("item", "<i8")])
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5],
                dtype=np.uint64)  # fmt: skip


_IGNORED = (string.punctuation + " \t\r\v\f").encode()
_FOLDED = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())


def folded_lines(text: bytes) -> list[bytes]:
    """What each line of a UTF-8 text is compared by; empty where nothing is left to compare."""
    return text.translate(_FOLDED, _IGNORED).split(b"\n")


def content_lines(text: bytes) -> list[bytes]:
    """The folded lines that are not empty."""
    return [line for line in folded_lines(text) if line]


def window_hashes(lines: list[bytes]) -> NDArray[np.uint64]:
    """A 64-bit hash of each window of ``lines``: len(lines) - 3 of them, or none."""
    if len(lines) < WINDOW:
        return np.empty(0, dtype=np.uint64)
    hashes = hash_array(np.array(lines, dtype=object), categorize=False)
    count = len(lines) - WINDOW + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for offset, factor in enumerate(_MIX):
        mixed += hashes[offset : offset + count] * factor
    return mixed


class Repeats:
    """Which items carry a hash that an earlier item carried.

    Items are numbered from 0 in the order of ``add``. Each costs 16 bytes of disk until
    ``resolve`` and 1 byte after it; memory holds 16 MiB and, in ``resolve``, one of 64 partitions
    at a time. Two different passages share a 64-bit hash with a chance of n^2 / 2^65: 3e-7 for
    the three million lines of the default corpus.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        self._count = 0
        self._held: list[NDArray] = []
        self._held_records = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hashes: NDArray[np.uint64], items: int) -> None:
        """Append ``items`` items, of which the first ``len(hashes)`` carry a hash."""
        records = np.empty(len(hashes), dtype=_RECORD)
        records["hash"] = hashes
        records["item"] = np.arange(self._count, self._count + len(hashes))
        self._count += items
        self._held.append(records)
        self._held_records += len(records)
        if self._held_records >= BUFFERED:
            self._scatter()

    def _scatter(self) -> None:
        if not self._held:
            return
        records = np.concatenate(self._held)
        self._held, self._held_records = [], 0
        partition = (records["hash"] // np.uint64(2**64 // PARTITIONS)).astype(np.int64)
        order = np.argsort(partition, kind="stable")
        bounds = np.searchsorted(partition[order], np.arange(PARTITIONS + 1))
        records = records[order]
        for index in range(PARTITIONS):
            with (self.folder / str(index)).open("ab") as file:
                file.write(records[bounds[index] : bounds[index + 1]].tobytes())

    def resolve(self) -> NDArray[np.bool_]:
        """One flag for each item, in a memory-mapped file: True where its hash came before."""
        self._scatter()
        path = self.folder / "repeated"
        with path.open("wb") as file:
            file.truncate(max(self._count, 1))
        repeated = np.memmap(path, dtype=np.bool_, mode="r+", shape=(max(self._count, 1),))
        for index in range(PARTITIONS if self._count else 0):
            partition = self.folder / str(index)
            records = np.fromfile(partition, dtype=_RECORD)
            partition.unlink()
            order = np.argsort(records["hash"], kind="stable")
            ranked = records["hash"][order]
            repeated[records["item"][order[1:][ranked[1:] == ranked[:-1]]]] = True
        return repeated


def without_repeats(text: bytes, repeated: NDArray[np.bool_]) -> bytes:
    """``text`` without the lines of its repeated windows; empty where no content is left.

    ``repeated`` has a flag for each content line: whether the window that starts there came
    before. A line without content goes with the content line above it.
    """
    if not repeated.any():
        return text
    dropped = repeated.copy()
    for offset in range(1, WINDOW):
        dropped[offset:] |= repeated[:-offset]
    if dropped.all():
        return b""
    kept, content, drop = [], 0, False
    for line, folded in zip(io.BytesIO(text), folded_lines(text), strict=False):
        if folded:
            drop = bool(dropped[content])
            content += 1
        if not drop:
            kept.append(line)
    return b"".join(kept)
