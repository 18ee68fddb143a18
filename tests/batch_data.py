"""A made-up scan of batch sizes with a known front at every loss, for the tests that measure it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rows import CURVE, RUN

from pipeline import contracts
from pipeline.batches.traces import Trace

BATCHES = (256, 512, 1024, 2048, 4096, 8192)
RATES = (0.005, 0.01, 0.02)  # the middle one is best; half or twice of it takes a third more steps
SLOWER = 1 / 3
EVALUATED = np.unique(np.geomspace(1, 200_000, 50).round()).astype(int)


def critical_batch(loss: Any) -> Any:
    """The true B_crit in tokens."""
    return 2e6 / loss**5


def steps_min(loss: Any, params: float = 1536) -> Any:
    """The true S_min: what a size leaves for ever, and a power of what steps have yet to learn."""
    return 60 / (loss - 2.5 * (1e3 / params) ** 0.08) ** 2


def steps(loss: Any, batch: float, rate: float = RATES[1], params: float = 1536) -> Any:
    """Steps to a loss, eq. 5.1, at one of the rates."""
    slow = 1 + SLOWER * (np.log2(rate / RATES[1])) ** 2
    return slow * steps_min(loss, params) * (1 + critical_batch(loss) / batch)


def curve(batch: int, rate: float, tokens: float, params: float = 1536) -> list[dict[str, Any]]:
    """Rows of contracts.CURVE up to a token count: the loss at each step, by inverting ``steps``."""
    losses = np.geomspace(12.0, 2.5 * (1e3 / params) ** 0.08 * 1.0001, 4000)
    taken = steps(losses, batch, rate, params)
    at = EVALUATED[EVALUATED * batch <= tokens]
    values = np.interp(np.log(at), np.log(taken), losses)
    # Rounded as no curve is exact: the residuals are the yardstick of the solver's last step.
    values = np.exp(np.log(values).round(4))
    return [CURVE | {"step": int(step), "tokens": int(step) * batch, "val_loss": float(value)}
            for step, value in zip(at, values, strict=True)]  # fmt: skip


def run(batch: int, rate: float, rows: list[dict[str, Any]], **changed: Any) -> dict[str, Any]:
    """The row of contracts.RUNS of such a curve."""
    last = rows[-1]
    return RUN | {
        "cell": f"B{batch}-r{rate:g}-N{changed.get('params', 1536)}-s{changed.get('seed', 0)}",
        "study": "scan", "source": "native", "included": True, "exclusion": None,
        "schedule": "constant", "warmup_steps": 0, "cooldown_steps": 0, "batch_tokens": batch,
        "lr": rate, "lr_embedding": rate, "steps": last["step"], "tokens": last["tokens"],
        "loss": last["val_loss"], "bits_per_byte": last["val_loss"] / 2,
        "flops_6nd": 6.0 * changed.get("params", 1536) * last["tokens"],
    } | changed  # fmt: skip


def scan(
    batches: tuple[int, ...] = BATCHES, rates: tuple[float, ...] = RATES, tokens: float = 6e6,
    **changed: Any,
) -> list[Trace]:  # fmt: skip
    """A run for each batch size and rate, all of as many tokens as they need."""
    found = []
    for batch in batches:
        for rate in rates:
            params = changed.get("params", 1536)
            rows = curve(batch, rate, tokens * (1 + batch / 2000), params)
            found.append(Trace(run(batch, rate, rows, **changed), rows))
    return found


def write(folder: Path, traces: list[Trace]) -> tuple[Path, Path]:
    """runs.parquet and curves.parquet of a scan."""
    runs, curves = folder / "runs.parquet", folder / "curves.parquet"
    contracts.write(runs, [trace.run for trace in traces], contracts.RUNS)
    rows = [row | {"cell": trace.run["cell"]} for trace in traces for row in trace.rows]
    contracts.write(curves, rows, contracts.CURVES)
    return runs, curves
