"""An existing file of token ids: checked against its tokenizer and split by contiguous blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.corpus import CorpusError, bpe, encode, split
from pipeline.corpus.shards import Piece

SAMPLE = 2**20  # tokens whose text tells how many tokens make a block


def opened(path: Path, type_: str) -> NDArray:
    """The ids of a file, memory-mapped; raises CorpusError where its size fits no such ids."""
    size, item = path.stat().st_size, np.dtype(type_).itemsize
    if size == 0:
        raise CorpusError(f"{path}: is empty; remove it from the sources")
    if size % item:
        raise CorpusError(
            f"{path}: {size} bytes are no whole number of {type_} ids; set the source's dtype"
        )
    return np.memmap(path, dtype=type_, mode="r")


def text_bytes(tokenizer: Tokenizer) -> Callable[[NDArray], int]:
    """How many bytes of UTF-8 text stand behind an array of ids."""
    lengths = encode.token_bytes(tokenizer)
    if lengths is not None:
        return lambda ids: int(lengths[ids].sum())
    return lambda ids: len(tokenizer.decode(ids.tolist()).encode())


def pieces(path: Path, tokenizer: Tokenizer, definition: Mapping[str, Any]) -> Iterator[Piece]:
    """The file's blocks, of about ``block_bytes`` of text each, in the order of their ranks.

    Raises CorpusError for an id beyond the vocabulary and for a file with nothing to train on.
    """
    ids = opened(path, definition["sources"][0]["dtype"])
    vocab_size = bpe.vocabulary_size(tokenizer)
    measure = text_bytes(tokenizer)
    head = ids[:SAMPLE]
    _check(path, head, 0, vocab_size)
    length = max(1, round(definition["block_bytes"] * len(head) / max(1, measure(head))))
    ranked = []
    for start in range(0, len(ids), length):
        block = ids[start : start + length]
        _check(path, block, start, vocab_size)
        rank = split.rank(block.tobytes(), definition["seed"])
        if rank < int(definition["fraction"] * 2**64):
            ranked.append((rank, start))
    held_out = {name: definition[f"{name}_bytes"] for name in ("validation", "test")}
    blocks = ((ids[start : start + length]) for _, start in sorted(ranked))
    type_ = encode.dtype(vocab_size)
    for name, block in split.assigned(blocks, held_out, measure, lambda ids, _: ids):
        yield Piece(name, block.astype(type_), 1, measure(block))


def _check(path: Path, ids: NDArray, start: int, vocab_size: int) -> None:
    if ids.max() >= vocab_size:
        place = int(np.argmax(ids >= vocab_size))
        raise CorpusError(
            f"{path}: the token at position {start + place} is {ids[place]}, beyond the "
            f"vocabulary of {vocab_size}; give the tokenizer that made the file, or its dtype"
        )
