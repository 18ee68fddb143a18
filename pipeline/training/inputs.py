"""What a training is asked for: specs and a corpus, read and checked before PyTorch is imported.

Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cells import Cell


class InputError(ValueError):
    """A spec, corpus or state that cannot be used; the message names the file and the cure."""


@dataclass(frozen=True)
class CorpusFacts:
    """corpus.json: counts by split, and the digest over the shards."""

    manifest: Path
    key: str
    name: str
    vocab_size: int
    data_sha256: str
    tokens: Mapping[str, int]
    bytes: Mapping[str, int]

    def bits_per_byte(self, loss: float, split: str) -> float:
        """Nats/token as bits/byte of that split's text."""
        return loss / 0.6931471805599453 * self.tokens[split] / self.bytes[split]


SPECS = "--specs takes the files results/cells/*/spec.json, which snakemake writes"


def read_json(path: Path, what: str, cure: str = "delete it") -> dict[str, Any]:
    """A JSON object; raises InputError naming the file and the cure."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read {what} ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: {what} is not valid JSON ({error}); {cure}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: {what} is no JSON object; {cure}")
    return content


def read_cell(path: str | Path) -> Cell:
    """The cell that a spec.json defines; its folder must carry the cell's key."""
    path = Path(path)
    content = read_json(path, "the spec of a cell", SPECS)
    try:
        cell = Cell.from_spec(content)
    except (TypeError, KeyError):
        raise InputError(f"{path}: is not the spec of a cell; {SPECS}") from None
    folder = path.absolute().parent.name
    if folder != cell.key:
        raise InputError(
            f"{path}: the folder is named {folder!r} but this spec's key is {cell.key!r}; "
            "a changed spec is another cell: change the config and let snakemake write it"
        )
    return cell


def read_corpus(manifest: str | Path) -> CorpusFacts:
    """The facts in corpus.json beside a manifest."""
    manifest = Path(manifest)
    path = manifest.parent / "corpus.json"
    if not manifest.exists():
        raise InputError(f"{manifest}: there is no such manifest; run snakemake to make it")
    content = read_json(path, "the corpus")
    try:
        return CorpusFacts(
            manifest, content["key"], content["name"], content["vocab_size"],
            content["data_sha256"], content["tokens"], content["bytes"],
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing; delete {path.parent}") from None


def read_texts(corpus: CorpusFacts, cells: Iterable[Cell]) -> dict[str, CorpusFacts]:
    """The texts that the cells are scored on, when they are finished or all along, by key."""
    folder = corpus.manifest.parent / "evaluation"
    texts = {}
    for key in sorted({key for cell in cells for key in (*cell.evaluate, *cell.along)}):
        texts[key] = read_corpus(folder / key / "manifest.parquet")
        if texts[key].vocab_size != corpus.vocab_size:
            raise InputError(
                f"{folder / key}: was tokenized with {texts[key].vocab_size} tokens, the training "
                f"corpus with {corpus.vocab_size}; delete that folder and run snakemake again"
            )
    return texts


def check(cell: Cell, corpus: CorpusFacts) -> None:
    """Refuse a cell that this corpus cannot train."""
    where, available = corpus.manifest.parent, corpus.tokens["train"]
    if cell.corpus != corpus.key:
        raise InputError(f"{where}: is the corpus {corpus.key!r}, {cell.key} wants {cell.corpus!r}")
    if cell.vocab_size != corpus.vocab_size:
        raise InputError(
            f"{where}: has {corpus.vocab_size} tokens in its vocabulary, {cell.key} was designed "
            f"for vocab_size {cell.vocab_size}; set corpus.tokenizer.vocab_size to "
            f"{corpus.vocab_size}"
        )
    if cell.unique_tokens is not None and cell.unique_tokens > available:
        raise InputError(
            f"{cell.key}: grid.unique_tokens = {cell.unique_tokens} but the training split of "
            f"{where} holds {available} tokens; lower grid.unique_tokens or raise corpus.fraction"
        )
    pool = available if cell.unique_tokens is None else cell.unique_tokens
    usable = max(0, pool - 1) // cell.context * cell.context
    if usable == 0 or (cell.unique_tokens is None and cell.tokens > usable):
        raise InputError(
            f"{cell.key}: wants {cell.tokens} tokens but {where} has {usable} to train on (whole "
            f"windows of {cell.context}); set grid.unique_tokens to repeat data, or lower "
            "grid.tokens"
        )
