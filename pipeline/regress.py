"""Stage 2 of a study of a regression: polynomials fitted to a known target -> runs.parquet.

Beside it is written known.parquet, the exponents that are known in closed form.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline import contracts, provenance
from pipeline.cells import digest, short
from pipeline.regression import theory
from pipeline.regression.definition import TERMS, Regression
from pipeline.regression.regressor import excess_error, target

SOURCE = "regression"
# What the columns of these runs mean, where it is not what they mean for a language model.
RUNS = contracts.told(contracts.RUNS, {
    "loss": {"name": "excess test error", "unit": "share of variance, test error less the noise's"},
    "tokens": {"name": "training samples", "unit": "samples D"},
})  # fmt: skip

Row = dict[str, Any]


def runs(of: Regression, study: str) -> Iterator[Row]:
    """A row for each pair of N and D and each seed, under the contract ``runs``."""
    commit, dirty = provenance.git_commit()
    made = {
        "study": study, "source": SOURCE, "provenance": json.dumps({"definition": of.card}),
        "status": "finished", "included": True, "device": provenance.processor(),
        "host": provenance.host(), "threads": 1, "processes": 1, "git_commit": commit,
        "git_dirty": dirty, "packages": json.dumps(provenance.packages()),
    }  # fmt: skip
    for seed in range(of.seeds):
        function = target(of.exponent, seed)
        for size, samples in of.pairs:
            start = time.perf_counter()
            error = excess_error(function, of.exponent, of.noise, size, samples, seed)
            seconds = time.perf_counter() - start
            told = digest([of.exponent, of.noise, TERMS, size, samples, seed])
            yield dict.fromkeys(contracts.RUNS.names) | made | {
                "cell": f"N{short(size)}-D{short(samples)}-s{seed}-{told}",
                "family": "polynomial" if size <= samples else "kernel",
                "params": size, "params_total": size, "tokens": samples, "unique_tokens": samples,
                "flops_6nd": 6.0 * size * samples, "seed": seed, "loss": error,
                "seconds": seconds, "own_seconds": seconds, "finished_at": provenance.now(),
            }  # fmt: skip


def report(of: Regression, rows: Iterable[Row]) -> str:
    """The mean error of each pair beside what is expected of features as good as independent."""
    by_pair: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        by_pair.setdefault((row["params"], row["tokens"]), []).append(row["loss"])
    lines = [f"{'N':>8}{'D':>8}{'error':>12}{'expected':>12}{'ratio':>8}"]
    for (size, samples), errors in by_pair.items():
        mean = fmean(errors)
        expected = theory.learning_curve(of.exponent, of.noise, size, samples)
        lines.append(
            f"{short(size):>8}{short(samples):>8}{mean:>12.5f}{expected:>12.5f}"
            f"{mean / expected:>8.3f}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.regress", description=__doc__)
    parser.add_argument("definition", type=Path, help="definition.json of the regression")
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two tables")
    arguments = parser.parse_args(argv)
    try:
        card = json.loads(arguments.definition.read_text(encoding="utf-8"))
        of = Regression.from_card(card)
        rows = list(runs(of, arguments.study))
        contracts.write(arguments.out / "known.parquet", theory.known(of), contracts.KNOWN)
        contracts.write(arguments.out / "runs.parquet", rows, RUNS)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report(of, rows), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
