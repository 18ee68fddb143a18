"""Command line of the corpus stage: ``python -m pipeline.corpus tokenize | evaluation``."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.config import ConfigError
from pipeline.corpus import CorpusError


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.corpus",
        description="Turn text into token shards, a tokenizer.json and a manifest.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    tokenize = commands.add_parser(
        "tokenize",
        help="split, deduplicate and tokenize the text that models train on",
        description="Writes train-*.bin, validation.bin, test.bin, tokenizer.json, corpus.json "
        "and, last, the manifest, all beside it.",
    )
    evaluation = commands.add_parser(
        "evaluation",
        help="tokenize another text with a corpus's tokenizer",
        description="Writes evaluation.bin, corpus.json and, last, the manifest, all beside it.",
    )
    evaluation.add_argument(
        "--tokenizer", type=Path, required=True, help="tokenizer.json of the training corpus"
    )
    for command in (tokenize, evaluation):
        command.add_argument(
            "definition", type=Path, help="definition.json: key, name and definition of the corpus"
        )
        command.add_argument("--out", type=Path, required=True, help="the manifest to write")
        command.add_argument(
            "--workers",
            type=int,
            default=os.cpu_count(),
            help="threads that encode (default: the processors at hand)",
        )
    found = parser.parse_args(argv)
    if found.workers < 1:
        parser.error(f"--workers: {found.workers} is less than 1")
    return found


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorpusError(f"{path}: is no JSON ({error}); let the workflow write it") from error
    if missing := {"key", "name", "definition"} - set(card):
        raise CorpusError(f"{path}: lacks the key {min(missing)!r}; let the workflow write it")
    return card


def _refusal(error: OSError, folder: Path) -> str:
    """What the system refused; a failed write to scratch files carries no name of its own."""
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and "could not" not in str(error):
        return (
            f"could not write in {folder}: {error.strerror}. Nothing was left half written; free "
            "some space (the text that is kept, and 16 bytes a line) and run the same command again"
        )
    return error.strerror or str(error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 after one line on standard error."""
    arguments = _arguments(argv)
    os.environ.setdefault("RAYON_NUM_THREADS", str(arguments.workers))  # read by tokenizers
    from pipeline.corpus import build

    try:
        card = _card(arguments.definition)
        if arguments.command == "tokenize":
            found = build.tokenized(card, arguments.out, arguments.workers)
        else:
            found = build.evaluated(card, arguments.tokenizer, arguments.out, arguments.workers)
    except (CorpusError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {_refusal(error, arguments.out.parent)}", file=sys.stderr)
        return 2
    counts = ", ".join(f"{count:,} {split}" for split, count in found["tokens"].items())
    print(f"{found['key']}: {counts} tokens", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
