"""What it costs to score a model on all tasks, in training steps, in interleaved turns.

    python benchmarks/tasks.py [--turns 7] [--context 32] [--tokens 1024] [--sizes 25k 98k]

Questions are made from the first MB of the corpus poetry, in a vocabulary learnt from it. Prints,
for each size, the CPU time of scoring all tasks over that of a training step, the same for the loss
on 130 kB of text, and what tasks add to a training of 2M tokens from warmup step 50 on, scored once
an octave and at the end. Medians of the ratios within a turn, so that other load cancels.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from step import CPU, SIZES, cell, cpu_seconds, machine, parser_of, text_of

from pipeline.corpus import bpe, catalog
from pipeline.tasks import TASKS
from pipeline.training.allocation import keep_freed_memory
from pipeline.training.data import TokenStream
from pipeline.training.evaluation import evaluate
from pipeline.training.learner import Learner, resolve_precision
from pipeline.training.questions import Questions

TRAINED, WARMUP = 2_000_000, 50  # tokens and steps
VALIDATION = 130_000  # bytes


def corpus(folder: Path, vocab: int) -> tuple[Path, TokenStream]:
    """Where a manifest with its tokenizer would stand, and a validation text."""
    text = "\n".join(islice(catalog.texts("poetry"), 40_000))
    tokenizer = bpe.trained([text[:1_000_000]], vocab)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(text[-VALIDATION:]).ids
    return folder / "manifest.parquet", TokenStream((np.array(ids, np.uint16),))


def ratios(
    size: str, manifest: Path, text: TokenStream, options: argparse.Namespace
) -> list[list[float]]:
    """(seconds of all tasks, of the loss on the text) over those of a step, in each turn."""
    made = cell(SIZES[size], options.vocab, options.context, options.tokens)
    learner = Learner(made, CPU, resolve_precision("auto", CPU))
    questions = Questions(manifest, text, options.context, options.vocab)
    names = [name for name, task in TASKS.items() if task.vocabulary <= options.vocab]
    batch = torch.from_numpy(
        text.windows(range(0, options.tokens, options.context), options.context + 1)
    )
    works = (
        lambda: questions.scores(names, learner),
        lambda: evaluate(learner, text, options.context),
        lambda: learner.step(batch[:, :-1], batch[:, 1:], 0.01, 0),
    )
    for work in works:
        cpu_seconds(work, options.seconds)
    found = []
    for _ in range(options.turns):
        *scored, step = (cpu_seconds(work, options.seconds) for work in works)
        found.append([one / step for one in scored])
    return found


def main() -> None:
    options = parser_of(__doc__, 0.3, ("6k", "25k", "98k", "393k")).parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(machine(), text_of(options), sep="\n")
    steps = TRAINED / options.tokens
    evaluations = math.floor(math.log2(steps / WARMUP)) + 2
    print(f"{'size':>6} {'tasks / step':>13} {'loss / step':>12} {'tasks in 2M tokens':>19}")
    with tempfile.TemporaryDirectory() as folder:
        manifest, text = corpus(Path(folder), options.vocab)
        for size in options.sizes:
            found = ratios(size, manifest, text, options)
            tasks, loss = (statistics.median(column) for column in zip(*found))
            share = evaluations * tasks / steps
            print(f"{size:>6} {tasks:>13.1f} {loss:>12.1f} {share:>19.1%}", flush=True)


if __name__ == "__main__":
    main()
