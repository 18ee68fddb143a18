"""Stage 6: experiments of a replication -> each claim of the paper, what was measured, a verdict.

Every verdict comes from the rule of its claim (``pipeline/claims/rules.py``); a claim whose
experiments, fits or runs are not there is not measured, and its reason says what lacks.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import contracts
from pipeline.claims import PAPERS, modules
from pipeline.claims.claim import Claim, Evidence, Judged, Measured, UnmeasuredError, Verdict
from pipeline.claims.rules import judge, missing
from pipeline.figures.frame import stored_laws
from pipeline.findings.data import load

Row = dict[str, Any]


def claims(paper: str) -> list[Claim]:
    """A paper's claims, in the order of its topics."""
    return [claim for name in modules(paper) for claim in import_module(name).CLAIMS]


def evidence(paper: str, study: Path, bootstraps: int, level: float, seed: int) -> Evidence:
    """What a study measured, of each experiment all that some claim of the paper reads.

    Raises ContractError, naming the file, where a table or fit is broken or missing.
    """
    fitted = {
        folder.name: stored_laws(folder / "fits")
        for folder in sorted(study.iterdir() if study.is_dir() else ())
        if (folder / "runs.parquet").exists()
    }
    if not fitted:
        raise contracts.ContractError(f"{study}: holds no experiment with runs; run the study")
    found = {
        name: load(
            {table: study / name / f"{table}.parquet" for table in needs.tables},
            study / name / "fits", needs.laws_among(fitted[name]),
        )
        for name, needs in PAPERS[paper].read_from(fitted).items()
    }  # fmt: skip
    return Evidence(found, bootstraps, level, seed)


def compared(claim: Claim, found: Evidence) -> Row:
    """One row of the contract comparison."""
    fitted = {name: list(data.fits) for name, data in found.experiments.items()}
    told, measured = missing(claim, fitted), None
    if told is None:
        try:
            measured = claim.measure(found)
        except UnmeasuredError as lack:
            told = f"Not measured because {lack}."
    if measured is None:
        return _row(claim, None, Judged(Verdict.NOT_MEASURED, told or ""), fitted)
    return _row(claim, measured, judge(claim, measured), fitted)


def _row(
    claim: Claim, found: Measured | None, judged: Judged, fitted: Collection[str]
) -> Row:  # fmt: skip
    row: Row = {
        "claim": claim.key, "statement": claim.statement, "source": claim.source,
        "quantity": claim.quantity, "unit": claim.unit, "paper": claim.paper,
        "paper_low": claim.low, "paper_high": claim.high, "verdict": judged.verdict.value,
        "reason": judged.reason, "runs": found.runs if found else 0,
        "experiments": ", ".join(name for name in claim.needs if name in fitted),
    }  # fmt: skip
    if found is None:
        return row
    known = found.value if math.isfinite(found.value) else None
    row |= {"value": known, "low": found.low, "high": found.high}
    row["level"] = None if found.low is None else found.level
    for name, ends in (("params", found.params), ("tokens", found.tokens)):
        row[f"{name}_low"], row[f"{name}_high"] = ends or (None, None)
    return row


def comparison(paper: str, found: Evidence) -> list[Row]:
    """Rows of the contract comparison, one for each claim of the paper."""
    return [compared(claim, found) for claim in claims(paper)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.compare", description=__doc__)
    parser.add_argument("--paper", choices=list(PAPERS), required=True)
    parser.add_argument("--study", type=Path, required=True, help="folder of its experiments")
    parser.add_argument("--bootstraps", type=int, default=400, help="resamples of runs")
    parser.add_argument("--level", type=float, default=0.9, help="coverage of intervals from these")
    parser.add_argument("--seed", type=int, default=0, help="seed of the resamples")
    parser.add_argument("--out", type=Path, required=True, help="comparison.parquet")
    return parser


def _refuse(options: argparse.Namespace) -> None:
    """Raise ValueError naming an impossible option."""
    if options.bootstraps < 0:
        raise ValueError(f"--bootstraps {options.bootstraps}: take zero or more")
    if not 0 < options.level < 1:
        raise ValueError(f"--level {options.level}: take a share between 0 and 1")
    if options.seed < 0:
        raise ValueError(f"--seed {options.seed}: take zero or more")


def main(given: Sequence[str] | None = None) -> int:
    """Compare from the command line."""
    options = _parser().parse_args(given)
    try:
        _refuse(options)
        found = evidence(
            options.paper, options.study, options.bootstraps, options.level, options.seed
        )
        rows = comparison(options.paper, found)
        contracts.write(options.out, rows, contracts.COMPARISON)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    counts: Mapping[str, int] = Counter(row["verdict"] for row in rows)
    told = ", ".join(f"{counts.get(verdict, 0)} {verdict.value}" for verdict in Verdict)
    print(f"{len(rows)} claims: {told}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
