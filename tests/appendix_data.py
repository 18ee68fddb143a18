"""Experiments of a replication of Kaplan et al., made up in memory from known laws, for figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import figure_data
import numpy as np

from pipeline.findings.data import Data, FittedLaw
from pipeline.kaplan2020 import (
    BatchLaw,
    DataLaw,
    StepsLaw,
    compute_exponent,
    earliest_stop,
    frontier_scale,
)
from pipeline.laws import law
from pipeline.laws.band import SavedFit

STEPS = StepsLaw(Nc=1e9, alpha_N=0.1, Sc=10.0, alpha_S=0.8)
BATCH = BatchLaw(B=2e6, alpha_B=0.2)
DATA = DataLaw(Nc=1e9, alpha_N=0.1, Dc=2e9, alpha_D=0.16)
TRUTH: dict[str, dict[str, float]] = {
    "kaplan_steps": vars(STEPS),
    "critical_batch": vars(BATCH),
    "kaplan": vars(DATA),
    "power_tokens": {"Dc": 2.3e9, "alpha_D": 0.12},
    "power_params": {"Nc": 1e9, "alpha_N": 0.1},
    "log_params": {"a": 5.7, "b": 0.26},
    # Eq. B.6 to B.8: the best loss of each budget under the two laws above.
    "power_compute_min": {
        "Cc_min": float(frontier_scale(STEPS, BATCH)),
        "alpha_C_min": float(compute_exponent(STEPS, BATCH)),
    },
}
WIDTHS = (8, 16, 32, 48, 64, 96, 128)
TOKENS = 3_999_744
LEVEL = 0.9
TEXTS = ("code", "dictionary", "encyclopedia")


def loss_at(params: float, steps: Any, batch: float = figure_data.BATCH) -> Any:
    """The loss after some steps at a batch, by L(N, S_min) and eq. 5.4, inverted on a grid."""
    floor = STEPS.unlimited(params)
    losses = floor + np.geomspace(1e-3, 30.0, 6000)
    fewest = STEPS.Sc * (losses - floor) ** (-1 / STEPS.alpha_S)
    taken = fewest * (1 + BATCH.at(losses) / batch)
    return np.exp(np.interp(np.log(steps), np.log(taken[::-1]), np.log(losses[::-1])))


def run(width: int, tokens: int = TOKENS, **changed: Any) -> dict[str, Any]:
    """A run at one rate, its loss by the law of size and steps."""
    row = figure_data.run(width, tokens, None)
    row |= {
        "schedule": "constant", "warmup_steps": 0, "cooldown_steps": 0, "reuse": 1,
        "best_step": row["steps"], "lr_sum": row["lr"] * row["steps"], "family": "transformer",
        "schedule_power": 1.0, "final_lr": 0.0,
    }  # fmt: skip
    row["loss"] = float(loss_at(row["params"], row["steps"]))
    return row | changed


def curve(row: Mapping[str, Any], bins: int = 6, points: int = 40) -> list[dict[str, Any]]:
    """Its curve; losses by position fall as a power of the position."""
    steps = np.unique(np.geomspace(2, row["steps"], points).round().astype(int))
    losses = loss_at(row["params"], steps)
    shape = 1 + 0.4 * 2.0 ** (-0.6 * np.arange(bins))
    return [
        {"cell": row["cell"], "step": int(step), "tokens": int(step) * row["batch_tokens"],
         "flops": 1.0, "train_loss": 0.98 * loss, "val_loss": float(loss),
         "loss_by_position": (loss * shape / shape.mean()).tolist(), "lr": row["lr"],
         "noise_scale": None}
        for step, loss in zip(steps, losses, strict=True)
    ]  # fmt: skip


def fit(
    name: str, points: Iterable[Mapping[str, Any]] = (), noise: float = 0.004,
    values: Mapping[str, float] | None = None,
) -> FittedLaw:  # fmt: skip
    """A fit that found the known values; its replicates scatter by ``noise`` in the exponents."""
    form, found = law(name), dict(values or TRUTH[name])
    rng = np.random.default_rng(5)
    replicates = {key: value * np.exp(rng.normal(0, noise, 80)) for key, value in found.items()}
    parameters = {
        key: {"parameter": key, "value": value, "status": "converged", "reason": "",
              "low": float(np.quantile(replicates[key], 0.05)),
              "high": float(np.quantile(replicates[key], 0.95))}
        for key, value in found.items()
    }  # fmt: skip
    card = {
        "law": name, "bootstrap": {"percentiles": LEVEL, "widening": 1.0}, "quality": {"r2": 0.99},
        "convention": {"params": "params", "tokens": "tokens", "flops": "flops_6nd"},
    }  # fmt: skip
    rows = [dict(point) for point in points]
    saved = SavedFit(form, found, replicates, LEVEL, len(rows) or 7, card, Path("unused"))
    return FittedLaw(saved, parameters, rows, name)


def sizes(widths: Sequence[int] = WIDTHS) -> Data:
    """The ladder, each size at two token counts, the longer run with the whole curve."""
    runs = [run(w, d) for w in widths for d in (TOKENS // 2, TOKENS)]
    whole = [row for row in runs if row["tokens"] == TOKENS]
    held = [point(row, law_, 0.01 * sign) for row in whole[-2:]
            for law_, sign in (("power_params", 1), ("log_params", -3))]  # fmt: skip
    points = [residual(row) for row in whole]
    fits = {
        "power_params": points,
        "log_params": points,
        "kaplan_steps": (),
        "power_compute_min": (),
    }
    return Data(
        runs=runs, curves={row["cell"]: curve(row) for row in runs}, backtest=held,
        fits={name: fit(name, of) for name, of in fits.items()},
    )  # fmt: skip


def residual(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"cell": row["cell"], "params": row["params"], "tokens": row["tokens"], "flops": 1.0,
            "observed": row["loss"], "predicted": row["loss"], "residual": 0.003, "weight": 1.0}  # fmt: skip


def point(row: Mapping[str, Any], name: str, error: float) -> dict[str, Any]:
    """A row of the backtest that missed by a share ``error``."""
    return {"law": name, "axis": "params", "cutoff": 5e4, "cell": row["cell"],
            "params": row["params"], "observed": row["loss"],
            "predicted": row["loss"] * (1 + error), "error": 100 * error}  # fmt: skip


def subsets(widths: Sequence[int] = (8, 32, 64)) -> Data:
    """Sizes on subsets, stopped at a few times the bound; the largest subsets never."""
    runs, curves = [], {}
    for width in widths:
        for unique in (31_250, 125_000, 500_000, 40_000_000):
            row = run(width, 1_999_872, unique_tokens=unique)
            row["cell"] = f"{row['cell']}-U{unique}"
            row["loss"] = float(DATA.at(row["params"], unique))
            stop = float(earliest_stop(STEPS, DATA, row["params"], unique))
            stop *= 1 + float(BATCH.at(row["loss"])) / row["batch_tokens"]  # S of S_min, eq. 5.4
            row["best_step"] = min(round(1.7 * stop), row["steps"])
            row["steps"] = min(2 * row["best_step"] + 10, row["steps"])
            runs.append(row)
            curves[row["cell"]] = curve(row)
    return Data(runs=runs, curves=curves, fits={n: fit(n) for n in ("kaplan", "power_tokens")})


def batches() -> Data:
    rows = list(figure_data.fronts(figure_data.runs()))
    return Data(critical_batches=rows, fits={"critical_batch": fit("critical_batch")})


def recurrent() -> Data:
    rows = []
    for width in (16, 32, 64):
        for reuse in (2, 4):
            row = run(width, reuse=reuse, family="recurrent")
            row |= {"cell": f"{row['cell']}-r{reuse}", "loss": row["loss"] * (1 - 0.01 * reuse),
                    "flops_6nd": reuse * row["flops_6nd"]}  # fmt: skip
            rows.append(row)
    return Data(runs=rows)


def depths() -> Data:
    rows = [run(w, n_layer=4) for w in (16, 32, 64)]
    return Data(
        runs=[row | {"cell": row["cell"] + "-l4", "params": 2 * row["params"]} for row in rows]
    )


def short() -> Data:
    rows = [run(w, context=8) for w in (8, 32, 96)]
    rows = [row | {"cell": row["cell"] + "-c8", "loss": 1.1 * row["loss"]} for row in rows]
    return Data(runs=rows, curves={row["cell"]: curve(row, bins=4) for row in rows})


def schedules() -> Data:
    noise = np.random.default_rng(7)
    rows, curves = [], {}
    kinds = [("wsd", 1, 50), ("cosine", 1, 50), ("cosine", 0.5, 50), ("cosine", 2, 50),
             ("cosine", 1, 300), ("linear", 1, 50), ("polynomial", 1, 50), ("exponential", 1, 50),
             ("inverse_sqrt", 1, 50), ("constant", 1, 50), ("constant", 0.25, 50)]  # fmt: skip
    for index, (name, peak, warmup) in enumerate(kinds):
        for seed in range(3):
            row = run(32, 1_000_448, schedule=name, warmup_steps=warmup, seed=seed)
            row |= {"cell": f"{name}-{peak}-{warmup}-s{seed}", "lr": peak * row["lr"],
                    "schedule_power": 2.0 if name == "polynomial" else 1.0,
                    "lr_sum": peak * row["lr_sum"] * (1 if name == "constant" else 0.5),
                    "loss": 4.0 + 0.02 * index + noise.normal(0, 0.005)}  # fmt: skip
            rows.append(row)
            curves[row["cell"]] = [
                at
                | {"lr": row["lr"] * (1 if name == "constant" else 1 - at["step"] / row["steps"])}
                for at in curve(row)
            ]
    return Data(runs=rows, curves=curves)


def shapes() -> Data:
    rows, evaluations = [], []
    for layers, width, heads in ((1, 90, 6), (2, 64, 4), (2, 64, 1), (4, 45, 3), (8, 32, 2)):
        for seed in (0, 1):
            row = run(width, 1_000_448, n_layer=layers, n_head=heads, seed=seed, params=98_304)
            row["cell"] = f"l{layers}-h{heads}-s{seed}"
            rows.append(row | {"loss": 4 + 0.01 * seed})
            evaluations += [
                {"cell": row["cell"], "corpus": text, "loss": 4 + 0.01 * seed + 0.5 * gap}
                for gap, text in enumerate(TEXTS, 1)
            ]
    return Data(runs=rows, evaluations=evaluations)


def recipe(exponent: float) -> Data:
    """Minima at four budgets along N ~ C^exponent; that of the first has no interval."""
    flops = np.geomspace(1e9, 1e12, 4)
    params = 1e4 * (flops / 1e10) ** exponent
    optima = [
        {"approach": "isoflop_curves", "flops": c, "flops_low": c, "flops_high": c, "params": n,
         "params_low": n / 1.2 if i else None, "params_high": 1.3 * n if i else None}
        for i, (c, n) in enumerate(zip(flops, params))
    ]  # fmt: skip
    row = {"approach": "isoflop_curves", "quantity": "params", "exponent": exponent, "level": LEVEL,
           "low": exponent - 0.06, "high": exponent + 0.09, "resampling": "sizes",
           "coefficient": 1e4, "reference": 1e10, "flops_low": 1e9, "flops_high": 1e12,
           "exponents": [exponent], "coefficients": [1e4], "reason": "As it is."}  # fmt: skip
    return Data(optima=optima, allocations=[row])


def study() -> dict[str, Data]:
    """Every experiment that the figures read."""
    recipes = {"paper": 0.83, "head": 0.7, "warmup": 0.6, "decay": 0.57, "tuned": 0.5}
    return {
        "sizes": sizes(), "data": subsets(), "batches": batches(), "recurrent": recurrent(),
        "depths": depths(), "short": short(), "schedules": schedules(), "shapes": shapes(),
        **{f"recipe_{name}": recipe(a) for name, a in recipes.items()},
    }  # fmt: skip
