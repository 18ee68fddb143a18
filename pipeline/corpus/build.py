"""From a corpus definition to the files of its folder."""

from __future__ import annotations

import fcntl
import heapq
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.corpus import CorpusError, bpe, encode, shards, sources, split, synthetic, tokenfile
from pipeline.corpus.definition import vocab_size
from pipeline.corpus.progress import say, shown
from pipeline.corpus.shards import Piece
from pipeline.files import atomic

EVALUATION_PIECES = 16  # an evaluation text is drawn from at least so many places


@contextmanager
def working_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder inside ``folder``, which no other process builds in meanwhile.

    What a killed attempt left is removed; raises CorpusError when another process is at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CorpusError(
                f"{folder}: another process is building this corpus; wait for it to end"
            ) from error
        for left in folder.glob(".*.tmp"):
            left.unlink()
        scratch = folder / ".scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(lock)


def tokenized(card: Mapping[str, Any], manifest: Path, workers: int) -> dict[str, Any]:
    """Build the corpus of a definition.json beside ``manifest``; returns corpus.json's contents.

    Raises CorpusError for what the sources hold, OSError for what the disk refuses.
    """
    definition = card["definition"]
    source = definition["sources"][0]
    if definition["validation_bytes"] < 1:
        raise CorpusError(
            f"corpus.validation_bytes: {definition['validation_bytes']} leaves nothing to "
            "validate on; give a positive number of bytes"
        )
    with working_folder(manifest.parent) as scratch:
        entropy_rate = None
        if "synthetic" in source:
            language, text = synthetic.corpus(source["synthetic"])
            entropy_rate = language.entropy_rate
            tokenizer = synthetic.tokenizer(language.symbols)
            pieces = synthetic.pieces(text, definition)
        elif "tokens" in source:
            tokenizer = _given_tokenizer(definition["tokenizer"])
            path = Path(source["tokens"])
            pieces = tokenfile.pieces(path, tokenizer, definition)
        else:
            tokenizer, pieces = _from_text(definition, scratch, workers)
        tokenizer_path = manifest.with_name("tokenizer.json")
        with atomic(tokenizer_path) as temporary:
            tokenizer.save(str(temporary))
        written = list(shards.written(_trainable(pieces, definition), manifest.parent))
        return shards.published(
            written, _provenance(card, tokenizer, entropy_rate), tokenizer_path, manifest
        )


def _trainable(pieces: Iterable[Piece], definition: Mapping[str, Any]) -> Iterator[Piece]:
    """``pieces`` unchanged; raises CorpusError when none was left for training."""
    held, trained = 0, False
    for piece in pieces:
        held += piece.bytes
        trained |= piece.split == "train"
        yield piece
    if not trained:
        raise _nothing_left(definition, held)


def _nothing_left(definition: Mapping[str, Any], held: int) -> CorpusError:
    return CorpusError(
        f"corpus.validation_bytes: {definition['validation_bytes']} and corpus.test_bytes: "
        f"{definition['test_bytes']} leave nothing to train on: after fraction and deduplication "
        f"the sources hold {held} bytes, in documents or blocks that are kept whole; lower them or "
        "corpus.block_bytes, raise corpus.fraction, or add sources"
    )


def _from_text(
    definition: Mapping[str, Any], scratch: Path, workers: int
) -> tuple[Tokenizer, Iterator[Piece]]:
    """The tokenizer of a text corpus, and its pieces, yet to be encoded."""
    found = sources.documents(definition["sources"], definition["block_bytes"])
    order = split.Order(
        shown(found, "read", lambda text: len(text)),
        scratch, definition["seed"], definition["fraction"], definition["deduplicate"],
    )  # fmt: skip
    held_out = {name: definition[f"{name}_bytes"] for name in ("validation", "test")}

    def assigned() -> Iterator[tuple[str, bytes]]:
        return split.assigned(order.documents(), held_out, len, split.shortened)

    def training() -> Iterator[bytes]:
        return (text for name, text in assigned() if name == "train")

    if next(training(), None) is None:
        raise _nothing_left(definition, sum(map(len, order.documents())))
    choice = definition["tokenizer"]
    if {"file", "name"} & set(choice):
        tokenizer = _given_tokenizer(choice)
    else:
        size = vocab_size(definition)
        say(f"tokenizer: learning {size} tokens from {choice['sample_bytes'] / 1e6:g} MB")
        tokenizer = bpe.trained(bpe.sample(training(), choice["sample_bytes"]), size)
    return tokenizer, _encoded(assigned(), tokenizer, workers, order.bytes_kept)


