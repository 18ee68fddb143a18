"""Stage 3: curves of runs at several batch sizes -> the critical batch size by loss.

For each model and loss: the steps S and tokens E at which each batch size met the loss, at the best
of its learning rates there, and (S/S_min - 1)(E/E_min - 1) = 1 through them, whose E_min / S_min is
the critical batch (McCandlish et al. 2018, arXiv:1812.06162; Kaplan et al. 2020, arXiv:2001.08361,
eq. 5.1 and 5.2). Beside it stands the noise scale of the gradient there, where it was measured. The
levels are also written as runs, for the law critical_batch of their loss, and so is what those that
count become where the batch sizes of a model are drawn anew, once for all of its losses.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts
from pipeline.batches.fronts import Front, automatic, drawn, fronts
from pipeline.batches.noise_scale import noise_scale
from pipeline.batches.redrawn import replicate_rows
from pipeline.batches.rows import front_row, level_key, scaled
from pipeline.batches.traces import Trace, by_model, traces
from pipeline.cells import short
from pipeline.laws.base import Floats, Status
from pipeline.laws.estimate import Options
from pipeline.options import refuse


def measured(
    found: Sequence[Trace], levels: Floats | None, count: int, options: Options
) -> Iterator[Front]:
    """The fronts of every model that was trained at several batch sizes, smallest model first.

    ``levels`` are losses in nats/token; without them ``count`` are chosen for each model.
    """
    for model, own in by_model(found).items():
        batches = len({trace.batch for trace in own})
        name = f"N = {short(model.params)}"
        if batches < 2:
            print(f"{name}: skipped, all its runs have one batch size", file=sys.stderr)
            continue
        asked = automatic(own, count) if levels is None else levels
        if not len(asked):
            cure = "train larger batches for longer, or give the losses"
            told = f"too few of {batches} batch sizes share a stretch of loss"
            print(f"{name}: no level, {told}; {cure}", file=sys.stderr)
        yield from fronts(own, asked, options)


def level_row(front: Front, run: dict[str, Any]) -> dict[str, Any]:
    """A front as a row of the contract ``runs``: what E_min tokens bring to its loss.

    ``run`` is one of the runs behind it. The row counts in fits where the front was determined.
    """
    model, tokens = front.model, front.values["tokens_min"]
    share = tokens / run["tokens"]
    included = front.status is Status.CONVERGED
    return dict.fromkeys(contracts.RUNS.names) | {
        **model._asdict(), "study": run["study"], "source": run["source"],
        "cell": level_key(model, front.loss), "tokens": round(tokens),
        "params_total": run["params_total"], "vocab_size": run["vocab_size"],
        "corpus": run["corpus"], "recipe": run["recipe"], "loss": front.loss,
        "bits_per_byte": scaled(run, front.loss), "flops_6nd": share * run["flops_6nd"],
        "flops_exact": share * run["flops_exact"], "status": "finished",
        "steps_min": front.values["steps_min"], "critical_batch": front.values["critical_batch"],
        "included": included, "exclusion": None if included else f"front_{front.status.value}",
    }  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.critical_batch", description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet of a study")
    parser.add_argument("--curves", type=Path, required=True, help="its curves.parquet")
    parser.add_argument(
        "--losses", type=float, nargs="*", default=None,
        help="nats/token to be met; chosen for each model where not given",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=8, help="losses chosen for each model")
    parser.add_argument("--bootstraps", type=int, default=1000, help="resamples of batch sizes")
    parser.add_argument("--level", type=float, default=0.9, help="coverage of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--out", type=Path, required=True, help="critical_batches.parquet")
    parser.add_argument(
        "--levels", type=Path, required=True, help="levels.parquet: the same as runs, for fits"
    )
    parser.add_argument(
        "--replicates", type=Path, required=True,
        help="level_replicates.parquet: what the levels become on the resamples",
    )  # fmt: skip
    return parser


def _refuse(arguments: argparse.Namespace) -> None:
    """Raise ValueError naming an impossible option."""
    refuse(
        arguments,
        losses=(all(loss > 0 for loss in arguments.losses or ()), "positive numbers"),
        count=(arguments.count >= 1, "one or more"),
    )


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _refuse(arguments)
        along = traces(arguments.runs, arguments.curves)
        levels = None if arguments.losses is None else np.array(sorted(arguments.losses)[::-1])
        options = drawn(arguments.bootstraps, arguments.level, arguments.seed)
        found = list(measured(along, levels, arguments.count, options))
        runs = {trace.run["cell"]: trace.run for trace in along}
        behind = [(front, runs[front.points[0].cell]) for front in found]
        own = by_model(along)
        noise = [noise_scale(own[front.model], front.loss, options) for front in found]
        rows = [
            front_row(front, scale, run, arguments.level)
            for (front, run), scale in zip(behind, noise, strict=True)
        ]
        contracts.write(arguments.out, rows, contracts.CRITICAL_BATCHES)
        points = [
            level_row(front, run) for front, run in behind
            if math.isfinite(front.values["tokens_min"])
        ]  # fmt: skip
        contracts.write(arguments.levels, points, contracts.RUNS)
        again = replicate_rows(
            [row for row in rows if row["status"] == Status.CONVERGED],
            arguments.bootstraps, arguments.seed,
        )  # fmt: skip
        contracts.write(arguments.replicates, again, contracts.LEVEL_REPLICATES)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    statuses = Counter(front.status.value for front in found)
    told = ", ".join(f"{number} {status}" for status, number in statuses.items())
    print(f"{len(found)} losses met at several batch sizes: {told or 'none'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
