"""Speed of the tokenizer on English verse, beside HF tokenizers and with the same ids.

    python benchmarks/tokenizer.py --megabytes 16 --vocab 512 4096 50257

Prints one row for each vocabulary: CPU seconds of one thread, libraries in interleaved turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"  # read by tokenizers when it first works

import numpy as np
from tokenizers import Tokenizer

from pipeline.corpus import bpe, encode, sources


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    found = function()
    return time.process_time() - start, found


def texts(package: str, size: int) -> list[str]:
    """Blocks from the front of a package corpus that hold ``size`` bytes."""
    found, held = [], 0
    for text in sources.documents([{"package": package}], 65536):
        found.append(text)
        held += len(text.encode())
        if held >= size:
            break
    return found


def hf_ids(tokenizer: Tokenizer, documents: list[str]) -> list[np.ndarray]:
    found = tokenizer.encode_batch_fast(documents, add_special_tokens=False)
    return [np.array(encoding.ids, dtype=np.uint32) for encoding in found]


def row(name: str, tokenizer: Tokenizer, training: float, documents: list[str], turns: int) -> str:
    """Measure one tokenizer; raises AssertionError where the ids differ."""
    library = encode.encoder(tokenizer)
    reference = Tokenizer.from_str(tokenizer.to_str())
    reference.encode_special_tokens = True
    size = sum(len(text.encode()) for text in documents)
    times: dict[str, list[float]] = {"own": [], "hf": []}
    for _ in range(turns):
        own_time, own = seconds(lambda: library.encode(documents))
        hf_time, other = seconds(lambda: hf_ids(reference, documents))
        times["own"].append(own_time)
        times["hf"].append(hf_time)
        assert all(np.array_equal(a, b) for a, b in zip(own, other, strict=True)), name
    own_speed, hf_speed = (size / 1e6 / float(np.median(times[k])) for k in ("own", "hf"))
    tokens = sum(map(len, own))
    trained = f"{training:8.1f}" if training else "       -"
    return (
        f"{name:>8} {bpe.vocabulary_size(tokenizer):>8,} {trained} {own_speed:>10.1f} "
        f"{hf_speed:>8.1f} {own_speed / hf_speed:>7.1f} {size / tokens:>10.3f}  {library.name}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=float, default=16, help="text that is encoded")
    parser.add_argument("--sample", type=float, default=8, help="megabytes that a BPE learns from")
    parser.add_argument("--vocab", type=int, nargs="*", default=[512, 4096, 50257])
    parser.add_argument("--package", default="poetry", help="corpus of the catalog")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    documents = texts(arguments.package, int(arguments.megabytes * 1e6))
    print(f"{platform.processor() or platform.machine()}, {arguments.megabytes:g} MB, one thread")
    print("BPE       vocab  learn    encode encode HF   ratio      bytes")
    print("                  MB/s      MB/s     MB/s           per token")
    for vocab_size in arguments.vocab:
        sample = list(bpe.sample((t.encode() for t in documents), int(arguments.sample * 1e6)))
        spent, tokenizer = seconds(lambda: bpe.trained(sample, vocab_size))  # noqa: B023
        speed = sum(len(text.encode()) for text in sample) / 1e6 / spent
        print(row("trained", tokenizer, speed, documents, arguments.turns), flush=True)
    print(row("GPT-2", bpe.gpt2(), 0.0, documents, arguments.turns))


if __name__ == "__main__":
    main()
