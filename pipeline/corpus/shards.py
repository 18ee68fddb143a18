"""Token shards on disk, their manifest, and corpus.json, which repeats the counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline import contracts
from pipeline.corpus import catalog
from pipeline.files import atomic, write_json

SHARD_BYTES = 256_000_000
SPLITS = ("train", "validation", "test", "evaluation")


@dataclass(frozen=True)
class Piece:
    """Tokens of a few consecutive documents of one split; ``bytes`` is that of their text."""

    split: str
    tokens: NDArray
    documents: int
    bytes: int


@dataclass(frozen=True)
class Shard:
    """One written file of tokens."""

    file: str
    split: str
    documents: int
    tokens: int
    bytes: int
    dtype: str
    sha256: str


def written(
    pieces: Iterable[Piece], folder: Path, shard_bytes: int = SHARD_BYTES
) -> Iterator[Shard]:
    """Write ``pieces`` as they come, a new shard after ``shard_bytes`` or where the split changes.

    The training split is numbered (train-00000.bin, ...), the others are one file each. Each
    shard appears whole or not at all; raises OSError naming it when the disk is full.
    """
    for split, own in groupby(pieces, key=lambda piece: piece.split):
        remaining = iter(own)
        for number, first in enumerate(remaining):
            name = f"{split}-{number:05d}.bin" if split == "train" else f"{split}.bin"
            limit = shard_bytes if split == "train" else None
            yield _shard(folder / name, chain([first], remaining), limit)


def _shard(path: Path, pieces: Iterator[Piece], limit: int | None) -> Shard:
    digest, documents, tokens, size, held = hashlib.sha256(), 0, 0, 0, 0
    with atomic(path) as temporary, temporary.open("wb") as file:
        for piece in pieces:
            data = piece.tokens.tobytes()
            file.write(data)
            digest.update(data)
            documents += piece.documents
            tokens += len(piece.tokens)
            size += piece.bytes
            held += len(data)
            if limit is not None and held >= limit:
                break
    return Shard(
        path.name, piece.split, documents, tokens, size, piece.tokens.dtype.name, digest.hexdigest()
    )


def published(
    shards: list[Shard], card: Mapping[str, Any], tokenizer: Path, manifest: Path
) -> dict[str, Any]:
    """Write corpus.json and, last, the manifest; files of earlier attempts are removed.

    ``card`` holds what the shards do not tell: key, vocab_size, sources and the like. Returns the
    contents of corpus.json.
    """
    folder = manifest.parent
    shards = sorted(shards, key=lambda shard: SPLITS.index(shard.split))
    names = {shard.file for shard in shards}
    for path in folder.glob("*.bin"):
        if path.name not in names:
            path.unlink()
    counts = {
        name: {s: sum(getattr(x, name) for x in shards if x.split == s) for s in _splits(shards)}
        for name in ("tokens", "bytes", "documents")
    }
    digests = "".join(shard.sha256 for shard in shards)
    contents = {
        **card,
        **counts,
        "dtype": shards[0].dtype,
        "data_sha256": hashlib.sha256(digests.encode()).hexdigest(),
        "bytes_per_token": {
            split: counts["bytes"][split] / counts["tokens"][split] for split in counts["tokens"]
        },
    }
    write_json(folder / "corpus.json", contents)
    tokenizer_digest = catalog.sha256(tokenizer)
    rows = [
        {
            "corpus": card["key"], "shard": shard.file, "split": shard.split,
            "documents": shard.documents, "tokens": shard.tokens, "bytes": shard.bytes,
            "bytes_per_token": shard.bytes / shard.tokens, "dtype": shard.dtype,
            "sha256": shard.sha256, "tokenizer": tokenizer_digest, "vocab_size": card["vocab_size"],
        }
        for shard in shards
    ]  # fmt: skip
    contracts.write(manifest, rows, contracts.MANIFEST)
    return contents


def _splits(shards: Iterable[Shard]) -> list[str]:
    return list(dict.fromkeys(shard.split for shard in shards))
