"""Stage 5: fitted laws -> their exponents under every other defensible choice of the fit.

An interval holds the noise of the runs and not the analyst's choices: how odd runs count, which
runs are left out, what N, C and the loss are. Besiroglu et al. 2024 (arXiv:2404.10102) show that a
handful of runs of high loss can carry an exponent, Pearce and Song 2024 (arXiv:2406.12907) that
counting embeddings can. Each law is fitted again under all combinations of these choices.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import contracts, conventions
from pipeline.contracts import ContractError
from pipeline.conventions import FLOPS, LOSS, PARAMS, Convention
from pipeline.laws import ALLOCATION
from pipeline.laws.band import UNUSABLE, SavedFit, read
from pipeline.laws.base import Kind, Law, Runs
from pipeline.laws.choices import Choice, Row, convention_lines, warnings
from pipeline.laws.draws import Bootstrap
from pipeline.laws.estimate import Fit, Options, fit
from pipeline.laws.objective import LEAST_ABSOLUTE, LEAST_SQUARES, Objective
from pipeline.laws.weights import Weighting

DELTAS = (LEAST_ABSOLUTE, 1e-3, 1e-2, 1e-1, LEAST_SQUARES)
DROPPED = (0, 2, 5, 10, 20)
RUNS_PER_PARAMETER = 2  # left after dropping; with fewer, the fit follows single runs


@dataclass(frozen=True)
class Stored:
    """A stored fit, under the key that its folder is named after, and the choice behind it."""

    key: str
    fit: SavedFit
    baseline: Choice
    tokens: str = "tokens"  # the column that is D in every choice

    @property
    def exponents(self) -> dict[str, Mapping[str, float | None]]:
        """Value, low and high of each exponent, and of the allocation's where there is one."""
        law, card = self.fit.law, self.fit.card
        own = {p.name: card["parameters"][p.name] for p in law.parameters if _exponent(p.kind)}
        return own | ({ALLOCATION: card["allocation"]} if card["allocation"] else {})

    def options(self, delta: float) -> Options:
        """The fit's own options but for delta, and without any resample."""
        card = self.fit.card
        return Options(
            Objective(delta, card["objective"]["asymmetry"]), bootstraps=0,
            seed=card["solver"]["seed"], starts=card["solver"]["starts"],
            bootstrap=Bootstrap.CASES, weighting=Weighting(card["weights"]["kind"]), profile=False,
        )  # fmt: skip


def _exponent(kind: Kind) -> bool:
    return kind is Kind.EXPONENT


def stored(folder: Path) -> Stored:
    """The fit of a folder; raises ContractError where a file is missing or broken."""
    found = read(folder)
    convention = conventions.of_card(found.card["convention"])
    delta = float(found.card["objective"]["delta"])
    baseline = Choice(delta, 0, convention.params, convention.flops, convention.loss)
    return Stored(folder.name, found, baseline, convention.tokens)


def counted(
    path: Path, base: Choice, tokens: str, measured: conventions.Measured | None
) -> dict[Convention, Runs]:
    """The runs under every convention for which all of them have the columns.

    Raises ContractError where they lack those of ``base``.
    """
    own = Convention(base.params, base.flops, base.loss, tokens)
    found = {own: conventions.included_runs(path, own, measured)}
    for columns in itertools.product(PARAMS, FLOPS, LOSS):
        other = Convention(*columns, tokens)
        if other not in found:
            try:
                found[other] = conventions.included_runs(path, other, measured)
            except ContractError:
                continue  # runs without these columns say nothing about that convention
    return found


def kept(law: Law, runs: Runs, dropped: int) -> Runs | None:
    """The runs a law is measured on but for the ``dropped`` of highest loss.

    None where fewer than half of them, or than two for each parameter, would be left.
    """
    chosen = runs.take(law.select(runs).mask)
    least = max(RUNS_PER_PARAMETER * len(law.parameters), len(chosen) / 2)
    if dropped and len(chosen) - dropped < least:
        return None
    order = np.argsort(-chosen.loss, kind="stable")
    return chosen.take(np.sort(order[dropped:]))


def choices(base: Choice, found: Iterable[Convention]) -> Iterator[Choice]:
    """All combinations; the delta of the fit itself stands among the others."""
    deltas = sorted({*DELTAS, base.delta})
    for convention, delta, dropped in itertools.product(found, deltas, DROPPED):
        yield Choice(delta, dropped, convention.params, convention.flops, convention.loss)


