"""A replication made up in memory from known laws: every experiment that claims are measured in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import figure_data
import numpy as np

from pipeline.batches.redrawn import replicate_rows
from pipeline.claims.claim import Evidence
from pipeline.findings.data import Data, FittedLaw
from pipeline.kaplan2020 import (
    PAPER,
    PF_DAY,
    BatchLaw,
    DataLaw,
    StepsLaw,
    compute_exponent,
    earliest_stop,
    frontier_scale,
)
from pipeline.laws import law
from pipeline.laws.band import SavedFit

LEVEL = 0.9
BATCH = 2**19
STEPS = 250_000
SIZES = np.geomspace(1e4, 1e9, 11)
TEXTS = ("books", "code")
BINS = 11  # of a context of 1024


@dataclass(frozen=True)
class Truth:
    """What a made-up study follows: the paper's laws, where nothing else is given."""

    steps: StepsLaw = PAPER.steps
    batch: BatchLaw = PAPER.batch
    data: DataLaw = PAPER.data
    size: tuple[float, float] = (8.8e13, 0.076)  # N_c, alpha_N of L(N)
    tokens: tuple[float, float] = (5.4e13, 0.095)
    compute: tuple[float, float] = (1.6e7 * PF_DAY, 0.057)  # C_c, alpha_C of L(C)
    offset_slope: float = 1.0  # of other texts in the validation loss
    late: float = 0.0  # share that other texts cost more while training goes on
    deep: float = 0.0  # share that other texts cost more for each doubling of depth
    shape: float = 0.01  # share between the best shape and the worst
    noise_scale: float = 1.5  # over the critical batch
    batch_size: float = 0.0  # exponent of N in B_crit
    overfit_noise: float = 0.004  # relative residuals of L(N, D)
    missed: float = 0.0  # relative residuals of L(N, S_min) at the largest size
    stops: float = 1.7  # best step over the bound
    lstm: float = 0.08  # share that LSTMs lose
    lstm_late: float = 0.1  # their gain beyond 128 tokens over that of transformers
    reused: float = 0.5  # log loss between transformers of equal N, 0, and of equal compute, 1
    short: float = -0.01  # share that short contexts lose
    kink: float = 0.0  # share by which losses by position leave a power law
    scheduled: float = 0.02  # nats/token between schedules
    seeds: tuple[float, float, float] = (0.01, 0.01, 0.01)  # spread of small, middle, large sizes
    embedding: float = 0.0  # share of what embeddings explain
    shuffled: bool = False  # sizes are as good as their neighbours
    logarithm: bool = False  # L(N) is a - b log N
    unsure: tuple[str, ...] = field(default=())  # laws without a determined exponent


OTHER = Truth(
    steps=StepsLaw(Nc=1e9, alpha_N=0.3, Sc=50.0, alpha_S=1.6),
    batch=BatchLaw(B=3e6, alpha_B=0.5),
    data=DataLaw(Nc=1e9, alpha_N=0.2, Dc=1e10, alpha_D=0.6),
    size=(1e9, 0.2), tokens=(1e9, 0.3), compute=(1e20, 0.2), offset_slope=0.6, late=0.1, deep=0.05,
    shape=0.2, noise_scale=30.0, batch_size=0.5, stops=0.3, lstm=-0.05,
    lstm_late=2.0, reused=-1.0, short=0.05, kink=0.2, scheduled=0.4,
    seeds=(0.0001, 0.003, 0.1), embedding=1.0, logarithm=True,
)  # fmt: skip


def loss_at(truth: Truth, params: float, steps: Any, batch: float = BATCH) -> Any:
    """The loss after some steps at a batch, by L(N, S_min) and eq. 5.4, inverted on a grid."""
    floor = truth.steps.unlimited(params)
    losses = floor + np.geomspace(1e-4, 60.0, 6000)
    fewest = truth.steps.Sc * (losses - floor) ** (-1 / truth.steps.alpha_S)
    taken = fewest * (1 + truth.batch.at(losses) / batch)
    return np.exp(np.interp(np.log(steps), np.log(taken[::-1]), np.log(losses[::-1])))