def _encoded(
    documents: Iterable[tuple[str, bytes]], tokenizer: Tokenizer, workers: int, total: int
) -> Iterator[Piece]:
    library = encode.encoder(tokenizer)
    if library.name != "tiktoken":
        say(
            "encode: this tokenizer.json is no plain byte-level BPE with GPT-2's pattern, so the "
            "slower tokenizers library encodes"
        )
    pieces = encode.encoded(documents, tokenizer, library, workers)
    return shown(pieces, "encode", lambda piece: piece.bytes, total)


def _given_tokenizer(choice: Mapping[str, Any]) -> Tokenizer:
    return bpe.loaded(Path(choice["file"])) if "file" in choice else bpe.gpt2()


def _provenance(
    card: Mapping[str, Any], tokenizer: Tokenizer, entropy_rate: float | None
) -> dict[str, Any]:
    """What corpus.json says beside the counts; ``entropy_rate`` is in nats/token."""
    found = sources.provenance(card["definition"]["sources"])
    return {
        "key": card["key"],
        "name": card["name"],
        "vocab_size": bpe.vocabulary_size(tokenizer),
        "entropy_rate": entropy_rate,
        "sources": found,
        "licences": sorted({x["licence"] for x in found if "licence" in x}),
    }


def evaluated(
    card: Mapping[str, Any], tokenizer_path: Path, manifest: Path, workers: int
) -> dict[str, Any]:
    """Encode ``bytes`` of another text with a corpus's tokenizer; returns corpus.json's contents.

    The text is drawn from all over its sources: the documents of least rank, long ones cut into
    pieces of at most a sixteenth of what is asked for. Memory holds only the text drawn.
    """
    definition = card["definition"]
    wanted = definition["bytes"]
    with working_folder(manifest.parent):
        tokenizer = bpe.loaded(tokenizer_path)
        found = shown(_short_documents(definition, wanted), "read", lambda text: len(text))
        drawn = _least_ranked(found, wanted)
        if (held := sum(map(len, drawn))) < wanted:
            say(f"{card['name']}: holds only {held} of the {wanted} bytes asked for")
        documents = (("evaluation", text) for text in drawn)
        written = list(
            shards.written(_encoded(documents, tokenizer, workers, held), manifest.parent)
        )
        return shards.published(
            written, _provenance(card, tokenizer, None), tokenizer_path, manifest
        )


def _short_documents(definition: Mapping[str, Any], wanted: int) -> Iterator[str]:
    longest = max(1, wanted // EVALUATION_PIECES)
    for text in sources.documents(definition["sources"], longest):
        if len(text) <= longest:
            yield text
        else:
            yield from sources.blocks(text.removesuffix("\n").split("\n"), longest)


def _least_ranked(documents: Iterable[str], wanted: int) -> list[bytes]:
    """The documents of least rank that together hold ``wanted`` bytes, in order of rank."""
    heap: list[tuple[int, bytes]] = []  # greatest rank first
    held = 0
    for text in documents:
        data = text.encode()
        heapq.heappush(heap, (-split.rank(data, 0), data))
        held += len(data)
        while held - len(heap[0][1]) >= wanted:
            held -= len(heapq.heappop(heap)[1])
    return [data for _, data in sorted(heap, reverse=True)]
