"""Speed of the training step per model size, fast path beside plain path, in interleaved turns.

    python benchmarks/step.py [--turns 7] [--context 32] [--tokens 1024] [--sizes 1.5k 98k]
    python benchmarks/step.py --families

Prints, for each size and precision: tokens per CPU-second, FLOP/s (attention and head included),
their share of the largest matmul rate measured in the same run, and the ratio to the plain path
in float32. ``--families`` sets LSTMs and recurrent transformers of like N beside the transformer
instead, and the ratio is to that. Each turn times every variant once, in CPU time; the median of
the turns counts, and ratios are medians of the ratios within a turn, so that other load on the
machine cancels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import torch

from pipeline import accounting, provenance
from pipeline.accounting import Shape
from pipeline.cells import Cell
from pipeline.training.allocation import keep_freed_memory
from pipeline.training.learner import Learner, resolve_precision

SIZES = {
    "1.5k": Shape(2, 8, 32, 1), "6k": Shape(2, 16, 64, 1), "25k": Shape(2, 32, 128, 2),
    "98k": Shape(2, 64, 256, 4), "393k": Shape(2, 128, 512, 4), "1M": Shape(5, 128, 512, 4),
    "3M": Shape(4, 256, 1024, 8),
}  # fmt: skip
FAMILIES = {
    size: {
        "transformer": SIZES[size],
        **{f"lstm {layers}": Shape(layers, width, 0, 0, "lstm") for layers, width in widths},
        "recurrent x2": replace(SIZES[size], family="recurrent", reuse=2),
    }
    for size, widths in {
        "6k": ((1, 28), (2, 20), (4, 14)), "98k": ((1, 111), (2, 78), (4, 55)),
        "1M": ((1, 350), (2, 248), (4, 175)),
    }.items()
}  # fmt: skip
VARIANTS = {"fp32 plain": ("fp32", False), "fp32": ("fp32", True), "bf16": ("bf16", True)}
CPU = torch.device("cpu")
GPU_CALLS = 8  # between looks at the clock: each look waits for the GPU


def cell(shape: Shape, vocab: int, context: int, batch: int) -> Cell:
    """A cell of the toy study's form."""
    return Cell(
        corpus="none", family=shape.family, reuse=shape.reuse, n_layer=shape.n_layer,
        d_model=shape.d_model, d_ff=shape.d_ff, n_head=shape.n_head, context=context,
        vocab_size=vocab, dropout=0.0, tokens=1000 * batch, unique_tokens=None,
        batch_tokens=batch, steps=1000,
        lr=0.2 / shape.d_model, lr_embedding=0.64 / shape.d_model, schedule="wsd", warmup_steps=50,
        cooldown_steps=200, final_lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, clip=1.0,
        precision="auto", seed=0, recipe=1, evaluations_per_octave=1, evaluate=(),
    )  # fmt: skip


def cpu_seconds(work: Callable[[], object], least: float) -> float:
    """CPU seconds of one call, repeated until ``least`` seconds have gone."""
    return seconds_of(work, least, "cpu")


def seconds_of(work: Callable[[], object], least: float, device: str) -> float:
    """Seconds of one call, of the CPU or by the clock of a GPU's work; repeated for ``least``."""
    on_gpu = device == "cuda"
    clock, wait = time.process_time, torch.cuda.synchronize
    if on_gpu:
        clock = time.monotonic
        wait()
    calls, begun = 0, clock()
    while calls == 0 or clock() - begun < least:
        work()
        calls += 1
        if on_gpu and calls % GPU_CALLS == 0:
            wait()
    if on_gpu:
        wait()
    return (clock() - begun) / calls


def matmul_peaks(turns: int, device: str = "cpu") -> dict[str, float]:
    """The best FLOP/s of one thread, or of a GPU, over some matmul shapes, by precision."""
    peaks = {}
    shapes = ((1024, 64, 256), (1024, 256, 1024), (1024, 1024, 1024))
    if device == "cuda":
        shapes = ((4096, 4096, 4096), (8192, 8192, 8192))
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rates = []
        for m, k, n in shapes:
            a, b = (torch.randn(*of, device=device).to(dtype) for of in ((m, k), (n, k)))
            for _ in range(turns):
                taken = seconds_of(lambda a=a, b=b: a @ b.t(), 0.02, device)
                rates.append(2 * m * k * n / taken)
        peaks[name] = max(rates)
    return peaks


