"""Stage 3, by hand: a trained trunk -> its critical batch size where it stands, by short branches.

From one checkpoint branches of several batch sizes, each at several learning rates, are trained
until the loss has fallen by a few per cent. The steps that each batch size took, at the best of its
rates, lie on S = S_min (1 + B_crit / B), as those of whole runs do (McCandlish et al. 2018,
arXiv:1812.06162, section 2.3): here of one stretch of the loss, after one and the same history.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.batches.fronts import Front, drawn, fronts
from pipeline.batches.noise_scale import NoiseScale
from pipeline.batches.rows import front_row
from pipeline.batches.traces import Row, Trace
from pipeline.cells import Cell
from pipeline.laws.estimate import Options
from pipeline.options import refuse
from pipeline.training.inputs import CorpusFacts, check, read_cell, read_corpus

UNKNOWN = NoiseScale(None, None)


def shared(cell: Cell, corpus: CorpusFacts) -> Row:
    """What the branches of a cell have in common, by its names in contracts.RUNS: no warmup."""
    unique = cell.unique_tokens or corpus.tokens["train"]
    return asdict(cell) | {"params": cell.params, "unique_tokens": unique, "loss": 1.0,
                           "warmup_steps": 0,
                           "bits_per_byte": corpus.bits_per_byte(1.0, "validation")}  # fmt: skip


def by_branch(rows: Iterable[Row], common: Row) -> list[Trace]:
    """Rows of contracts.BRANCHES as one trace for each branch; repeats are its seeds."""
    found: dict[tuple[Any, ...], Trace] = {}
    for row in rows:
        name = f"{row['cell']}@{row['at_step']}-B{row['batch_tokens']}-r{row['factor']:g}"
        own = {key: row[key] for key in ("batch_tokens", "lr", "lr_embedding")}
        run = {**common, **own, "cell": name, "seed": row["repeat"]}
        found.setdefault((name, row["repeat"]), Trace(run, [])).rows.append(row)
    return list(found.values())


def measured(
    rows: Sequence[Row], common: Row, falls: Sequence[float], options: Options
) -> list[Front]:
    """The front of each fall, a share of the loss that the branches began with, smallest first."""
    levels = rows[0]["at_loss"] * (1 - np.array(sorted(falls)))
    return fronts(by_branch(rows, common), levels, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.branched", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--spec", type=Path, required=True, help="spec.json of a trained wsd cell")
    parser.add_argument("--corpus", type=Path, required=True, help="manifest.parquet")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder of its trunk's checkpoint"
    )
    parser.add_argument("--batches", type=int, nargs="+", required=True, help="tokens per step")
    parser.add_argument(
        "--factors", type=float, nargs="+", default=[0.25, 0.5, 1.0, 2.0],
        help="of the trunk's rate times the root of the ratio of batch sizes",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=2, help="of each branch, on other text")
    parser.add_argument(
        "--falls", type=float, nargs="+", default=[0.01, 0.02, 0.04],
        help="shares of the loss to fall by, each with a critical batch",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=64, help="of a branch, and those that")
    parser.add_argument("--tokens", type=int, default=100_000, help="take, at most")
    parser.add_argument("--bootstraps", type=int, default=1000, help="resamples of batch sizes")
    parser.add_argument("--level", type=float, default=0.9, help="coverage of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, required=True, help="branches.parquet")
    parser.add_argument("--fronts", type=Path, required=True, help="critical_batches.parquet")
    return parser


def _refuse(arguments: argparse.Namespace, cell: Cell) -> None:
    """Raise ValueError naming an impossible option."""
    context = cell.context
    refuse(
        arguments,
        batches=(
            all(batch > 0 and batch % context == 0 for batch in arguments.batches),
            f"multiples of the context, {context}",
        ),
        factors=(all(factor > 0 for factor in arguments.factors), "positive numbers"),
        repeats=(arguments.repeats >= 1, "one or more"),
        falls=(all(0 < fall < 1 for fall in arguments.falls), "shares between 0 and 1"),
        steps=(arguments.steps >= 1, "one or more"),
        tokens=(arguments.tokens >= 0, "zero or more"),
    )


def _tell(begun: float, found: Sequence[Front], falls: Sequence[float]) -> None:
    """Print what each fall of the loss came to."""
    by_loss = {front.loss: front for front in found}
    for level in (begun * (1 - fall) for fall in sorted(falls)):
        stretch, front = f"loss {begun:.4f} to {level:.4f}", by_loss.get(level)
        if front is None:
            cure = "take falls that need more steps, or let branches go on for longer"
            print(f"{stretch}: met by no branch after its first step; {cure}", file=sys.stderr)
            continue
        batch, ends = front.values["critical_batch"], front.intervals["critical_batch"]
        told = f"{ends[0]:.0f} to {ends[1]:.0f}" if ends else "no interval"
        status = front.status.value
        print(f"{stretch}: B_crit {batch:.0f} tokens ({told}), {status}", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        cell, corpus = read_cell(arguments.spec), read_corpus(arguments.corpus)
        check(cell, corpus)
        _refuse(arguments, cell)
        # PyTorch costs seconds to import: only where there is something to train.
        from pipeline.training.branches import Fan, Start

        start = Start(cell, corpus, arguments.state, arguments.device, arguments.threads)
        lowest = 1 - max(arguments.falls)
        fan = Fan(
            sorted(set(arguments.batches)), sorted(set(arguments.factors)), arguments.repeats,
            lowest, arguments.steps, arguments.tokens,
        )  # fmt: skip
        rows = list(start.rows(fan))
        contracts.write(arguments.out, rows, contracts.BRANCHES)
        common = shared(cell, corpus)
        options = drawn(arguments.bootstraps, arguments.level, arguments.seed)
        found = measured(rows, common, arguments.falls, options) if rows else []
        of_fronts = [front_row(front, UNKNOWN, common, arguments.level) for front in found]
        contracts.write(arguments.fronts, of_fronts, contracts.CRITICAL_BATCHES)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _tell(start.loss, found, arguments.falls)
    return 0


if __name__ == "__main__":
    sys.exit(main())