def rows(of: Stored, tables: Mapping[Convention, Runs]) -> Iterator[Row]:
    """Rows of the contract ``sensitivity`` for one law.

    A choice that leaves too few runs has none, nor has one whose runs cannot be weighed as the
    fit's were; the latter is said on stderr.
    """
    law, done = of.fit.law, dict[tuple[Any, ...], Fit]()
    # Weights look at sizes, and clusters at tokens, besides what the law itself takes.
    seen = sorted({"params", "tokens", *law.inputs, law.target})
    for choice in choices(of.baseline, tables):
        table = tables[Convention(choice.params, choice.flops, choice.loss, of.tokens)]
        runs = kept(law, table, choice.dropped)
        if runs is None:
            continue
        if choice == of.baseline:
            values = {name: own["value"] for name, own in of.exponents.items()}
            yield from _rows(of, choice, values, len(runs), of.fit.card["status"])
            continue
        same = (choice.delta, *(runs.column(name).tobytes() for name in seen))
        try:
            again = done.get(same) or fit(law, runs, of.options(choice.delta))
        except ValueError as error:
            print(f"{of.key}: {choice.words}: left out, {error}", file=sys.stderr)
            continue
        done[same] = again
        yield from _rows(of, choice, _exponents(again), len(again.runs), again.status.value)


def _exponents(found: Fit) -> Mapping[str, float | None]:
    if found.status in UNUSABLE:
        return {}
    return found.values if found.allocation is None else {
        **found.values, ALLOCATION: found.allocation[0]
    }  # fmt: skip


def _rows(
    of: Stored, choice: Choice, values: Mapping[str, float | None], points: int, status: str
) -> Iterator[Row]:
    for name, own in of.exponents.items():
        value = values.get(name)
        value = value if value is not None and math.isfinite(value) else None
        low, high = own["low"], own["high"]
        yield {
            "law": of.key, "parameter": name, **choice._asdict(), "value": value, "points": points,
            "status": status, "baseline": choice == of.baseline, "low": low, "high": high,
            "moved": _outside(value, low, high),
        }  # fmt: skip


def _outside(value: float | None, low: float | None, high: float | None) -> bool | None:
    if value is None or low is None or high is None:
        return None
    return not low <= value <= high


def sensitivities(
    folders: Iterable[Path], runs: Path, evaluations: Path | None, tasks: Path | None
) -> Iterator[Row]:
    """Rows of all fits that have exponents; what is left out is said on stderr.

    Raises ContractError where a table is missing or broken, or is not the one that was fitted.
    """
    for folder in folders:
        of = stored(folder)
        if not of.fit.usable:
            print(f"{of.key}: skipped, {of.fit.card['sentence']}", file=sys.stderr)
            continue
        if not of.exponents:
            print(f"{of.key}: skipped, it has no exponent", file=sys.stderr)
            continue
        law = of.fit.law
        further = conventions.measured(of.key, {*law.inputs, law.target}, evaluations, tasks)
        tables = counted(runs, of.baseline, of.tokens, further)
        _refuse_other(of, folder, runs, next(iter(tables.values())))
        yield from rows(of, tables)


def _refuse_other(of: Stored, folder: Path, path: Path, runs: Runs) -> None:
    """Raise ContractError where a fit was made from other runs than these."""
    chosen = runs.take(of.fit.law.select(runs).mask)
    if list(chosen.cell) != of.fit.card["selection"]["cells"]:
        raise ContractError(
            f"{folder / 'card.json'}: fitted to other runs than those of {path}; fit the law again"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.sensitivity", description=__doc__)
    parser.add_argument("--fits", type=Path, nargs="*", required=True, help="folders of fits")
    parser.add_argument("--runs", type=Path, required=True, help="runs.parquet behind the fits")
    parser.add_argument("--evaluations", type=Path, help="losses on other texts, for LAW@TEXT")
    parser.add_argument("--tasks", type=Path, help="errors on tasks, for LAW@TASK")
    parser.add_argument("--out", type=Path, required=True, help="sensitivity.parquet")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        found = list(
            sensitivities(
                arguments.fits, arguments.runs, arguments.evaluations, arguments.tasks
            )
        )  # fmt: skip
        contracts.write(arguments.out, found, contracts.SENSITIVITY)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in [*convention_lines(found), *warnings(found)]:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
