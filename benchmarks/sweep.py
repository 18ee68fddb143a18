"""Cells per hour of a grid: in the parts that the workflow trains, and a process for each cell.

    python benchmarks/sweep.py [--configfile config.yaml] [--at-once 2] [--nanogpt PATH]
    python benchmarks/sweep.py --configfile benchmarks/small_cells.yaml [--at-once 2]
    python benchmarks/sweep.py --configfile benchmarks/small_cells.yaml --device cuda --at-once 8

Tokenizes the study's text, then trains all its cells twice, each time from nothing and with
``--at-once`` processes side by side, the longest first: in the parts of the workflow (cells of a
trunk together, small trainings in one process), and each cell in a process of its own, as a script
for one run would. Prints the wall time, the CPU seconds of all processes and the cells per hour of
both, and the share of FLOP that trunks save. On the CPU the losses of both must be equal to the
last bit, else it ends with 1.

``--nanogpt`` (a checkout of github.com/karpathy/nanoGPT) adds the CPU seconds that the same cells
would take as so many runs of it: for each size the seconds of its step, the median of some turns,
times the steps, and the start of a process for each cell. Its evaluations are not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import train as trains
from step import machine, seconds_of

from pipeline import contracts, experiments
from pipeline.cells import Cell
from pipeline.cells.parts import planned
from pipeline.config import read
from pipeline.study.listing import summary
from pipeline.training.learner import resolve_precision

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
TURNS, LEAST = 5, 0.3  # turns of timed steps, and seconds of each


@dataclass(frozen=True)
class Sweep:
    """A study's cells, and the folder of its text and of what is trained."""

    cells: dict[str, Cell]
    folder: Path
    device: str
    at_once: int

    def command(self, keys: Sequence[str], way: str) -> list[str]:
        """What trains some cells in one process, with a state of its own: nothing is shared."""
        of, state = self.cells[keys[0]], self.folder / way / keys[0]
        specs = [str(self.folder / "cells" / key / "spec.json") for key in keys]
        return [
            sys.executable, "-m", "pipeline.train", "part", "--specs", *specs,
            "--corpus", str(self.folder / "corpora" / of.corpus / "manifest.parquet"),
            "--state", str(state), "--out", str(state / "ledger.json"), "--device", self.device,
        ]  # fmt: skip

    def train(self, groups: Sequence[Sequence[str]], way: str) -> tuple[float, float]:
        """Train groups of cells, a process each; returns seconds by the clock, and of the CPU."""
        longest = sorted(groups, key=lambda keys: -sum(self.cells[k].flops_exact for k in keys))
        begun, before = time.monotonic(), children()
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(lambda keys: run(self.command(keys, way)), longest))
        return time.monotonic() - begun, children() - before

    def losses(self, way: str) -> dict[str, float | None]:
        """The final loss of each cell trained in a way, in nats/token; None where it diverged."""
        tables = (self.folder / way).glob("*/cells/*/done/published/*/run.parquet")
        rows = [contracts.read(path, contracts.RUN).to_pylist()[0] for path in tables]
        return {row["cell"]: row["loss"] for row in rows}


def run(command: Sequence[str]) -> None:
    """Run a command to its good end; what it says is shown if it fails."""
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}")


def children() -> float:
    """CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prepared(configfile: Path, folder: Path, at_once: int) -> dict[str, Cell]:
    """The cells of a study, their specs and tokenized texts in place in ``folder``/results."""
    found = experiments.resolved(read(configfile), folder / "results").values()
    cells = experiments.cells(found)
    manifests = {
        path
        for cell in cells.values()
        for path in (
            f"results/corpora/{cell.corpus}/manifest.parquet",
            *(f"results/corpora/{cell.corpus}/evaluation/{text}/manifest.parquet"
              for text in cell.evaluate),
        )
    }  # fmt: skip
    run([
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(folder), "--configfile", str(configfile), "--cores", str(at_once),
        *sorted(manifests),
    ])  # fmt: skip
    return cells


def nanogpt_seconds(cells: Sequence[Cell], path: Path) -> float:
    """CPU seconds of as many runs of nanoGPT: steps at the speed of their shape, and the starts."""
    before = children()
    for _ in range(TURNS):
        run([sys.executable, "-c", "import torch"])
    start = (children() - before) / TURNS
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "train.bin"
        ids = np.random.default_rng(0).integers(cells[0].vocab_size, size=5_000_000)
        ids.astype(np.uint16).tofile(text)
        steps: Counter[trains.Setting] = Counter()
        for cell in cells:
            precision = resolve_precision(cell.precision, torch.device("cpu"))
            steps[trains.Setting(
                cell.shape, precision, "cpu", cell.context, cell.vocab_size, cell.batch_tokens, text
            )] += cell.steps  # fmt: skip
        return len(cells) * start + sum(
            number * step_seconds(of, path) for of, number in steps.items()
        )


def step_seconds(of: trains.Setting, path: Path) -> float:
    """CPU seconds of a step of nanoGPT, the median of some turns."""
    step = trains.nanogpt(of, path, False)
    for _ in range(trains.WARMUP):
        step()
    return statistics.median(seconds_of(step, LEAST, "cpu") for _ in range(TURNS))


def compared(sweep: Sweep, folder: Path) -> float:
    """Train a sweep in both ways and print what they took; returns the CPU seconds of the parts."""
    cells = sweep.cells
    together = {part.cells for part in planned(cells.values(), folder).values()}
    ways = {"in parts": list(together), "alone": [[key] for key in cells]}
    print(f"{'':>22} {'processes':>9} {'wall s':>8} {'CPU s':>8} {'cells/h':>8}")
    taken = {}
    for way, groups in ways.items():
        wall, cpu = taken[way] = sweep.train(groups, way)
        rate = len(cells) / wall * 3600
        print(f"{way:>22} {len(groups):>9} {wall:>8.1f} {cpu:>8.1f} {rate:>8.0f}", flush=True)
    parts, alone = (taken[way] for way in ways)
    ratios = " ".join(f"{other / one:>8.2f}" for one, other in zip(parts, alone))
    print(f"{'alone over in parts':>22} {'':>9} {ratios}")
    losses = [sweep.losses(way) for way in ways]
    differing = [key for key in cells if losses[0][key] != losses[1][key]]
    print(f"{len(differing)} of {len(cells)} final losses differ")
    if differing and sweep.device == "cpu":
        sys.exit(f"they must not: {', '.join(differing)}")
    return parts[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configfile", type=Path, default=ROOT / "config.yaml")
    parser.add_argument(
        "--at-once", type=int, default=os.cpu_count(), help="processes side by side (%(default)s)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT to compare with")
    options = parser.parse_args()
    if options.nanogpt and options.device == "cuda":
        parser.error("--nanogpt compares seconds of CPUs; leave it out with --device cuda")
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = prepared(options.configfile.resolve(), folder, options.at_once)
        print(summary(cells.values()))
        print(f"{options.at_once} processes at once, on {options.device}; all is trained twice")
        folder /= "results"
        in_parts = compared(Sweep(cells, folder, options.device, options.at_once), folder)
        if options.nanogpt:
            cpu = nanogpt_seconds(list(cells.values()), options.nanogpt)
            print(f"{'nanoGPT, computed':>22} {len(cells):>9} {'':>8} {cpu:>8.1f}")
            print(f"{'nanoGPT over in parts':>22} {'':>9} {'':>8} {cpu / in_parts:>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