def variants(name: str, options: argparse.Namespace) -> dict[str, tuple[Shape, str, bool]]:
    """What is timed of a size: label -> shape, precision, fast path or plain."""
    if not options.families:
        return {label: (SIZES[name], *how) for label, how in VARIANTS.items()}
    return {
        f"{label} {precision}": (shape, precision, True)
        for label, shape in FAMILIES[name].items()
        for precision in dict.fromkeys(("fp32", resolve_precision("auto", CPU)))
    }


def turns_of(
    timed: Mapping[str, tuple[Shape, str, bool]], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Label -> seconds per step in each turn."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(
        options.vocab, (options.tokens // options.context, options.context + 1),
        generator=generator,
    )  # fmt: skip
    works = {}
    for label, (shape, precision, fast) in timed.items():
        made = cell(shape, options.vocab, options.context, options.tokens)
        learner = Learner(made, CPU, precision, fast)
        works[label] = lambda learner=learner: learner.step(text[:, :-1], text[:, 1:], 0.01, 0)
        for _ in range(5):
            works[label]()
    seconds: dict[str, list[float]] = {label: [] for label in works}
    for _ in range(options.turns):
        for label, work in works.items():
            seconds[label].append(cpu_seconds(work, options.seconds))
    return seconds


def parser_of(
    program: str, seconds: float, sizes: Iterable[str] = (), choices: Iterable[str] = SIZES
) -> argparse.ArgumentParser:
    """The options that the programs on training steps share, from what a program says of itself.

    ``seconds`` and ``sizes`` are its own defaults, of the sizes ``choices``.
    """
    parser = argparse.ArgumentParser(description=program.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=seconds, help="CPU seconds of a turn")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens per step")
    parser.add_argument("--context", type=int, default=32)
    parser.add_argument("--vocab", type=int, default=512)
    parser.add_argument("--sizes", nargs="+", choices=list(choices), default=list(sizes))
    return parser


def machine() -> str:
    """What a measurement is made on, and when."""
    return f"{provenance.processor()}, torch {torch.__version__}, 1 thread, {provenance.now()}"


def text_of(options: argparse.Namespace) -> str:
    """The size of what a step is made on."""
    return f"context {options.context}, vocabulary {options.vocab}, {options.tokens} tokens a step"


def main() -> None:
    parser = parser_of(__doc__, 0.1)
    parser.add_argument("--families", action="store_true", help="families beside one another")
    parser.add_argument("--default-allocation", action="store_true", help="leave malloc alone")
    options = parser.parse_args()
    names = options.sizes or list(FAMILIES if options.families else SIZES)
    if options.families and not set(names) <= set(FAMILIES):
        parser.error(f"--sizes: with --families choose from {', '.join(FAMILIES)}")
    torch.set_num_threads(1)
    if not options.default_allocation:
        keep_freed_memory()
    peaks = matmul_peaks(options.turns)
    print(machine())
    print("matmul peak: " + ", ".join(f"{k} {v / 1e9:.0f} GFLOP/s" for k, v in peaks.items()))
    print(text_of(options))
    print(f"{'size':>6} {'path':>18} {'N':>8} {'tok/CPU-s':>10} {'GFLOP/s':>8} {'of peak':>8} "
          f"{'ratio':>6}")  # fmt: skip
    for name in names:
        timed = variants(name, options)
        seconds = turns_of(timed, options)
        first = next(iter(seconds.values()))
        for label, found in seconds.items():
            shape, precision, _ = timed[label]
            flops = accounting.exact_flops_per_token(shape, options.vocab, options.context)
            speed = options.tokens / statistics.median(found)
            share = speed * flops / peaks[precision]
            ratio = statistics.median(a / b for a, b in zip(first, found))
            print(
                f"{name:>6} {label:>18} {accounting.non_embedding_params(shape):>8} "
                f"{speed:>10.0f} {speed * flops / 1e9:>8.1f} {share:>8.1%} {ratio:>6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
