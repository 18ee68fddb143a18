"""The one seeded order of a corpus, from which every split and every subset is cut.

Each document has a rank in [0, 1), a hash of the seed and its text. Documents in order of rank
give validation from the front, then test, then training; ``fraction`` cuts the order off at a
rank. So splits are disjoint, a smaller fraction is a prefix of a larger one, and any prefix of
the training tokens is a random sample of the training text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus import dedup

BUCKETS = 64
_Document = TypeVar("_Document")
BUFFERED = 32 << 20  # bytes of text held before they are scattered to their buckets
_ENTRY = np.dtype([("rank", "<u8"), ("item", "<i8"), ("line", "<i8"), ("lines", "<i8"),
                   ("bytes", "<i8")])  # fmt: skip


def rank(text: bytes, seed: int) -> int:
    """Rank of a document as a 64-bit integer; divided by 2^64 it is uniform in [0, 1)."""
    key = (seed % 2**64).to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=key).digest(), "little")


class Spool:
    """Documents on disk, scattered to buckets of rank: read back in order, one bucket mapped.

    Holds what ``fraction`` keeps of the text. Memory: 32 MiB of text and, when read, the index of
    one bucket (40 bytes for each 64th document).
    """

    def __init__(self, folder: Path, fraction: float):
        self.folder = folder
        folder.mkdir(parents=True)
        self._end = int(fraction * 2**64)
        self._held: list[list[tuple[tuple[int, ...], bytes]]] = [[] for _ in range(BUCKETS)]
        self._held_bytes = 0
        self.bytes = 0

    def add(self, text: bytes, rank: int, item: int, line: int, lines: int) -> None:
        """Keep a document, unless its rank is beyond ``fraction``."""
        if rank >= self._end:
            return
        entry = (rank, item, line, lines, len(text))
        self._held[rank * BUCKETS // self._end].append((entry, text))
        self.bytes += len(text)
        self._held_bytes += len(text) + _ENTRY.itemsize
        if self._held_bytes >= BUFFERED:
            self._scatter()

    def _scatter(self) -> None:
        for index, held in enumerate(self._held):
            with (
                (self.folder / f"{index}.text").open("ab") as text,
                (self.folder / f"{index}.index").open("ab") as entries,
            ):
                text.write(b"".join(document for _, document in held))
                entries.write(np.array([entry for entry, _ in held], dtype=_ENTRY).tobytes())
            held.clear()
        self._held_bytes = 0

    def documents(self) -> Iterator[tuple[NDArray, bytes]]:
        """(index entry, text) of every document in order of rank; ties in order of arrival."""
        self._scatter()
        for index in range(BUCKETS):
            entries = np.fromfile(self.folder / f"{index}.index", dtype=_ENTRY)
            if not len(entries):
                continue
            text = np.memmap(self.folder / f"{index}.text", dtype=np.uint8, mode="r")
            ends = np.cumsum(entries["bytes"])
            for place in np.argsort(entries["rank"], kind="stable"):
                end = int(ends[place])
                entry = entries[place]
                yield entry, text[end - int(entry["bytes"]) : end].tobytes()


class Order:
    """The documents of a corpus, without repeats, in order of rank."""

    def __init__(
        self, documents: Iterable[str], folder: Path, seed: int, fraction: float, deduplicate: bool
    ):
        """Read ``documents`` once into ``folder``; raises OSError when the disk is full."""
        self._spool = Spool(folder / "documents", fraction)
        whole, windows = dedup.Repeats(folder / "whole"), dedup.Repeats(folder / "windows")
        self.bytes_read = 0
        for text in documents:
            data = text.encode()
            self.bytes_read += len(data)
            # Without deduplication the copies of a document are scattered by their numbers.
            place = rank(data if deduplicate else b"%d %b" % (len(whole), data), seed)
            lines = dedup.content_lines(data) if deduplicate else []
            self._spool.add(data, place, len(whole), len(windows), len(lines))
            if deduplicate:
                windows.add(dedup.window_hashes(lines), len(lines))
            whole.add(np.array([place][: int(deduplicate)], dtype=np.uint64), 1)
        self.documents_read = len(whole)
        self.bytes_kept = self._spool.bytes  # by fraction, repeats included
        self._whole, self._windows = whole.resolve(), windows.resolve()

    def documents(self) -> Iterator[bytes]:
        """Every kept document as UTF-8, in order; the same each time."""
        for entry, data in self._spool.documents():
            if self._whole[entry["item"]]:
                continue
            repeated = self._windows[entry["line"] : entry["line"] + entry["lines"]]
            if repeated.any():
                data = dedup.without_repeats(data, repeated)
            if data:
                yield data


def shortened(text: bytes, size: int) -> bytes:
    """``text`` up to the last line end within ``size`` bytes, or the last whole character."""
    if len(text) <= size:
        return text
    end = text.rfind(b"\n", 0, size) + 1
    return text[:end] if end else text[:size].decode(errors="ignore").encode()


def assigned(
    documents: Iterable[_Document],
    held_out: Mapping[str, int],
    size: Callable[[_Document], int],
    cut: Callable[[_Document, int], _Document],
) -> Iterator[tuple[str, _Document]]:
    """(split, document): documents go to each held-out split until it has its bytes.

    ``size`` tells the bytes of a document. The last one of a split is ``cut`` to what is missing
    and the rest of it left out, so that no document is in two splits.
    """
    remaining = iter(documents)
    for split, wanted in held_out.items():
        left = wanted
        while left > 0 and (document := next(remaining, None)) is not None:
            yield split, cut(document, left)
            left -= size(document)
    for document in remaining:
        yield "train", document
