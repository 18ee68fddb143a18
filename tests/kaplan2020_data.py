"""A small replication with every experiment, made from known laws without noise, for its figures."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from figure_data import LEVEL, REPLICATES, run

from pipeline import contracts
from pipeline.batches.redrawn import replicate_rows
from pipeline.files import write_json
from pipeline.kaplan2020 import (
    BatchLaw,
    DataLaw,
    StepsLaw,
    compute_exponent,
    fewest_steps,
    frontier_scale,
    least_flops,
)
from pipeline.laws import law, named

Row = dict[str, Any]
STEPS = StepsLaw(Nc=4e9, alpha_N=0.088, Sc=300.0, alpha_S=0.62)
BATCH = BatchLaw(B=3e7, alpha_B=0.17)
DATA = DataLaw(Nc=4.6e9, alpha_N=0.089, Dc=5.3e8, alpha_D=0.179)
TRANSFER = {"code": (1.9, 0.8), "encyclopedia": (0.75, 0.95)}
WIDTHS = (8, 16, 32, 48, 64, 96, 128)
TOKENS = 3_999_744
BATCH_TOKENS = 1024
SHAPES = (  # layers, width, feed-forward width, heads; all of about 98k parameters
    (2, 64, 256, 4), (1, 90, 360, 6), (4, 45, 180, 3), (8, 32, 128, 2), (2, 90, 92, 6),
    (2, 50, 400, 5), (2, 64, 256, 1), (2, 64, 256, 16),
)  # fmt: skip
BEST, SEED_GAP = 4.0, 0.01  # loss of the first shape; the second seed lies so much higher
DEPTH_GAP = 0.0  # depths differ by their embeddings alone


def key(*parts: Any) -> str:
    """A cell key that no other run has."""
    return f"N1-D1-s0-{hashlib.sha256(repr(parts).encode()).hexdigest()[:10]}"


def loss_at(params: float, steps: float, batch: float = BATCH_TOKENS) -> float:
    """The loss after S steps of B tokens, which eq. 5.4 lets stand in itself, by bisection."""
    low, high = float(STEPS.unlimited(params)), 100.0
    for _ in range(80):
        middle = math.sqrt(low * high)
        least = float(fewest_steps(BATCH, steps, batch, middle))
        if float(STEPS.at(params, least)) > middle:
            low = middle
        else:
            high = middle
    return low


def curve(row: Row, points: int = 30, context: int = 6) -> list[Row]:
    """Evaluations of a run from step 100 to its last; later positions read better."""
    found = []
    for step in np.unique(np.geomspace(100, row["steps"], points).round().astype(int)).tolist():
        loss = loss_at(row["params"], step, row["batch_tokens"])
        found.append({
            "cell": row["cell"], "step": step, "tokens": step * row["batch_tokens"],
            "flops": row["flops_exact"] * step / row["steps"], "train_loss": loss,
            "val_loss": loss, "val_loss_se": 0.004, "lr": row["lr"], "grad_norm": 0.5,
            "loss_by_position": [loss * 1.3 / (1 + 0.1 * k) for k in range(context)],
            "noise_scale": float(BATCH.at(loss)), "seconds": 1.0,
        })  # fmt: skip
    return found


def made(width: int, **changes: Any) -> Row:
    """A run of two layers at its peak rate to the end, with the loss of the law of steps."""
    row = run(width, TOKENS, None) | {
        "trunk": None, "cooldown_steps": 0, "schedule": "constant", "family": "transformer",
        "reuse": 1, **changes, "cell": key(width, changes),
    }  # fmt: skip
    return row | {"loss": row["loss"] or loss_at(row["params"], row["steps"])}


def sizes() -> list[Row]:
    return [made(width) for width in WIDTHS]


def datasets() -> list[Row]:
    """Three sizes on nested datasets, with the loss of the law of data."""
    return [
        made(width, unique_tokens=unique, dropout=0.1,
             loss=float(DATA.at(24 * width * width, unique)))
        for width in (16, 32, 64) for unique in (31250, 62500, 125000, 250000, 500000, 1000000)
    ]  # fmt: skip


def shapes() -> list[Row]:
    """Each shape with two seeds; the loss rises by a per cent from each to the next."""
    return [
        made(width, n_layer=layers, d_ff=inner, n_head=heads, params=98_000, seed=seed,
             loss=BEST * (1 + 0.01 * place + SEED_GAP * seed))
        for place, (layers, width, inner, heads) in enumerate(SHAPES) for seed in (0, 1)
    ]  # fmt: skip


def depths() -> list[Row]:
    """Losses that depend on N alone, so that other depths have other embeddings at one loss."""
    rows = []
    for layers, widths in ((1, (11, 22, 45, 90)), (2, (8, 16, 32, 64)), (4, (11, 22, 45))):
        for width in widths:
            n = 12 * layers * width * width
            rows.append(made(width, n_layer=layers, params=n, params_total=n + 544 * width,
                             loss=loss_at(n, TOKENS // BATCH_TOKENS)))  # fmt: skip
    return rows


def lstms() -> list[Row]:
    return [
        made(width, family="lstm", n_layer=layers, params=8 * layers * width * width, n_head=0,
             d_ff=0)
        for layers in (1, 2) for width in (16, 32, 64)
    ]  # fmt: skip


def fronts() -> list[Row]:
    """Critical batch sizes of two models at four losses, exactly on the law."""
    rows = []
    for width in (32, 64):
        own = made(width)
        for loss in (3.4, 3.8, 4.2, 4.6):
            critical = float(BATCH.at(loss))
            rows.append({name: own.get(name) for name in contracts.CRITICAL_BATCHES.names} | {
                "loss": loss, "bits_per_byte": None, "steps_min": 500.0,
                "tokens_min": 500 * critical, "critical_batch": critical,
                "critical_batch_low": 0.8 * critical, "critical_batch_high": 1.25 * critical,
                "level": LEVEL, "status": "converged", "reason": "As it is.", "family": "transformer",
                "batch_tokens": [256], "steps": [1000.0], "lr": [0.1], "at_edge": [False],
                "cells": [own["cell"]], "reuse": 1, "dropout": 0.0, "optimizer": "adamw",
            })  # fmt: skip
    return rows


def write_fit(
    folder: Path, name: str, values: Mapping[str, float], rows: Sequence[Row], tokens: str
) -> None:
    """fits/<law>/ with exactly these values, replicates around them, and the rows as its points."""
    form = law(named(name))
    best = form.theta({k: np.asarray(v, float) for k, v in values.items()})
    column = {"params": "params", "tokens": tokens, "flops": "flops_6nd"}
    x = np.log([[row[column.get(i, i)] for row in rows] for i in form.inputs])
    centre = x.mean(axis=1)
    noise = np.random.default_rng(2).normal(0, 0.006, (REPLICATES, len(best)))
    drawn = form.values(form.shifted(form.shifted(best, -centre) + noise, centre))
    parameters = [
        {"law": name, "parameter": p.name, "value": float(values[p.name]),
         "low": float(np.quantile(drawn[p.name], 0.05)),
         "high": float(np.quantile(drawn[p.name], 0.95)), "level": LEVEL, "status": "converged",
         "reason": "As good as it gets.", "objective": 1e-3, "starts": 64, "points": len(rows)}
        for p in form.parameters
    ]  # fmt: skip
    convention = {"params": "params", "tokens": tokens, "flops": "flops_6nd"}
    write_json(folder / "card.json", {
        "law": named(name), "convention": convention, "quality": {"r2": 0.987, "rmse": 0.0123},
        "bootstrap": {"percentiles": LEVEL, "widening": 1.0},
    })  # fmt: skip
    points = [
        {"cell": row["cell"], "params": row["params"], "tokens": row[tokens],
         "flops": row["flops_6nd"], "observed": row["loss"], "predicted": row["loss"],
         "residual": 0.0, "weight": 1.0}
        for row in rows
    ]  # fmt: skip
    replicas = [
        {"replicate": i, "parameter": k, "value": float(v)}
        for k, column_ in drawn.items() for i, v in enumerate(column_)
    ]  # fmt: skip
    contracts.write(folder / "parameters.parquet", parameters, contracts.PARAMETERS)
    contracts.write(folder / "bootstrap.parquet", replicas, contracts.BOOTSTRAP)
    contracts.write(folder / "points.parquet", points, contracts.POINTS)


def front(rows: Iterable[Row], curves: Iterable[Row]) -> list[Row]:
    """The points along curves that no smaller C_min undercuts, as if their runs had ended there."""
    of = {row["cell"]: row for row in rows}
    points = []
    for line in curves:
        own = of[line["cell"]]
        flops = own["flops_6nd"] * line["tokens"] / own["tokens"]
        least = float(least_flops(BATCH, flops, own["batch_tokens"], line["val_loss"]))
        points.append({**own, "cell": f"{own['cell']}@{line['step']}", "flops_6nd": flops,
                       "flops_min": least, "loss": line["val_loss"], "steps_min": 1.0})  # fmt: skip
    best, kept = math.inf, []
    for point in sorted(points, key=lambda point: point["flops_min"]):
        if point["loss"] < best:
            best = point["loss"]
            kept.append(point)
    return kept


def write_tables(folder: Path, rows: Sequence[Row], curves: Sequence[Row] = ()) -> None:
    contracts.write(folder / "runs.parquet", rows, contracts.RUNS)
    contracts.write(folder / "curves.parquet", curves, contracts.CURVES)


def write_study(folder: Path) -> Path:
    """Every experiment that figures 1 to 12 are drawn from, under ``folder``."""
    ladder = sizes()
    curves = [line for row in ladder for line in curve(row)]
    write_tables(folder / "sizes", ladder, curves)
    along = [
        {"cell": line["cell"], "step": line["step"], "tokens": line["tokens"],
         "flops": line["flops"], "val_loss": line["val_loss"], "corpus": text,
         "loss": k + s * line["val_loss"], "loss_se": 0.01, "bits_per_byte": 2.0}
        for line in curves for text, (k, s) in TRANSFER.items()
    ]  # fmt: skip
    contracts.write(folder / "sizes" / "text_curves.parquet", along, contracts.TEXT_CURVES)
    ends = [
        {"cell": row["cell"], "corpus": text, "loss": k + s * row["loss"]}
        for row in ladder for text, (k, s) in TRANSFER.items()
    ]  # fmt: skip
    contracts.write(folder / "sizes" / "evaluations.parquet", ends, contracts.EVALUATIONS)
    grid = datasets()
    write_tables(folder / "data", grid)
    for name, rows in (("shapes", shapes()), ("depths", depths())):
        write_tables(folder / name, rows)
    cells = lstms()
    write_tables(folder / "lstm", cells, [line for row in cells for line in curve(row)])
    scan = [made(width) for width in (32, 64)]
    write_tables(folder / "batches", scan, [line for row in scan for line in curve(row)])
    contracts.write(
        folder / "batches" / "critical_batches.parquet", fronts(), contracts.CRITICAL_BATCHES
    )
    contracts.write(
        folder / "batches" / "level_replicates.parquet", replicate_rows(fronts(), 20, 0),
        contracts.LEVEL_REPLICATES,
    )  # fmt: skip
    fit = folder / "sizes" / "fits"
    efficient = front(ladder, curves)
    write_fit(
        fit / "power_params", "power_params", {"Nc": 6e11, "alpha_N": 0.0735}, ladder, "tokens"
    )
    write_fit(fit / "power_compute_min", "power_compute_min",
              {"Cc_min": float(frontier_scale(STEPS, BATCH)),
               "alpha_C_min": float(compute_exponent(STEPS, BATCH))}, efficient, "tokens")  # fmt: skip
    write_fit(fit / "kaplan_steps", "kaplan_steps", vars(STEPS), efficient, "tokens")
    for text, (k, s) in TRANSFER.items():
        write_fit(fit / f"transfer@{text}", f"transfer@{text}", {"k": k, "s": s}, ladder, "tokens")
    fit = folder / "data" / "fits"
    write_fit(fit / "kaplan", "kaplan", vars(DATA), grid, "unique_tokens")
    largest = [row for row in grid if row["d_model"] == 64]
    write_fit(fit / "power_tokens", "power_tokens", {"Dc": 1.1e9, "alpha_D": 0.165}, largest,
              "unique_tokens")  # fmt: skip
    write_fit(folder / "batches" / "fits" / "critical_batch", "critical_batch", vars(BATCH),
              fronts_as_runs(), "tokens")  # fmt: skip
    return folder


def fronts_as_runs() -> list[Row]:
    """The fronts as the rows that B_crit(L) is fitted to."""
    return [made(row["d_model"], loss=row["loss"]) for row in fronts()]
