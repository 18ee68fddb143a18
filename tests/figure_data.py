"""A small study with every table, made up from a known law with noise, for the tests of figures."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import allocate, backtest, contracts, saturation
from pipeline.approaches import APPROACHES
from pipeline.approaches.allocation import Options as Resampling
from pipeline.approaches.budgets import budgets
from pipeline.batches.fronts import Front, Point
from pipeline.batches.noise_scale import NoiseScale
from pipeline.batches.rows import front_row
from pipeline.batches.traces import Model
from pipeline.files import write_json
from pipeline.laws import SURFACES, law, named
from pipeline.laws.band import read
from pipeline.laws.base import Kind, Runs, Status, SurfaceLaw
from pipeline.laws.estimate import Options

TRUTH = {"Nc": 4.6e9, "alpha_N": 0.089, "Dc": 5.3e8, "alpha_D": 0.179}
WIDTHS = (8, 16, 32, 48, 64, 96, 128)
TOKENS = (500_736, 1_000_448, 1_999_872, 3_999_744)
VOCAB, CONTEXT, BATCH = 512, 128, 1024
LEVEL = 0.9
REPLICATES = 60
LAWS = ("power_params", "power_tokens", "power_compute", "kaplan", "chinchilla")
# Texts: what they cost at loss 0, and how much of a loss they take over. A task's error on the loss.
TEXTS = {"code": (1.9, 0.8), "encyclopedia": (0.75, 0.95)}
TASK = {
    "task_sigmoid": {"a": -0.7, "b": 0.9, "k": 2.0, "L0": 3.5},
    "gadre_error": {"eps": 0.95, "k": 3.0, "gamma": 0.6},
}
# The critical batch size by loss, of studies that scan batch sizes.
SCAN = {"B": 6e6, "alpha_B": 0.2}
NOISE = 4e6  # noise scale of the gradient at loss 1, tokens
SCANNED = (256, 512, 1024, 2048, 4096, 8192)
MEASURED = ("transfer@code", "transfer@encyclopedia", "task_sigmoid@quiz", "gadre_error@quiz")


@dataclass(frozen=True)
class Paths:
    """Where a made-up study lies."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs.parquet"

    @property
    def fits(self) -> Path:
        return self.folder / "fits"

    def arguments(self, tables: Iterable[str], fits: bool) -> list[str]:
        """Command-line options that name the tables and, where asked for, the fits."""
        given = [text for t in tables for text in (f"--{t}", str(self.folder / f"{t}.parquet"))]
        return [*given, "--fits", str(self.fits)] if fits else given


