"""Speed of training per model size, beside a checkout of nanoGPT, in interleaved turns.

    python benchmarks/train.py [--sizes 1.5k 98k] [--precision fp32 bf16] [--nanogpt PATH]
    python benchmarks/train.py --device cuda --context 1024 --tokens 32768 --vocab 50304

Each turn times a whole step of every variant: the next batch from a file of tokens, both passes,
clipping, the update. For each size it prints tokens/s, FLOP/s (attention and head included), their
share of the largest matmul rate of the same run, and the memory. On the CPU seconds are those of
the process, one thread, and memory is the peak of a process of its own, PyTorch's code included; on
a GPU seconds are the clock's, and memory is the GPU's. ``--nanogpt`` runs a user's checkout
(github.com/karpathy/nanoGPT: its model, optimizer and batches) at the same shape, batch, context
and precision, as its train.py does, with ``--compile`` also compiled. The ratio is the median over
turns of our tokens/s over the variant's.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step import SIZES, cell, machine, matmul_peaks, parser_of, seconds_of, text_of

from pipeline import accounting, provenance
from pipeline.accounting import Shape
from pipeline.training.allocation import keep_freed_memory
from pipeline.training.compiled import Compiler
from pipeline.training.data import Batches, TokenStream
from pipeline.training.learner import Learner, resolve_precision

LARGE = {
    "10M": Shape(6, 384, 1536, 6), "30M": Shape(9, 512, 2048, 8), "100M": Shape(14, 768, 3072, 12),
    "300M": Shape(24, 1024, 4096, 16), "1B": Shape(26, 1792, 7168, 28),
}  # fmt: skip
ON_CPU = tuple(SIZES)
ON_GPU = ("1M", *LARGE)
WARMUP = 5  # steps before any is timed
Step = Callable[[], object]
Variant = tuple[Callable[..., Step], tuple[Any, ...]]


@dataclass(frozen=True)
class Setting:
    """What is trained, and on what."""

    shape: Shape
    precision: str
    device: str
    context: int
    vocab: int
    tokens: int  # a step
    text: Path  # uint16 token ids


def ours(of: Setting) -> Step:
    """A step of isoloss as a long training takes it: on a GPU with compiled layers, if faster."""
    device = torch.device(of.device)
    made = cell(of.shape, of.vocab, of.context, of.tokens)
    learner = Learner(made, device, of.precision)
    batches = Batches(TokenStream((np.memmap(of.text, np.uint16, "r"),)), made, device)
    Compiler(partial(print, file=sys.stderr)).consider(learner, batches, sys.maxsize)
    steps = iter(range(sys.maxsize))

    def step() -> None:
        index = next(steps)
        learner.step(*batches(index), 0.01, index)

    return step


def nanogpt(of: Setting, path: Path, compiled: bool) -> Step:
    """A step of nanoGPT as its train.py takes it, with its defaults but for the shape."""
    module = _module(path / "model.py")
    config = module.GPTConfig(
        block_size=of.context, vocab_size=of.vocab, n_layer=of.shape.n_layer,
        n_head=of.shape.n_head, n_embd=of.shape.d_model, dropout=0.0, bias=False,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        model = module.GPT(config).to(of.device)
        optimizer = model.configure_optimizers(1e-1, 6e-4, (0.9, 0.95), of.device)
    forward = torch.compile(model) if compiled else model
    rows = of.tokens // of.context
    bf16 = of.precision == "bf16"

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        data = np.memmap(of.text, np.uint16, "r")
        starts = torch.randint(len(data) - of.context, (rows,))
        found = []
        for shift in (0, 1):
            cut = [data[i + shift : i + shift + of.context].astype(np.int64) for i in starts]
            found.append(torch.stack([torch.from_numpy(one) for one in cut]))
        if of.device == "cuda":
            found = [one.pin_memory().to(of.device, non_blocking=True) for one in found]
        return found[0], found[1]

    ready = [batch()]

    def step() -> None:
        with torch.autocast(of.device, torch.bfloat16, enabled=bf16):
            _, loss = forward(*ready[0])
        ready[0] = batch()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _module(path: Path) -> Any:
    """A module by its file; it stays out of the other modules' way."""
    if not path.exists():
        sys.exit(f"--nanogpt: {path} does not exist; give the folder of a checkout of nanoGPT")
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def peak_memory(build: Callable[..., Step], arguments: tuple[Any, ...]) -> int:
    """Bytes at the peak of some steps: of a process of its own, or on the GPU."""
    if arguments[0].device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        _few(build(*arguments))
        return torch.cuda.max_memory_allocated()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_resident, (build, arguments))


