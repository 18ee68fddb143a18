"""What a config says of a corpus, checked before anything is read. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.cells import digest
from pipeline.config import ConfigError, number

CORPUS_RECIPE = 1  # raised when the same corpus config would give other tokens
GPT2_VOCAB = 50257
KINDS = ("package", "files", "tokens", "synthetic", "practice")  # of sources
PRACTICE_SLACK = 64  # bytes, that the last line of practice text may be longer
# UTF-8 bytes of the corpora that install with pip: an upper bound of their tokens.
PACKAGE_BYTES = {"poetry": 121_800_000, "encyclopedia": 5_100_000, "dictionary": 17_800_000,
                 "bible": 4_300_000}  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """A text and its tokens; ``key`` names its folder, ``definition`` is the config behind it."""

    name: str
    definition: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        return f"{self.name}-{digest([CORPUS_RECIPE, self.definition])}"

    @property
    def card(self) -> dict[str, Any]:
        """What the corpus stage reads: definition.json."""
        return {"key": self.key, "name": self.name, "definition": dict(self.definition)}

    @property
    def files(self) -> list[str]:
        """Every file that the sources name, globs expanded, sorted within each source."""
        found = []
        for index, source in enumerate(self.definition["sources"]):
            found += source_files(source, f"sources[{index}]")
        if tokenizer := self.definition.get("tokenizer", {}).get("file"):
            found.append(tokenizer)
        return found


def _matches(pattern: str) -> Iterator[Path]:
    """The paths of a pattern; the part before the first wildcard is the folder searched."""
    path = Path(pattern)
    depth = next((i for i, part in enumerate(path.parts) if set("*?[") & set(part)), None)
    if depth is None:
        yield path
    else:
        yield from Path(*path.parts[:depth]).glob(str(Path(*path.parts[depth:])))


def source_files(source: Mapping[str, Any], key: str) -> list[str]:
    """The files of one source; raises ConfigError where a path or glob names none."""
    patterns = source.get("files", [])
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    if "tokens" in source:
        patterns.append(source["tokens"])
    found = []
    for pattern in patterns:
        matches = sorted(str(p) for p in _matches(pattern) if p.is_file())
        if not matches:
            raise ConfigError(
                f"{key}.files", pattern, "names no file",
                "give a path or glob relative to the folder that snakemake runs in",
            )  # fmt: skip
        found += matches
    return found


def _positive(key: str, value: Any) -> int:
    """A count of at least 1."""
    count = int(number(key, value))
    if count < 1:
        raise ConfigError(key, value, "is less than 1", "give a number of bytes")
    return count


def corpus(config: Mapping[str, Any]) -> Corpus:
    """The corpus of a completed config; raises ConfigError where it makes no sense."""
    definition = {k: v for k, v in config.items() if k != "name"}
    for key in ("validation_bytes", "test_bytes"):
        definition[key] = _positive(f"corpus.{key}", config[key])
    tokenizer = dict(config["tokenizer"])
    if len({"vocab_size", "file", "name"} & set(tokenizer)) > 1:
        raise ConfigError(
            "corpus.tokenizer", tokenizer, "makes two choices", "keep one of vocab_size, file, name"
        )
    tokenizer["sample_bytes"] = _positive(
        "corpus.tokenizer.sample_bytes", tokenizer["sample_bytes"]
    )
    definition["tokenizer"] = tokenizer
    for index, source in enumerate(config["sources"]):
        _check_source(source, tokenizer, f"corpus.sources[{index}]", len(config["sources"]))
    return Corpus(config["name"], definition)


def _check_source(
    source: Mapping[str, Any], tokenizer: Mapping[str, Any], key: str, count: int
) -> None:
    kinds = [kind for kind in KINDS if kind in source]
    if len(kinds) != 1:
        raise ConfigError(
            key, dict(source), f"names {len(kinds)} kinds of source",
            f"give exactly one of {', '.join(KINDS)}",
        )  # fmt: skip
    if kinds[0] in ("tokens", "synthetic") and count > 1:
        raise ConfigError(key, dict(source), "cannot be mixed with other sources", "give it alone")
    if kinds[0] == "tokens" and not {"file", "name"} & set(tokenizer):
        raise ConfigError(
            f"{key}.tokens", source["tokens"], "needs the tokenizer that made it",
            "set corpus.tokenizer.file or corpus.tokenizer.name",
        )  # fmt: skip
    if kinds[0] == "practice":
        _positive(f"{key}.practice.bytes", source["practice"]["bytes"])


def evaluation(
    corpus: Corpus, item: Mapping[str, Any], config: Mapping[str, Any], key: str
) -> Corpus:
    """A text that finished models are scored on, under the tokenizer of ``corpus``."""
    if "synthetic" in corpus.definition["sources"][0]:
        raise ConfigError(
            key, item["name"], "is text, which a model of a synthetic language cannot read",
            "remove it from evaluation.corpora",
        )  # fmt: skip
    for index, source in enumerate(item["sources"]):
        _check_source(source, {}, f"{key}.sources[{index}]", len(item["sources"]))
        if "tokens" in source or "synthetic" in source:
            raise ConfigError(
                f"{key}.sources[{index}]",
                dict(source),
                "is not text",
                "evaluate on package or files",
            )
    definition = {
        "sources": item["sources"],
        "bytes": _positive("evaluation.bytes", config["bytes"]),
        "of": corpus.key,
    }
    return Corpus(item["name"], definition)


def vocab_size(config: Mapping[str, Any]) -> int:
    """Size of the vocabulary that a corpus config leads to."""
    tokenizer = config["tokenizer"]
    if "synthetic" in config["sources"][0]:
        if {"vocab_size", "file", "name"} & set(tokenizer):
            raise ConfigError(
                "corpus.tokenizer", dict(tokenizer), "has no use with a synthetic source",
                "remove it: the symbols are the tokens",
            )  # fmt: skip
        return config["sources"][0]["synthetic"]["symbols"]
    if tokenizer.get("name") == "gpt2":
        return GPT2_VOCAB
    if "file" in tokenizer:
        path = Path(tokenizer["file"])
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            ids = [*content["model"]["vocab"].values()]
            ids += [added["id"] for added in content.get("added_tokens", [])]
            return max(ids) + 1
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ConfigError(
                "corpus.tokenizer.file", str(path), "is no readable tokenizer.json",
                f"give a file that HF tokenizers saved ({type(error).__name__}: {error})",
            ) from error  # fmt: skip
    return tokenizer.get("vocab_size", 512)


def most_tokens(config: Mapping[str, Any]) -> int | None:
    """An upper bound of the tokens of a corpus that was not read yet; None where unknown.

    A token stands for at least one byte; a synthetic language gives as many as asked for.
    """
    total = 0.0
    for index, source in enumerate(config["sources"]):
        if "synthetic" in source:
            total += number(
                f"corpus.sources[{index}].synthetic.tokens", source["synthetic"]["tokens"]
            )
        elif "practice" in source:
            share = number(f"corpus.sources[{index}].practice.bytes", source["practice"]["bytes"])
            total += share + PRACTICE_SLACK
        elif source.get("package") in PACKAGE_BYTES:
            total += PACKAGE_BYTES[source["package"]] * config["fraction"]
        else:
            return None
    return int(total)
