"""Stage 5: runs, their curves and a fitted B_crit(L) -> the fewest steps and least compute of each.

S_min = S / (1 + B_crit(L)/B) is what a batch far above the critical one would have needed,
C_min = C / (1 + B/B_crit(L)) what one far below it would have (Kaplan et al. 2020,
arXiv:2001.08361, eq. 5.4 and 5.5). The laws kaplan_steps and power_compute_min are fitted to the
rows that this writes: the points along curves, without warmup and cooldown, or the ends of runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline import contracts, options
from pipeline.batches.traces import Model, Trace, traces
from pipeline.contracts import ContractError
from pipeline.conventions import Convention, of_card
from pipeline.kaplan2020 import BatchLaw, fewest_steps, least_flops
from pipeline.kaplan2020.fits import best
from pipeline.laws.band import SavedFit, read

LAW = "critical_batch"
UNCORRECTED = "no_critical_batch"  # exclusion of rows without steps, a batch, a loss or a law
Row = dict[str, Any]


def points(found: Iterable[Trace]) -> Iterator[Row]:
    """Rows of the contract runs, one for each row of the traces, as if the run had ended there.

    Of several learning rates of one model, batch size, schedule and seed, the best at each step
    counts. All rates and schedules are one curve, whose points err together, for they share first
    weights and text.
    """
    best: dict[tuple[Any, ...], Row] = {}
    curves: dict[tuple[Model, int, int], str] = {}
    for trace in found:
        own = (trace.model, trace.batch, trace.run["seed"])
        curve = curves.setdefault(own, trace.run["trunk"] or trace.run["cell"])
        for row in trace.rows:
            key = (*own, trace.schedule, row["step"])
            if key not in best or row["val_loss"] < best[key]["loss"]:
                best[key] = ended(trace.run, row, curve)
    yield from best.values()


def ended(run: Row, row: Row, curve: str) -> Row:
    """A run as it stood at a row of its curve."""
    share, loss = row["tokens"] / run["tokens"], row["val_loss"]
    bits = run["bits_per_byte"] and run["bits_per_byte"] * loss / run["loss"]
    return {
        **run, "cell": f"{run['cell']}@{row['step']}", "tokens": row["tokens"],
        "steps": row["step"], "flops_6nd": share * run["flops_6nd"],
        "flops_exact": share * run["flops_exact"], "loss": loss, "loss_se": row["val_loss_se"],
        "bits_per_byte": bits, "curve": curve,
    }  # fmt: skip


def corrected(rows: Iterable[Row], law: BatchLaw | None, convention: Convention) -> Iterator[Row]:
    """Rows with S_min, C_min and B_crit where they lack them; those that cannot are excluded.

    C is counted as the convention says, and its loss is the one that the law takes.
    """
    for row in rows:
        loss, batch = row[convention.loss], row["batch_tokens"]
        if law is None or not (loss and batch):
            known = row["steps_min"] and row["flops_min"]
            yield row if known or not row["included"] else _excluded(row)
            continue
        steps, flops = row["steps"], row[convention.flops]
        found = {
            "critical_batch": float(law.at(loss)),
            "steps_min": steps and float(fewest_steps(law, steps, batch, loss)),
            "flops_min": flops and float(least_flops(law, flops, batch, loss)),
        }
        full = {**row, **{name: row[name] or value for name, value in found.items()}}
        whole = full["steps_min"] and full["flops_min"]
        yield full if whole or not full["included"] else _excluded(full)


def _excluded(row: Row) -> Row:
    return {**row, "included": False, "exclusion": UNCORRECTED}


def batch_law(fit: SavedFit, convention: Convention) -> BatchLaw | None:
    """B_crit(L) of a stored fit; None where it has no values.

    Raises ContractError where it is another law, or was fitted to another loss than asked for.
    """
    if fit.law.name != LAW:
        raise ContractError(f"--fit: holds the law {fit.law.name}, expected {LAW}; name its folder")
    if of_card(fit.card["convention"]).loss != convention.loss:
        raise ContractError(
            f"--loss {convention.loss}: {LAW} was fitted to another; fit the law again"
        )
    if not fit.usable:
        print(f"{LAW}: {fit.card['sentence']}", file=sys.stderr)
        return None
    return best(fit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.corrected", description=__doc__)
    options.add_convention(parser)
    parser.add_argument("--curves", type=Path, required=True, help="curves.parquet of the study")
    parser.add_argument("--fit", type=Path, required=True, help=f"folder of the fit of {LAW}")
    parser.add_argument(
        "--rows", choices=("curves", "runs"), default="curves",
        help="points along curves and imported runs, or the ends of all runs",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="corrected.parquet")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        convention = options.convention(arguments)
        law = batch_law(read(arguments.fit), convention)
        runs = contracts.read(arguments.runs, contracts.RUNS).to_pylist()
        if arguments.rows == "curves":
            imported = [run for run in runs if run["source"] != "native"]
            runs = [*points(traces(arguments.runs, arguments.curves)), *imported]
        found = list(corrected(runs, law, convention))
        contracts.write(arguments.out, found, contracts.RUNS)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{sum(row['included'] for row in found)} rows of {len(found)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