def _resident(build: Callable[..., Step], arguments: tuple[Any, ...]) -> int:
    torch.set_num_threads(1)
    keep_freed_memory()
    _few(build(*arguments))
    return provenance.peak_memory()


def _few(step: Step) -> None:
    for _ in range(WARMUP):
        step()


def variants(
    of: Setting, options: argparse.Namespace
) -> dict[str, tuple[Callable[..., Step], Any]]:
    """Label -> what makes its step, and of what."""
    found: dict[str, tuple[Callable[..., Step], Any]] = {"isoloss": (ours, (of,))}
    if options.nanogpt:
        found["nanoGPT"] = (nanogpt, (of, options.nanogpt, False))
        if options.compile:
            found["nanoGPT compiled"] = (nanogpt, (of, options.nanogpt, True))
    return found


def rows(name: str, of: Setting, peak: float, options: argparse.Namespace) -> Iterator[str]:
    """The lines of one size and precision."""
    torch.compiler.reset()  # which has a limit of programs that the next size shall not meet
    made = variants(of, options)
    steps = {label: build(*arguments) for label, (build, arguments) in made.items()}
    for step in steps.values():
        _few(step)
    taken: dict[str, list[float]] = {label: [] for label in steps}
    for _ in range(options.turns):
        for label, step in steps.items():
            taken[label].append(seconds_of(step, options.seconds, of.device))
    del step, steps  # their memory is not that of the one that is measured next
    flops = accounting.exact_flops_per_token(of.shape, of.vocab, of.context)
    for label, own in taken.items():
        speed = of.tokens / statistics.median(own)
        ratios = [a / b for a, b in zip(own, taken["isoloss"])]
        memory = peak_memory(*made[label]) / 2**20
        yield (
            f"{name:>6} {of.precision:>5} {label:>17} {speed:>11,.0f} {speed * flops / 1e9:>9.1f} "
            f"{speed * flops / peak:>8.1%} {memory:>9,.0f} {statistics.median(ratios):>12.2f}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__ or "", 0.3, choices=SIZES | LARGE)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), default=None)
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT to run beside")
    parser.add_argument("--compile", action="store_true", help="nanoGPT compiled, too")
    return parser


def main() -> None:
    options = _parser().parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    keep_freed_memory()
    peaks = matmul_peaks(options.turns, options.device)
    auto = resolve_precision("auto", device)
    print(machine())
    print("matmul peak: " + ", ".join(f"{k} {v / 1e9:.0f} GFLOP/s" for k, v in peaks.items()))
    print(text_of(options))
    print(f"{'size':>6} {'':>5} {'':>17} {'tokens/s':>11} {'GFLOP/s':>9} {'of peak':>8} "
          f"{'MiB':>9} {'isoloss over':>12}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "train.bin"
        ids = np.random.default_rng(0).integers(options.vocab, size=5_000_000)
        ids.astype(np.uint16).tofile(text)
        for name in options.sizes or (ON_GPU if options.device == "cuda" else ON_CPU):
            for precision in options.precision or dict.fromkeys(("fp32", auto)):
                of = Setting(
                    (SIZES | LARGE)[name], precision, options.device, options.context,
                    options.vocab, options.tokens, text,
                )  # fmt: skip
                for row in rows(name, of, peaks[precision], options):
                    print(row, flush=True)


if __name__ == "__main__":
    main()