def key(width: int, tokens: int, seed: int = 0) -> str:
    """A cell key in the project's form."""
    text = f"d{width}-D{tokens}-s{seed}"
    return (
        f"N{24 * width * width}-D{tokens}-s{seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    )


def truth(params: Any, tokens: Any) -> Any:
    """Loss of the known law."""
    values = {name: np.asarray(value) for name, value in TRUTH.items()}
    inputs = {"params": np.atleast_1d(params), "tokens": np.atleast_1d(tokens)}
    return law("kaplan").predict(values, inputs)


def run(width: int, tokens: int, loss: float | None, **changed: Any) -> dict[str, Any]:
    """One row of runs.parquet for a two-layer model."""
    params = 24 * width * width
    steps = tokens // BATCH
    row = dict.fromkeys(contracts.RUNS.names) | {
        "study": "made-up", "source": "native", "cell": key(width, tokens), "trunk": f"trunk-{width}",
        "n_layer": 2, "d_model": width, "d_ff": 4 * width, "n_head": 1, "context": CONTEXT,
        "vocab_size": VOCAB, "params": params, "params_total": params + (VOCAB + CONTEXT) * width,
        "tokens": tokens, "unique_tokens": max(tokens, 5_000_000), "batch_tokens": BATCH, "steps": steps,
        "lr": 0.2 / width, "lr_embedding": 0.02, "schedule": "wsd", "warmup_steps": 50,
        "cooldown_steps": round(0.2 * steps), "seed": 0, "recipe": 1,
        "flops_6nd": 6.0 * params * tokens,
        "flops_exact": tokens * (6.0 * (params + width * VOCAB) + 24.0 * CONTEXT * width),
        "loss": loss, "loss_se": 0.004, "bits_per_byte": loss and loss / 2.0, "status": "finished",
        "seconds": 4e-6 * tokens, "own_seconds": 1e-6 * tokens, "tokens_per_second": 2.5e5,
        "peak_memory": 10**9, "restarts": 0, "lost_seconds": 0.0, "interruptions": "",
        "precision": "bf16", "threads": 1, "processes": 1, "device": "a made-up processor", "git_commit": "0" * 40, "git_dirty": False,
        "packages": "{}", "data_sha256": "ab" * 32, "included": True, "exclusion": None,
    }  # fmt: skip
    return row | changed


def runs(
    widths: Sequence[int] = WIDTHS, tokens: Sequence[int] = TOKENS, seed: int = 1
) -> list[dict[str, Any]]:
    """Runs of the known law with one per cent of noise."""
    noise = np.random.default_rng(seed)
    return [
        run(w, d, float(truth(24 * w * w, d)[0] * math.exp(noise.normal(0, 0.01))))
        for w in widths
        for d in tokens
    ]


def curve(row: dict[str, Any], points: int = 28) -> list[dict[str, Any]]:
    """Evaluations along one run: the trunk lies above the loss that the cooldown reaches."""
    end = row["loss"] if row["loss"] is not None else 4.0
    steps = np.unique(np.geomspace(1, row["steps"], points).round().astype(int))
    rows = []
    for step in [0, *steps.tolist()]:
        tokens = step * BATCH
        stable = step <= row["steps"] - row["cooldown_steps"]
        level = float(truth(row["params"], max(tokens, 1))[0])
        loss = min(math.log(VOCAB), level * (1.05 if stable else 1.0))
        if step == row["steps"]:
            loss = end
        gains = [loss * factor for factor in (1.3, 1.15, 1.08, 1.03, 1.0, 0.98, 0.97, 0.965)]
        rows.append({
            "cell": row["cell"], "step": step, "tokens": tokens,
            "flops": row["flops_exact"] * tokens / row["tokens"], "train_loss": loss,
            "val_loss": loss, "val_loss_se": 0.004, "loss_by_position": gains, "lr": row["lr"],
            "grad_norm": 0.5, "noise_scale": None, "seconds": row["seconds"] * step / row["steps"],
        })  # fmt: skip
    return rows


def included(rows: list[dict[str, Any]]) -> Runs:
    """The included rows, as fits see them."""
    used = [row for row in rows if row["included"] and row["loss"] is not None]
    sources = {"params": "params", "tokens": "tokens", "flops": "flops_6nd", "loss": "loss"}
    columns = {name: np.array([row[c] for row in used], float) for name, c in sources.items()}
    return Runs(tuple(row["cell"] for row in used), columns)


def selected(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The included rows that a law is measured on; a law of a task takes all, as none is solved."""
    runs, form = included(rows), law(name)
    own = set(
        runs.cell if form.target not in runs.columns else runs.take(form.select(runs).mask).cell
    )
    return [row for row in rows if row["cell"] in own]


def write_backtest(folder: Path, rows: list[dict[str, Any]], laws: Sequence[str]) -> None:
    """backtest.parquet and ranking.parquet of the laws, from few starts and resamples."""
    quick = Options(bootstraps=10, starts=4, level=LEVEL)
    forms = [law(name) for name in laws]
    found = backtest.groups(forms, included(rows), ["flops"], 10.0, dict.fromkeys(laws, quick))
    tested = backtest.backtest_rows(found, LEVEL)
    contracts.write(folder / "backtest.parquet", tested, contracts.BACKTEST)
    ranked = backtest.ranking_rows(found, LEVEL)
    contracts.write(folder / "ranking.parquet", ranked, contracts.RANKING)


def write_split(folder: Path, rows: list[dict[str, Any]], laws: Sequence[str]) -> None:
    """optima.parquet and allocations.parquet by every approach and the laws of N and D."""
    saved = [read(folder / "fits" / name) for name in laws if isinstance(law(name), SurfaceLaw)]
    runs, how = included(rows), Resampling(bootstraps=40, level=LEVEL)
    made = list(allocate.allocations(tuple(APPROACHES), runs, budgets(runs), saved, (), how))
    optima = [allocate.optimum_row(a.approach, best, LEVEL) for a in made for best in a.optima]
    contracts.write(folder / "optima.parquet", optima, contracts.OPTIMA)
    lines = [row for one in made for row in allocate.exponent_rows(one, LEVEL)]
    contracts.write(folder / "allocations.parquet", lines, contracts.ALLOCATIONS)


def theta(name: str, rows: list[dict[str, Any]]) -> np.ndarray:
    """A plausible fit by linear least squares (the surfaces' exponents are given, not fitted)."""
    y = np.array([row["loss"] for row in rows])
    if name == "kaplan":
        return law(name).theta({k: np.asarray(v) for k, v in TRUTH.items()})
    if name == "chinchilla":
        n, d = (np.array([row[c] for row in rows], float) for c in ("params", "tokens"))
        tried = []
        for alpha, beta in itertools.product((0.1, 0.2, 0.3, 0.4), (0.2, 0.35, 0.5)):
            terms = np.stack([np.ones_like(n), n**-alpha, d**-beta], axis=-1)
            values, misfit, *_ = np.linalg.lstsq(terms, y, rcond=None)
            if (values > 0).all():
                tried.append((float(misfit.sum()), [*values[:2], alpha, values[2], beta]))
        best = dict(zip(("E", "A", "alpha", "B", "beta"), min(tried)[1], strict=True))
        return law(name).theta({k: np.asarray(v) for k, v in best.items()})
    if name == "critical_batch":
        return law(name).theta({k: np.asarray(v) for k, v in SCAN.items()})
    if named(name) in TASK:
        return law(name).theta({k: np.asarray(v) for k, v in TASK[named(name)].items()})
    if named(name) == "transfer":
        k, s = TEXTS[name.partition("@")[2]]
        return law(name).theta({"k": np.asarray(k), "s": np.asarray(s)})
    column = {"params": "params", "tokens": "tokens", "flops": "flops_6nd"}[law(name).inputs[0]]
    slope, offset = np.polyfit(np.log([row[column] for row in rows]), np.log(y), 1)
    return np.array([offset, -slope])


def write_fit(folder: Path, name: str, rows: list[dict[str, Any]], few: bool = False) -> None:
    """fits/<law>/ for ``rows``; with ``few``, a fit refused for want of points."""
    form = law(name)
    rows = selected(name, rows)
    column = {"params": "params", "tokens": "tokens", "flops": "flops_6nd", "loss": "loss"}
    best = theta(name, rows) if not few else np.full(len(form.parameters), np.nan)
    x = np.log([[row[column[i]] for row in rows] for i in form.inputs])
    centre = x.mean(axis=1)
    local = form.shifted(best, -centre)
    noise = np.random.default_rng(2).normal(0, 0.006, (REPLICATES, len(best)))
    replicates = form.values(form.shifted(local + noise, centre)) if not few else {}
    values = {k: float(v) for k, v in form.values(best).items()} if not few else {}
    predicted = np.exp(form.log_target(best, x)) if not few else np.full(len(rows), np.nan)
    status = "too_few_points" if few else "converged"
    reason = "2 runs cannot determine 4 parameters; add runs." if few else "As good as it gets."
    parameters = []
    for p in form.parameters:
        ends = np.quantile(replicates[p.name], [0.05, 0.95]) if not few else (None, None)
        doubtful = p.name == "E"
        parameters.append({
            "law": name, "parameter": p.name, "value": values.get(p.name, math.nan),
            "low": ends[0], "high": ends[1], "level": LEVEL,
            "status": "unidentifiable" if doubtful and not few else status,
            "reason": "No run comes near the floor: from 0 to 2.1 nats/token fit about as well."
            if doubtful and not few else reason,
            "objective": 1e-3, "starts": 0 if few else 64, "points": len(rows),
        })  # fmt: skip
    if form.inputs == ("loss",):  # these are fitted to another column, here without scatter
        rows = [row | {"loss": float(y)} for row, y in zip(rows, predicted, strict=True)]
    write_json(folder / "card.json", card(name, rows, predicted, few))
    contracts.write(folder / "parameters.parquet", parameters, contracts.PARAMETERS)
    contracts.write(
        folder / "bootstrap.parquet",
        [
            {"replicate": i, "parameter": k, "value": float(v)}
            for k, column_ in replicates.items() for i, v in enumerate(column_)
        ],
        contracts.BOOTSTRAP,
    )  # fmt: skip
    contracts.write(
        folder / "points.parquet",
        [
            {
                "cell": row["cell"], "params": row["params"], "tokens": row["tokens"],
                "flops": row["flops_6nd"], "observed": row["loss"], "predicted": float(p),
                "residual": math.log(row["loss"] / p), "weight": 1.0,
            }
            for row, p in zip(rows, predicted, strict=True)
        ],
        contracts.POINTS,
    )  # fmt: skip


def card(name: str, rows: list[dict[str, Any]], predicted: np.ndarray, few: bool) -> dict[str, Any]:
    """What figures read of a card."""
    y, fitted = np.log([row["loss"] for row in rows]), np.log(predicted)
    return {
        "law": named(name),
        "convention": {"params": "params", "tokens": "tokens", "flops": "flops_6nd"},
        "bootstrap": {"percentiles": LEVEL, "widening": 1.0},
        "quality": {"r2": None if few else 1 - ((y - fitted) ** 2).sum() / (len(y) * y.var())},
    }


def write_study(
    folder: Path, rows: list[dict[str, Any]], laws: Sequence[str] = LAWS, few: Sequence[str] = (),
    known: Sequence[dict[str, Any]] = (),
) -> Paths:  # fmt: skip
    """Every table of a study under ``folder``; laws named in ``few`` have too few points."""
    contracts.write(folder / "runs.parquet", rows, contracts.RUNS)
    curves = [line for row in rows for line in curve(row)]
    contracts.write(folder / "curves.parquet", curves, contracts.CURVES)
    evaluations = [
        {"cell": row["cell"], "corpus": text, "loss": row["loss"] * slope + gap, "loss_se": 0.01,
         "bits_per_byte": 2.0, "tokens": 60_000}
        for row in rows if row["loss"] is not None
        for text, (gap, slope) in TEXTS.items()
    ]  # fmt: skip
    contracts.write(folder / "evaluations.parquet", evaluations, contracts.EVALUATIONS)
    for name in (*laws, *MEASURED):
        write_fit(folder / "fits" / name, name, rows, name in few)
    write_fit(folder / "fits" / "critical_batch", "critical_batch", rows, len(rows) < 3)
    contracts.write(
        folder / "critical_batches.parquet", list(fronts(rows)), contracts.CRITICAL_BATCHES
    )
    write_tasks(folder, rows)
    write_backtest(folder, rows, laws)
    write_split(folder, rows, [name for name in laws if name not in few])
    contracts.write(
        folder / "predictions.parquet", list(plans(rows, laws, few)), contracts.PREDICTIONS
    )
    contracts.write(
        folder / "sensitivity.parquet", list(sensitivities(laws, few)), contracts.SENSITIVITY
    )
    contracts.write(folder / "known.parquet", known, contracts.KNOWN)
    contracts.write(folder / "plan.parquet", list(planned(rows, laws, few)), contracts.PLAN)
    return Paths(folder)


def write_tasks(folder: Path, rows: list[dict[str, Any]]) -> None:
    """task_curves.parquet of two tasks, one of them never learnt, and what is made of it."""
    found = []
    for row in rows:
        for line in curve(row):
            for task, low, fall in (("quiz", 0.1, 0.8), ("riddle", 0.75, 0.0)):
                found.append({
                    **{name: line[name] for name in ("cell", "step", "tokens", "flops", "val_loss")},
                    "task": task, "error": low + fall / (1 + math.exp(-3 * (line["val_loss"] - 4))),
                    "error_se": 0.03, "chance": 0.9 if fall else 0.75, "items": 256,
                })  # fmt: skip
    contracts.write(folder / "task_curves.parquet", found, contracts.TASK_CURVES)
    judged = list(
        saturation.rows(folder / "task_curves.parquet", folder / "runs.parquet", LEVEL, 20, 0)
    )
    contracts.write(folder / "saturation.parquet", judged, contracts.SATURATION)


def fronts(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Fronts of the first three sizes at four losses; the lowest is not determined."""
    noise = np.random.default_rng(3)
    sizes = list(dict.fromkeys(row["d_model"] for row in rows))[:3] if len(rows) > 2 else []
    for place, width in enumerate(sizes):
        own = next(row for row in rows if row["d_model"] == width)
        words = {"family": "transformer", "optimizer": "adamw"}
        model = Model(*(words.get(name) or own[name] or 0 for name in Model._fields))
        for loss in np.geomspace(4.6 - 0.1 * place, 3.4 - 0.1 * place, 4):
            critical, least = SCAN["B"] / loss**5, 5e4 / loss**3
            found = tuple(
                Point(b, least * (1 + critical / b) * math.exp(noise.normal(0, 0.03)), 0.01,
                      own["cell"], b == 8192)
                for b in SCANNED
            )  # fmt: skip
            values = {
                "steps_min": least,
                "tokens_min": least * critical,
                "critical_batch": critical,
            }
            ends = {name: (0.8 * value, 1.25 * value) for name, value in values.items()}
            status = Status.UNIDENTIFIABLE if loss < 3.5 else Status.CONVERGED
            front = Front(model, float(loss), found, values, ends, status, "As it is.")
            scale = NOISE / loss**5
            yield front_row(front, NoiseScale(scale, (0.7 * scale, 1.4 * scale)), own, LEVEL)


def sensitivities(laws: Sequence[str], few: Sequence[str]) -> Iterable[dict[str, Any]]:
    """What other choices might make of each exponent: half of them leave its interval."""
    counts = ("params", "flops_6nd", "loss")
    for name in laws:
        own = [p.name for p in law(name).parameters if p.kind is Kind.EXPONENT]
        for parameter in [*own, *(["allocation"] if name in SURFACES else [])]:
            value = None if name in few else 0.2
            low, high = (None, None) if name in few else (0.17, 0.24)
            others = itertools.product((1e-7, 0.01, 1e3), (0, 2, 10), (counts[0], "params_total"))
            for delta, dropped, params in others:
                change = 1 - 0.02 * dropped + 0.3 * (params != counts[0])
                moved = value and not 0.17 <= value * change <= 0.24
                yield {
                    "law": name, "parameter": parameter, "delta": delta, "dropped": dropped,
                    "params": params, "flops": counts[1], "loss": counts[2],
                    "value": value and value * change, "points": 28 - dropped,
                    "status": "converged", "low": low, "high": high, "moved": moved,
                    "baseline": (delta, dropped, params) == (0.01, 0, counts[0]),
                }  # fmt: skip


def planned(
    rows: list[dict[str, Any]], laws: Sequence[str], few: Sequence[str]
) -> Iterable[dict[str, Any]]:
    """What a planner would say of the same budgets, by the first law that can be planned with."""
    predicted = list(plans(rows, laws, few))
    units = {"params": "parameters", "tokens": "tokens", "loss": "nats/token"}
    for row in predicted:
        if row["planned"] and row["law"] == predicted[0]["law"]:
            yield {
                "asked": f"flops = {row['flops']:.4g}", "law": row["law"],
                "quantity": row["quantity"], "value": row["value"], "low": row["low"],
                "high": row["high"], "unit": units[row["quantity"]], "level": LEVEL,
                "extrapolation": row["extrapolation"], "points": row["points"], "note": "",
            }  # fmt: skip


def plans(
    rows: list[dict[str, Any]], laws: Sequence[str], few: Sequence[str]
) -> Iterable[dict[str, Any]]:
    """Predictions at ten, a hundred and a thousand times the largest run."""
    largest = max(row["flops_6nd"] for row in rows)
    for name in ("kaplan", "chinchilla"):
        if name not in laws or name in few:
            continue
        values = law(name).values(theta(name, selected(name, rows)))
        for factor in (10.0, 30.0, 100.0, 1000.0):
            best = law(name).optimum(values, np.array(factor * largest))
            for quantity, value in best._asdict().items():
                yield {
                    "law": name, "flops": factor * largest, "quantity": quantity,
                    "value": float(value), "low": float(value) * 0.8, "high": float(value) * 1.25,
                    "level": LEVEL, "extrapolation": factor, "points": len(rows),
                    "planned": factor != 30.0,
                }  # fmt: skip
