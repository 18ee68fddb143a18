"""The cells of a study as a table, or of each experiment: ``python -m pipeline.design [FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import experiments
from pipeline.config import ConfigError, read
from pipeline.study.design import Study
from pipeline.study.listing import sharing, summary, table


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.design", description="Print the cells of a study as a table."
    )
    parser.add_argument(
        "config", nargs="?", default="config.yaml", help="config file (%(default)s)"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="%(default)s")
    arguments = parser.parse_args(argv)
    try:
        found = experiments.defined(read(arguments.config))
        _print_all([one.study for one in found.values()])
        # Last, so that the cells of a study can be seen before there is a text for it.
        experiments.check_texts(found, arguments.results)
    except ConfigError as error:
        print(f"error: {arguments.config}: {error}", file=sys.stderr)
        return 2
    if lacking := experiments.lacking(found):
        print(f"note: {lacking}", file=sys.stderr)
    return 0


def _print_all(studies: Sequence[Study]) -> None:
    if len(studies) == 1:
        _print(studies[0], sharing(studies[0].cells))
        return
    for one in studies:
        print(f"\n{one.name}: {one.title}")
        _print(one)
    cells = {key: cell for one in studies for key, cell in one.by_key.items()}
    if cells:
        shared = sum(len(one.cells) for one in studies) - len(cells)
        told = f"{summary(cells.values())}{sharing(cells.values())}"
        print(f"\nall: {told}; {shared} cells are shared")


def _print(study: Study, further: str = "") -> None:
    """A study's cells and other runs; ``further`` ends what is said of its cells."""
    if study.cells:
        print(table(study.cells))
        print(summary(study.cells) + further)
    if study.regression:
        pairs = list(study.regression.pairs)
        print(f"regression: {len(pairs)} pairs of N and D, {study.regression.seeds} seeds each")
    for item in study.imports:
        print(f"{item.name}: runs of {item.file}")


if __name__ == "__main__":
    sys.exit(main())
