"""Text to token ids, fast: tiktoken over the merges of a tokenizer.json, the same ids as HF's."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import tiktoken
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.corpus import bpe
from pipeline.corpus.shards import Piece

# GPT-2's pattern; possessive quantifiers spare backtracking and match the same.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
BATCH_BYTES = 1 << 20  # text that one thread encodes at a time
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Encoder(Protocol):
    """Turns text into ids; special tokens are never read from text."""

    name: str

    def encode(self, texts: list[str]) -> list[NDArray[np.uint32]]: ...


class _Tokenizers:
    name = "tokenizers"

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.encode_special_tokens = True

    def encode(self, texts: list[str]) -> list[NDArray[np.uint32]]:
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in found]


class _Tiktoken:
    name = "tiktoken"

    def __init__(self, encoding: tiktoken.Encoding, reference: _Tokenizers):
        self._encoding = encoding
        self._reference = reference

    def encode(self, texts: list[str]) -> list[NDArray[np.uint32]]:
        return [self._ids(text) for text in texts]

    def _ids(self, text: str) -> NDArray[np.uint32]:
        try:
            # Nothing is disallowed: the name of a special token is text like any other.
            return self._encoding.encode_to_numpy(text, disallowed_special=())
        except ValueError:  # its pattern gives up on white space of about a million characters
            return self._reference.encode([text])[0]


def byte_alphabet() -> dict[str, int]:
    """Character -> byte of byte-level vocabularies: printable bytes stand for themselves.

    The others take the characters from U+0100 on, in order (Radford et al. 2019's encoder).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def byte_ranks(tokenizer: Tokenizer) -> dict[bytes, int] | None:
    """Bytes -> id of a plain byte-level BPE with GPT-2's pattern; None for anything else."""
    parts = json.loads(tokenizer.to_str())
    model, split = parts["model"], parts["pre_tokenizer"] or {}
    plain = (
        model["type"] == "BPE"
        and not model.get("dropout")
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and parts["normalizer"] is None
        and split.get("type") == "ByteLevel"
        and not split["add_prefix_space"]
        and split["use_regex"]
        and all(token["special"] for token in parts["added_tokens"])
    )
    if not plain:
        return None
    alphabet = byte_alphabet()
    special = {token["content"] for token in parts["added_tokens"]}
    vocab = {token: id_ for token, id_ in model["vocab"].items() if token not in special}
    merged = [vocab.get("".join(pair), -1) for pair in model["merges"]]
    if merged != sorted(set(merged)) or not set(alphabet) <= set(vocab):
        return None  # tiktoken takes the order of ids for the order of merges
    if len(vocab) != len(alphabet) + len(merged) or not set("".join(vocab)) <= set(alphabet):
        return None
    return {bytes(map(alphabet.__getitem__, token)): id_ for token, id_ in vocab.items()}


def encoder(tokenizer: Tokenizer) -> Encoder:
    """The fastest encoder that gives the ids of ``tokenizer``; ``name`` says whose it is.

    tiktoken takes a word that is a token as it stands, where HF always merges: so it is used only
    where every token's own text comes out the same.
    """
    ranks = byte_ranks(tokenizer)
    reference = _Tokenizers(tokenizer)
    if ranks is None:
        return reference
    end = {bpe.END_OF_TEXT: bpe.end_of_text(tokenizer)}  # with no special token it is slower
    encoding = tiktoken.Encoding(
        "corpus", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=end
    )
    fast = _Tiktoken(encoding, reference)
    words = [token.decode(errors="ignore") for token in ranks]
    same = all(map(np.array_equal, fast.encode(words), reference.encode(words)))
    return fast if same else reference


def token_bytes(tokenizer: Tokenizer) -> NDArray[np.int64] | None:
    """Bytes of text behind each id of a plain byte-level BPE, 0 for special tokens."""
    ranks = byte_ranks(tokenizer)
    if ranks is None:
        return None
    lengths = np.zeros(bpe.vocabulary_size(tokenizer), dtype=np.int64)
    for token, id_ in ranks.items():
        lengths[id_] = len(token)
    return lengths


def dtype(vocab_size: int) -> np.dtype:
    """The smallest type that holds every id: uint16 up to 65536 tokens, then uint32."""
    return np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)


def mapped(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Iterator[_Result]:
    """``map`` over threads, in order, with at most two items for each of them under way."""
    if workers == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(documents: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    """Consecutive documents of one split, about ``BATCH_BYTES`` of them at a time."""
    batch: list[bytes] = []
    split, held = "", 0
    for own, document in documents:
        if batch and (own != split or held >= BATCH_BYTES):
            yield split, batch
            batch, held = [], 0
        split = own
        batch.append(document)
        held += len(document)
    if batch:
        yield split, batch


def encoded(
    documents: Iterable[tuple[str, bytes]], tokenizer: Tokenizer, library: Encoder, workers: int
) -> Iterator[Piece]:
    """Pieces of (split, document) pairs, in order, encoded on ``workers`` threads.

    Threads do: the libraries release the interpreter's lock while they encode.
    """
    type_ = dtype(bpe.vocabulary_size(tokenizer))
    end = np.array([bpe.end_of_text(tokenizer)], dtype=np.uint32)

    def piece(batch: tuple[str, list[bytes]]) -> Piece:
        split, texts = batch
        ids: list[NDArray[np.uint32]] = []
        for own in library.encode([text.decode() for text in texts]):
            ids += (own, end)
        return Piece(split, np.concatenate(ids).astype(type_), len(texts), sum(map(len, texts)))

    yield from mapped(piece, _batches(documents), workers)
