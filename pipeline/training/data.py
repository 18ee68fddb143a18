"""Tokens on disk as windows, and the order in which training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline import contracts
from pipeline.cells import Cell
from pipeline.corpus import CorpusError, bpe
from pipeline.training.inputs import InputError

BLOCK = 1 << 16  # tokens cut from the shards in one go, at least a step's


@dataclass(frozen=True)
class TokenStream:
    """The shards of one split, memory-mapped, read as one stream of token ids.

    ``end_of_text`` is the id behind each document; None where the text has no such token.
    """

    shards: tuple[np.ndarray, ...]
    end_of_text: int | None = None

    @property
    def offsets(self) -> list[int]:
        """Stream position at which each shard begins, and the stream's length at the end."""
        return [0, *np.cumsum([len(shard) for shard in self.shards]).tolist()]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shards)

    def windows(self, starts: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
        """(len(starts), length) int64: the ids at start, start + 1, ... of each window."""
        found = np.empty((len(starts), length), np.int64)
        offsets = self.offsets
        for row, start in zip(found, starts):
            filled, index = 0, int(np.searchsorted(offsets, start, "right")) - 1
            while filled < length:
                here = start + filled - offsets[index]
                piece = self.shards[index][here : here + length - filled]
                row[filled : filled + len(piece)] = piece
                filled, index = filled + len(piece), index + 1
        return found


def end_of_text(manifest: Path) -> int | None:
    """Id of the token behind each document of a corpus; None where its tokenizer knows none."""
    path = manifest.with_name("tokenizer.json")
    try:
        return bpe.end_of_text(bpe.loaded(path)) if path.exists() else None
    except CorpusError:
        return None


def open_split(manifest: str | Path, split: str, end_of_text: int | None = None) -> TokenStream:
    """Map the shards of a split; raises InputError where one is missing or cut short."""
    manifest = Path(manifest)
    try:
        rows = contracts.read(manifest, contracts.MANIFEST).to_pylist()
    except contracts.ContractError as error:
        raise InputError(str(error)) from error
    shards = []
    for row in rows:
        if row["split"] != split:
            continue
        path, dtype = manifest.parent / row["shard"], np.dtype(row["dtype"]).newbyteorder("<")
        size = path.stat().st_size if path.exists() else -1
        if size != row["tokens"] * dtype.itemsize:
            fault = "is missing" if size < 0 else f"holds {size} bytes"
            raise InputError(
                f"{path}: {fault}, the manifest counts {row['tokens']} tokens of {dtype.itemsize} "
                f"bytes; delete {manifest.parent} and run snakemake again to tokenize anew"
            )
        if row["tokens"]:
            shards.append(np.memmap(path, dtype, "r"))
    if not shards:
        raise InputError(f"{manifest}: the split {split!r} holds no tokens; give the corpus more")
    return TokenStream(tuple(shards), end_of_text)


@lru_cache(maxsize=2)
def _order(windows: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of all windows in one epoch."""
    order = np.arange(windows, dtype=np.int32 if windows < 2**31 else np.int64)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


class Batches:
    """The batch of each step: a pure function of (seed, step), whatever was asked before.

    The first ``pool`` tokens are cut into windows of ``context`` tokens, each with its successor;
    every epoch visits all of them in an order drawn from (seed, epoch). The number of tokens that
    a run will see does not enter, so runs of one seed see the same text in the same order.
    """

    def __init__(
        self, stream: TokenStream, cell: Cell, device: torch.device, rows: range | None = None
    ):
        """Of each batch the ``rows`` alone where these are given."""
        self.stream, self.cell, self.device = stream, cell, device
        pool = len(stream) if cell.unique_tokens is None else cell.unique_tokens
        self.count = (pool - 1) // cell.context
        self.whole = cell.batch_tokens // cell.context
        self.rows = range(self.whole) if rows is None else rows
        self._first, self._block = -1, torch.empty(0)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Tokens and their successors, (rows, context) int64 each, on the device."""
        steps = max(1, BLOCK // self.cell.batch_tokens)
        first = step // steps * steps
        if first != self._first:
            block = torch.from_numpy(self._cut(first, steps))
            if self.device.type == "cuda":
                block = block.pin_memory().to(self.device, non_blocking=True)
            self._first, self._block = first, block
        rows = len(self.rows)
        batch = self._block[(step - first) * rows : (step - first + 1) * rows]
        return batch[:, :-1], batch[:, 1:]

    def _cut(self, step: int, steps: int) -> np.ndarray:
        batches = np.arange(step, step + steps)[:, None] * self.whole
        places = (batches + np.array(self.rows, np.int64)).ravel()
        starts = [
            int(_order(self.count, self.cell.seed, int(place // self.count))[place % self.count])
            * self.cell.context
            for place in places
        ]
        return self.stream.windows(starts, self.cell.context + 1)
