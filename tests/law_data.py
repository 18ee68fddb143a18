"""Known laws, designs and published tables for the tests of laws, fits and predictions."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.laws import law
from pipeline.laws.base import Floats, Runs

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("ISOLOSS_PUBLISHED_DATA", ROOT.parent / "shared" / "data"))

# One line of truth for each law of the registry.
TRUTH: dict[str, dict[str, float]] = {
    "power_params": {"Nc": 8.8e13, "alpha_N": 0.076},
    "power_tokens": {"Dc": 5.4e13, "alpha_D": 0.095},
    "power_compute": {"Cc": 1.4e27, "alpha_C": 0.057},
    "kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103},
    "chinchilla": {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658},
}

# Losses of the transformers of seven sizes on four token counts (two layers, vocabulary 512).
TOY_TOKENS = (499_712, 1_000_448, 1_999_872, 3_999_744)
TOY_LOSSES = {
    1_536: (4.3513, 4.2928, 4.2473, 4.2103),
    6_144: (4.1419, 4.0219, 3.9151, 3.8422),
    24_576: (3.8920, 3.7199, 3.5392, 3.3822),
    55_296: (3.8355, 3.5864, 3.3238, 3.1439),
    98_304: (3.7461, 3.5016, 3.2552, 3.0264),
    221_184: (3.6869, 3.4213, 3.1562, 2.9122),
    393_216: (3.6213, 3.3307, 3.0644, 2.8052),
}


@dataclass(frozen=True)
class Published:
    """A published table: counts and losses, each (n,)."""

    params: Floats
    tokens: Floats
    loss: Floats


def arrays(values: dict[str, float]) -> dict[str, Floats]:
    """Parameter values as arrays without dimensions."""
    return {name: np.asarray(value, dtype=float) for name, value in values.items()}


def runs(params: Floats, tokens: Floats, loss: Floats) -> Runs:
    """Runs with C = 6 N D."""
    n, d = np.asarray(params, float), np.asarray(tokens, float)
    cells = tuple(f"cell-{i:03d}" for i in range(len(n)))
    columns = {"params": n, "tokens": d, "flops": 6.0 * n * d, "loss": np.asarray(loss, float)}
    return Runs(cells, columns)


def toy() -> Runs:
    """The 28 measured runs."""
    sizes = np.repeat(list(TOY_LOSSES), len(TOY_TOKENS))
    tokens = np.tile(TOY_TOKENS, len(TOY_LOSSES))
    return runs(sizes, tokens, np.concatenate(list(TOY_LOSSES.values())))


def grid(name: str) -> tuple[Floats, Floats]:
    """A design on which the law is identified: all runs of it are ones the law selects."""
    sizes, tokens = np.geomspace(1e7, 1e10, 8), np.geomspace(3e8, 3e11, 6)
    if name == "power_params":
        return np.geomspace(1e5, 1e10, 30), np.full(30, 1e11)
    if name == "power_tokens":
        return np.full(30, 1e10), np.geomspace(1e7, 1e11, 30)
    if name == "power_compute":
        return np.geomspace(1e5, 1e9, 30), 20 * np.geomspace(1e5, 1e9, 30)
    n, d = np.meshgrid(sizes, tokens)
    return n.ravel(), d.ravel()


def drawn(name: str, noise: float, seed: int) -> Runs:
    """Runs of the true law with log-normal noise of standard deviation ``noise``."""
    n, d = grid(name)
    clean = runs(n, d, np.ones_like(n))
    columns = {column: clean.column(column) for column in ("params", "tokens", "flops")}
    loss = law(name).predict(arrays(TRUTH[name]), columns)
    return runs(n, d, loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(n))))


def published(file: str, keep: dict[str, str], loss: str = "loss") -> Published:
    """Rows of a published table whose columns equal ``keep``; skips the test without the table."""
    path = DATA / file
    if not path.is_file():
        pytest.skip(f"{path} is absent: set ISOLOSS_PUBLISHED_DATA to the published tables' folder")
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [r for r in csv.DictReader(lines) if all(r[k] == v for k, v in keep.items())]
    return Published(*(np.array([float(r[c]) for r in rows]) for c in ("N", "D", loss)))
