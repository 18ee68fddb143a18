"""What it costs to measure the gradient's noise scale, per model size, in interleaved turns.

    python benchmarks/noise.py [--turns 7] [--context 32] [--tokens 1024] [--sizes 1.5k 98k]

Prints, for each size, the CPU time of a step that measures over that of one that does not, and
what is added to a training that measures at every 16th step. Medians of the ratios within a turn,
so that other load on the machine cancels.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import torch
from step import CPU, SIZES, cell, cpu_seconds, machine, parser_of, text_of

from pipeline.training.allocation import keep_freed_memory
from pipeline.training.learner import Learner, resolve_precision

EVERY = 16


def ratios(size: str, options: argparse.Namespace) -> list[float]:
    """Seconds of a step that measures over those of one that does not, in each turn."""
    made = cell(SIZES[size], options.vocab, options.context, options.tokens)
    text = torch.randint(
        options.vocab, (options.tokens // options.context, options.context + 1),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    works = []
    for one in (replace(made, noise_every=1), made):
        learner = Learner(one, CPU, resolve_precision("auto", CPU))
        works.append(lambda of=learner: of.step(text[:, :-1], text[:, 1:], 0.01, 0))
    for work in works:
        cpu_seconds(work, options.seconds)
    found = []
    for _ in range(options.turns):
        measured, plain = (cpu_seconds(work, options.seconds) for work in works)
        found.append(measured / plain)
    return found


def main() -> None:
    options = parser_of(__doc__, 0.3, SIZES).parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(machine(), text_of(options), sep="\n")
    print(f"{'size':>6} {'measured / plain':>17} {f'at every {EVERY}th':>14}")
    for size in options.sizes:
        ratio = statistics.median(ratios(size, options))
        print(f"{size:>6} {ratio:>17.3f} {(ratio - 1) / EVERY:>14.1%}", flush=True)


if __name__ == "__main__":
    main()