def run(
    params: float, loss: float, tokens: float = BATCH * STEPS, **changed: Any
) -> dict[str, Any]:
    """A row of runs: two layers or more, no warmup, one rate."""
    width = max(8, round((params / 24) ** 0.5))
    row = figure_data.run(width, round(tokens), loss) | {
        "params": round(params), "params_total": round(params) + 600 * width,
        "flops_6nd": 6.0 * params * tokens, "family": "transformer", "corpus": "text",
        "batch_tokens": BATCH, "steps": round(tokens / BATCH), "schedule": "constant",
        "warmup_steps": 0, "cooldown_steps": 0, "trunk": None, "context": 1024, "reuse": 1,
        "best_step": round(tokens / BATCH), "lr_sum": 1.0, "final_lr": 0.0, "schedule_power": 1.0,
    }  # fmt: skip
    row |= changed
    tells = (
        "params",
        "tokens",
        "n_layer",
        "n_head",
        "d_ff",
        "seed",
        "unique_tokens",
        "schedule",
        "family",
        "reuse",
        "context",
        "lr",
    )
    return row | {"cell": "-".join(str(row[name]) for name in tells)}


def positions(truth: Truth, loss: float, bins: int = BINS, late: float = 1.0) -> list[float]:
    """Losses in bins of positions: a power law, whose gain beyond 128 tokens is multiplied."""
    last = 2.0 ** np.arange(bins)
    middle = np.sqrt(np.r_[1.0, last[:-1] + 1][:bins] * last)
    shape = 1 + 0.9 * middle**-0.5
    shape[8:] = shape[7] + late * (shape[8:] - shape[7]) if bins > 8 else shape[8:]
    shape[bins // 2] *= 1 + truth.kink
    return (loss * shape).tolist()


def curve(truth: Truth, row: Mapping[str, Any], of: float | None = None) -> list[dict[str, Any]]:
    steps = np.unique(np.geomspace(50, row["steps"], 60).round().astype(int))
    losses = loss_at(truth, row["params"] if of is None else of, steps)
    return [
        {"cell": row["cell"], "step": int(step), "tokens": int(step) * BATCH, "flops": 1.0,
         "val_loss": float(loss), "loss_by_position": positions(truth, float(loss)),
         "noise_scale": None, "lr": row["lr"]}
        for step, loss in zip(steps, losses, strict=True)
    ]  # fmt: skip


def fit(
    name: str, values: Mapping[str, float], points: Iterable[Mapping[str, Any]], truth: Truth
) -> FittedLaw:
    """A fit that found these values; its replicates scatter by a two-hundredth."""
    rng = np.random.default_rng(5)
    values = {key: float(value) for key, value in values.items()}
    replicates = {key: value * np.exp(rng.normal(0, 0.002, 80)) for key, value in values.items()}
    status = "unidentifiable" if name in truth.unsure else "converged"
    parameters = {
        key: {"parameter": key, "value": value, "status": status, "reason": "As it is.",
              "low": float(np.quantile(replicates[key], 0.05)), "level": LEVEL,
              "high": float(np.quantile(replicates[key], 0.95))}
        for key, value in values.items()
    }  # fmt: skip
    card = {"law": name, "bootstrap": {"percentiles": LEVEL}, "convention": {}}
    rows = [dict(point) for point in points]
    saved = SavedFit(law(name), values, replicates, LEVEL, len(rows), card, Path("unused"))
    return FittedLaw(saved, parameters, rows, name)


def point(params: float, tokens: float, observed: float, residual: float = 0.0) -> dict[str, Any]:
    return {"params": params, "tokens": tokens, "observed": observed, "residual": residual}


def other_text(truth: Truth, loss: float, text: str) -> float:
    return 0.3 * (1 + TEXTS.index(text)) + truth.offset_slope * loss


def sizes(truth: Truth) -> Data:
    rows, curves, evaluations, along = [], {}, [], []
    for index, params in enumerate(SIZES):
        row = run(params, 0.0)
        own = curve(truth, row, SIZES[((index + 1) ^ 1) - 1] if truth.shuffled and index else None)
        row["loss"] = own[-1]["val_loss"]
        rows.append(row)
        curves[row["cell"]] = own
        for text in TEXTS:
            evaluations.append(
                {"cell": row["cell"], "corpus": text, "loss": other_text(truth, row["loss"], text)}
            )
            along += [
                {"cell": row["cell"], "corpus": text, "step": at["step"], "val_loss": at["val_loss"],
                 "loss": other_text(truth, at["val_loss"], text) * (1 + truth.late * (at["step"] < STEPS))}
                for at in own
            ]  # fmt: skip
    for params in (1e5, 1e6, 1e7):  # as long as the LSTMs, and without courses at the peak rate
        row = run(params, plain(params), 2e9)
        rows.append(row)
        curves[row["cell"]] = [
            {"step": 1, "val_loss": None, "loss_by_position": positions(truth, row["loss"])}
        ]
    scale, exponent = truth.size
    line = [(scale / n) ** exponent if not truth.logarithm else 5 - 0.15 * np.log(n) for n in SIZES]
    line = [loss * (1 + 0.001 * (-1) ** i) for i, loss in enumerate(line)]
    points = [point(n, BATCH * STEPS, loss) for n, loss in zip(SIZES, line, strict=True)]
    fits = {
        "power_params": {"Nc": scale, "alpha_N": exponent},
        "power_compute": dict(zip(("Cc", "alpha_C"), truth.compute, strict=True)),
        "power_compute_min": {"Cc_min": frontier_scale(truth.steps, truth.batch),
                              "alpha_C_min": compute_exponent(truth.steps, truth.batch)},
        "kaplan_steps": vars(truth.steps),
        **{f"transfer@{text}": {"k": 1.0, "s": truth.offset_slope} for text in TEXTS},
    }  # fmt: skip
    made = {name: fit(name, values, points, truth) for name, values in fits.items()}
    made["kaplan_steps"].points[-1]["residual"] = truth.missed
    return Data(runs=rows, curves=curves, evaluations=evaluations, text_curves=along, fits=made)


def subsets(truth: Truth) -> Data:
    """Models stopped early on subsets, at a multiple of the bound of eq. 5.7."""
    noise = np.random.default_rng(1)
    rows, points = [], []
    for params in np.geomspace(1e6, 1e8, 6).tolist():
        for unique in np.geomspace(2.2e7, 2e9, 5).tolist():
            loss = float(truth.data.at(params, unique))
            residual = noise.normal(0, truth.overfit_noise)
            stop = truth.stops * float(earliest_stop(truth.steps, truth.data, params, unique))
            stop *= 1 + float(truth.batch.at(loss)) / BATCH  # S of S_min, eq. 5.4
            rows.append(run(params, loss, tokens=2 * BATCH * (stop + 1), unique_tokens=round(unique),
                            best_step=round(stop)))  # fmt: skip
            points.append(point(params, unique, loss, residual))
    fits = {"kaplan": vars(truth.data), "power_tokens": dict(zip(("Dc", "alpha_D"), truth.tokens))}
    return Data(runs=rows, fits={n: fit(n, values, points, truth) for n, values in fits.items()})


FRONT = (10**4, 10**5, 10**6, 10**7)  # batch sizes of a front


def batches(truth: Truth) -> Data:
    fronts, rows, curves = [], [], {}
    for params in (3e6, 8.5e7):
        row = run(params, 3.0)
        rows.append(row)
        curves[row["cell"]] = []
        for loss in (6.0, 5.0, 4.2, 3.5):
            critical = float(truth.batch.at(loss)) * (params / 3e6) ** truth.batch_size
            tokens = 1e9 / loss
            fronts.append({"params": params, "loss": loss, "critical_batch": critical,
                           "tokens_min": tokens, "status": "converged",
                           "batch_tokens": list(FRONT),
                           "steps": [tokens / critical + tokens / batch for batch in FRONT]})  # fmt: skip
            curves[row["cell"]].append(
                {"val_loss": loss * 1.005, "noise_scale": truth.noise_scale * critical}
            )
    made = fit(
        "critical_batch",
        vars(truth.batch),
        [point(f["params"], f["tokens_min"], f["critical_batch"]) for f in fronts],
        truth,
    )
    return Data(
        runs=rows, curves=curves, critical_batches=fronts, fits={"critical_batch": made},
        level_replicates=list(replicate_rows(fronts, Evidence({}).bootstraps, 0)),
    )  # fmt: skip


def shapes(truth: Truth) -> Data:
    rows, evaluations = [], []
    made = [(2, 64, 256, 4), (8, 32, 128, 2), (4, 45, 180, 3), (14, 24, 96, 2),
            (2, 90, 90, 6), (2, 50, 400, 5), (2, 64, 256, 1), (2, 64, 256, 16)]  # fmt: skip
    for index, (layers, width, ff, heads) in enumerate(made):
        for seed in (0, 1):
            loss = 3.0 * (1 + truth.shape * (index % 2)) + 0.002 * (-1) ** seed
            row = run(1e5, loss, n_layer=layers, d_model=width, d_ff=ff, n_head=heads, seed=seed)
            rows.append(row)
            evaluations += [
                {"cell": row["cell"], "corpus": text, "loss": other_text(truth, loss, text) * (1 + truth.deep * np.log2(layers))}
                for text in TEXTS
            ]  # fmt: skip
    return Data(runs=rows, evaluations=evaluations)


def depths(truth: Truth, tokens: float = 2e9) -> Data:
    """Losses that follow the count without embeddings, or the one with them."""
    rows = []
    for index, params in enumerate(np.geomspace(1e4, 1e8, 12)):
        layers = (2, 4, 8)[index % 3]
        total = params * (1 + 4 / layers**2)
        counted = total if truth.embedding else params
        loss = (8.8e13 / counted) ** 0.076 * (1 + 0.0005 * (-1) ** index)
        rows.append(run(params, loss, tokens, n_layer=layers, params_total=round(total)))
    return Data(runs=rows)


def plain(params: float) -> float:
    return float((8.8e13 / params) ** 0.076)


def lstm(truth: Truth) -> Data:
    rows, curves = [], {}
    for params in (1e5, 1e6, 1e7):
        row = run(params, plain(params) * (1 + truth.lstm), 2e9, family="lstm")
        rows.append(row)
        curves[row["cell"]] = [
            {"loss_by_position": positions(truth, row["loss"], late=truth.lstm_late)}
        ]
    return Data(runs=rows, curves=curves)


def recurrent(truth: Truth) -> Data:
    rows = []
    for params in (1e5, 1e6, 1e7):
        for reuse in (2, 4):
            equal, larger = plain(params), plain(params * reuse)
            loss = equal * (larger / equal) ** truth.reused
            rows.append(run(params, loss, 2e9, family="recurrent", reuse=reuse))
    return Data(runs=rows)


def short(truth: Truth) -> Data:
    rows, curves = [], {}
    for params in SIZES[2:6]:
        row = run(params, 3.0, context=8)
        rows.append(row)
        long = loss_at(truth, params, STEPS)
        curves[row["cell"]] = [
            {"loss_by_position": positions(truth, float(long) * (1 + truth.short), bins=4)}
        ]
    return Data(runs=rows, curves=curves)


def schedules(truth: Truth) -> Data:
    rows = []
    kinds = [("wsd", 1.0), ("cosine", 0.5), ("linear", 0.5), ("constant", 1.0), ("cosine", 0.01)]
    for index, (name, total) in enumerate(kinds):
        for seed in (0, 1, 2):
            strange = name == "constant" or total < 0.1
            loss = 3.0 + truth.scheduled * (index % 2) + 0.8 * strange + 0.004 * (seed - 1)
            rows.append(
                run(1e6, loss, schedule=name, lr_sum=total, seed=seed, warmup_steps=30, lr=total)
            )
    return Data(runs=rows)


def seeds(truth: Truth) -> Data:
    """Ten seeds of three sizes."""
    rng = np.random.default_rng(2)
    away = rng.standard_normal(10)
    rows = [
        run(params, 3.0 + spread * away[seed] * (1 - 2 * (index % 2)), seed=seed)
        for index, (params, spread) in enumerate(zip((1e4, 1e5, 1e6), truth.seeds, strict=True))
        for seed in range(10)
    ]
    return Data(runs=rows)


def study(truth: Truth) -> Evidence:
    """Every experiment."""
    makers = {
        "sizes": sizes, "data": subsets, "batches": batches, "shapes": shapes, "depths": depths,
        "lstm": lstm, "recurrent": recurrent, "short": short, "schedules": schedules, "seeds": seeds,
    }  # fmt: skip
    return Evidence({name: make(truth) for name, make in makers.items()}, bootstraps=60)
