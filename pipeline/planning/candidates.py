"""Runs that could be trained: read from a table or from a study, and held against fitted runs."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.accounting import Shape
from pipeline.cells import Cell
from pipeline.config import load
from pipeline.laws.base import Floats, Runs
from pipeline.study.design import study

SAME = 0.01  # natural log: a candidate this near a fitted run, in N and in D, is that run


@dataclass(frozen=True)
class Candidates:
    """Runs that could be trained: N, D and FLOP, each (m,); shapes by N where they are known."""

    params: Floats
    tokens: Floats
    flops: Floats
    shapes: Mapping[float, Shape] = field(default_factory=dict)

    def log_inputs(self) -> Floats:
        """Natural logs of N and D, (2, m)."""
        return np.log(np.stack([self.params, self.tokens]))

    def take(self, rows: NDArray[np.bool_]) -> Candidates:
        """The candidates at a mask."""
        return replace(
            self, params=self.params[rows], tokens=self.tokens[rows], flops=self.flops[rows]
        )


def from_table(path: Path) -> Candidates:
    """Candidates of a CSV: params and tokens, and flops where they are not 6 N D.

    Raises ValueError naming the row and column of what is missing or not a positive number.
    """
    columns: dict[str, list[float]] = {"params": [], "tokens": [], "flops": []}
    for line, row in enumerate(_rows(path), 2):
        for name in ("params", "tokens"):
            columns[name].append(_number(path, line, name, row.get(name)))
        given = row.get("flops")
        cost = 6.0 * columns["params"][-1] * columns["tokens"][-1]
        columns["flops"].append(_number(path, line, "flops", given) if given else cost)
    if not columns["params"]:
        raise ValueError(f"{path}: holds no candidate; give rows of params and tokens")
    params, tokens, flops = (np.array(column) for column in columns.values())
    return Candidates(params, tokens, flops)


def _rows(path: Path) -> list[dict[str, str | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(csv.DictReader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: is no CSV ({error}); give params and tokens as CSV") from error


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{path}: line {line}: {column} is {text!r}; give a positive number")
    return value


def from_study(path: Path, counted: str) -> Candidates:
    """Every size of a study's grid with every token count, in the fit's N; FLOP exact.

    Without the families that the study leaves out of its fits. Of several models of one N the one
    of the fewest FLOP per token stands for them, since the law foretells them alike; models whose
    context is not the study's give way to those whose context is.
    """
    config = load(path)
    trained = study(config).cells
    if not trained:
        raise ValueError(
            f"--study {path}: it trains nothing, so it has no sizes to choose from; give a study "
            "with a grid, or --candidates"
        )
    left_out = config["exclude"]["families"]
    cells = [cell for cell in trained if cell.family not in left_out]
    if not cells:
        raise ValueError(
            f"--study {path}: exclude.families = {left_out} leaves none of its sizes to choose "
            "from; take one out of it, or give --candidates"
        )
    context = config["model"]["context"]

    def dear(cell: Cell) -> tuple[bool, float, str]:
        return cell.context != context, cell.flops_exact / cell.tokens, cell.key

    of: dict[float, Cell] = {}
    for cell in sorted(cells, key=dear):
        of.setdefault(float(getattr(cell, counted)), cell)
    counts = sorted({cell.tokens for cell in cells})
    rows = [
        (n, d, cell.flops_exact / cell.tokens * d) for n, cell in sorted(of.items()) for d in counts
    ]
    params, tokens, flops = np.array(rows, dtype=float).T
    return Candidates(params, tokens, flops, {n: cell.shape for n, cell in of.items()})


def untrained(candidates: Candidates, runs: Runs) -> Candidates:
    """The candidates that no fitted run already is."""
    logs = np.log(np.stack([runs.params, runs.tokens]))
    apart = np.abs(candidates.log_inputs()[:, :, None] - logs[:, None, :]).max(0)  # (m, n)
    return candidates.take(apart.min(1) >= SAME)


def supported(candidates: Candidates, runs: Runs) -> NDArray[np.bool_]:
    """Which candidates (m,) have no fewer parameters and no fewer tokens than all fitted runs."""
    near = math.exp(-SAME)
    large = candidates.params >= near * runs.params.min()
    return large & (candidates.tokens >= near * runs.tokens.min())
