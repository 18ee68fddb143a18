"""Known laws, designs and published tables for the tests of laws, fits and predictions."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.laws import LAWS, law
from pipeline.laws.base import Floats, Runs

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("ISOLOSS_PUBLISHED_DATA", ROOT.parent / "shared" / "data"))

# One line of truth for each law of the registry.
TRUTH: dict[str, dict[str, float]] = {
    "power_params": {"Nc": 8.8e13, "alpha_N": 0.076},
    "power_tokens": {"Dc": 5.4e13, "alpha_D": 0.095},
    "power_compute": {"Cc": 1.4e27, "alpha_C": 0.057},
    "power_compute_min": {"Cc_min": 2.7e28, "alpha_C_min": 0.050},
    "power_floor_params": {"E": 1.7, "Nc": 3.9e6, "alpha_N": 0.25},
    "power_floor_tokens": {"E": 1.7, "Dc": 2.1e8, "alpha_D": 0.3},
    "power_floor_compute": {"E": 1.7, "Cc": 5.4e14, "alpha_C": 0.15},
    "log_params": {"a": 5.7, "b": 0.148},
    "log_tokens": {"a": 7.81, "b": 0.233},
    "log_compute": {"a": 6.68, "b": 0.1},
    "broken_params": {"a": 1.5, "b": 4.45, "c0": 0.05, "c1": 0.35, "d": 3e7, "f": 0.5},
    "broken_tokens": {"a": 1.5, "b": 6.6, "c0": 0.06, "c1": 0.4, "d": 1e9, "f": 0.5},
    "broken_compute": {"a": 1.5, "b": 13.2, "c0": 0.06, "c1": 0.2, "d": 1e16, "f": 1.0},
    "m3_tokens": {"beta": 20.0, "gamma": 1e-10, "c": 0.1},
    "m4_tokens": {"E": 1.7, "L0": 10.8, "beta": 1.7e5, "c": 0.6, "alpha": 0.8},
    "kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "Dc": 1.8e13, "alpha_D": 0.103},
    "chinchilla": {"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658},
    "kaplan_symmetric": {
        "Nc": 6.4e13, "alpha_N": 0.6, "Dc": 1.8e13, "alpha_D": 0.8, "beta": 0.12,
    },
    "additive": {"A": 20.0, "alpha": 0.15, "B": 25.0, "beta": 0.13},
    "overtraining": {"E": 1.51, "a": 141.0, "b": 190.0, "eta": 0.121},
    "farseer": {
        "s": -0.0625, "q": 0.13, "S": 0.128, "B": 231.0, "b": -0.173, "Q": -1.54, "A": -1.67,
        "a": 0.0459, "E": 3.13,
    },
    "muennighoff": {
        "E": 1.87, "A": 521.0, "alpha": 0.353, "B": 1488.0, "beta": 0.353, "Rd": 15.39, "Rn": 5.31,
    },
    "overfit_penalty": {
        "E": 1.82, "A": 482.0, "alpha": 0.348, "B": 2085.0, "beta": 0.366, "P": 0.05,
        "delta": 0.8, "kappa": 0.5,
    },
    "bounded": {
        "E": 1.82, "a": 54.0, "alpha": 0.348, "b": 232.0, "beta": 0.366, "c": 0.3, "gamma": 0.5,
        "delta": 0.6, "L0": 10.8,
    },
    "precision": {
        "E": 1.82, "A": 482.0, "alpha": 0.348, "B": 2085.0, "beta": 0.366, "gamma": 2.5,
    },
    "post_precision": {"C_T": 0.1, "gamma_D": 0.5, "gamma_N": 0.4, "gamma": 0.6},
    "kaplan_steps": {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2.1e3, "alpha_S": 0.76},
    "transfer": {"k": 0.3, "s": 1.05},
    "gadre_error": {"eps": 0.9, "k": 2.0, "gamma": 0.8},
    "task_sigmoid": {"a": -0.6, "b": 0.9, "k": 3.0, "L0": 3.0},
    "critical_batch": {"B": 2.1e8, "alpha_B": 0.21},
    "kaplan_lr": {"a": 0.003239, "b": 0.0001395},
    "deepseek_lr": {"c": 0.3118, "alpha": 0.1250},
    "deepseek_batch": {"c": 0.2920, "beta": 0.3271},
    "step_law_lr": {"c": 1.79, "alpha": 0.713, "beta": 0.307},
    "step_law_batch": {"c": 0.58, "beta": 0.571},
    "batch_steps": {"S_min": 2100.0, "B_crit": 5e5},
}  # fmt: skip

# Levels to cross, for laws that have further inputs or need a wider grid.
REPEATED = {
    "params": np.geomspace(1e7, 1e10, 5), "unique_tokens": np.geomspace(1e8, 1e10, 3),
    "epochs": np.array([1.0, 6.0, 25.0, 100.0]),
}  # fmt: skip
LEVELS: dict[str, dict[str, Floats]] = {
    "farseer": {"params": np.geomspace(1e6, 1e11, 10), "tokens": np.geomspace(1e8, 1e12, 8)},
    "muennighoff": REPEATED,
    "overfit_penalty": REPEATED,
    "bounded": {
        "params": np.geomspace(1e4, 1e10, 5), "unique_tokens": np.geomspace(1e6, 1e10, 4),
        "epochs": REPEATED["epochs"],
    },
    "precision": {
        "params": np.geomspace(1e7, 1e10, 5), "tokens": np.geomspace(3e8, 3e11, 4),
        "bits": np.array([2.0, 3.0, 5.0, 16.0]),
    },
    "post_precision": {
        "params": np.geomspace(1e7, 1e10, 5), "tokens": np.geomspace(3e8, 3e11, 5),
        "rounded_bits": np.array([3.0, 4.0, 6.0, 8.0]),
    },
    "kaplan_steps": {"params": np.geomspace(1e6, 1e9, 7), "steps_min": np.geomspace(1e3, 3e5, 8)},
    "batch_steps": {
        "params": np.array([3e6]), "tokens": np.array([1e10]),
        "batch_tokens": np.geomspace(1e4, 2e7, 30),
    },
}  # fmt: skip

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
    """N and D of a design on which the law is identified; all runs of it are ones it selects."""
    count = 60 if name.startswith("broken") else 30
    inputs = LAWS[name].inputs
    if inputs == ("params",):
        largest = 1.5e9 if name == "kaplan_lr" else 1e10  # beyond, its learning rate nears zero
        return np.geomspace(1e5, largest, count), np.full(count, 1e11)
    if inputs == ("tokens",):
        return np.full(count, 1e10), np.geomspace(1e7, 1e11, count)
    if len(inputs) == 1:
        return np.geomspace(1e5, 1e9, count), 20 * np.geomspace(1e5, 1e9, count)
    n, d = np.meshgrid(np.geomspace(1e7, 1e10, 8), np.geomspace(3e8, 3e11, 6))
    return n.ravel(), d.ravel()


def design(name: str) -> dict[str, Floats]:
    """The columns of that design; the loss falls with the compute."""
    columns = crossed(LEVELS[name]) if name in LEVELS else {}
    n, d = (columns["params"], columns["tokens"]) if columns else grid(name)
    flops = 6.0 * n * d
    loss = np.interp(np.log(flops), np.log([flops.min(), flops.max()]), [4.5, 1.8])
    counts = {"params": n, "tokens": d, "flops": flops, "flops_min": flops / 2}
    return columns | counts | {"loss": loss}


def crossed(levels: dict[str, Floats]) -> dict[str, Floats]:
    """Every combination of the levels of some columns; tokens from epochs or steps, if need be."""
    columns = dict(zip(levels, (g.ravel() for g in np.meshgrid(*levels.values()))))
    if "epochs" in columns:
        columns["tokens"] = columns["unique_tokens"] * columns.pop("epochs")
    if "steps_min" in columns:
        columns["tokens"] = columns["steps_min"] * 2.0**19
    return columns


def drawn(name: str, noise: float, seed: int) -> Runs:
    """Runs of the true law with log-normal noise of standard deviation ``noise``."""
    columns, found = design(name), law(name)
    clean = found.predict(arrays(TRUTH[name]), columns)
    factor = np.exp(noise * np.random.default_rng(seed).standard_normal(len(clean)))
    columns[found.target] = clean * factor
    return Runs(tuple(f"cell-{i:03d}" for i in range(len(clean))), columns)


def published(file: str, keep: dict[str, str], loss: str = "loss") -> Published:
    """Rows of a published table whose columns equal ``keep``; skips the test without the table."""
    path = DATA / file
    if not path.is_file():
        pytest.skip(f"{path} is absent: set ISOLOSS_PUBLISHED_DATA to the published tables' folder")
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [r for r in csv.DictReader(lines) if all(r[k] == v for k, v in keep.items())]
    return Published(*(np.array([float(r[c]) for r in rows]) for c in ("N", "D", loss)))
