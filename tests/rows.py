"""Valid rows of the contracts, for tests that need tables without training anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import contracts

RUN: dict[str, Any] = {
    "cell": "N1k-D1k-s0-0000000000", "trunk": None, "corpus": "text-0", "family": "transformer",
    "n_layer": 2, "d_model": 8, "d_ff": 32, "n_head": 1, "context": 16, "vocab_size": 300,
    "params": 1536, "params_total": 4104, "tokens": 10240, "unique_tokens": 10240,
    "batch_tokens": 1024, "steps": 10, "lr": 0.025, "lr_embedding": 0.02, "schedule": "wsd",
    "warmup_steps": 2, "cooldown_steps": 2, "seed": 0, "recipe": 1, "flops_6nd": 9.4e7,
    "flops_exact": 2.4e8, "loss": 5.0, "loss_se": 0.01, "bits_per_byte": 3.0,
    "status": "finished", "seconds": 1.0, "own_seconds": 0.2, "tokens_per_second": 10240.0,
    "peak_memory": 10**8, "restarts": 0, "lost_seconds": 0.0, "interruptions": "",
    "device": "cpu", "precision": "fp32", "threads": 1, "processes": 1, "host": "here",
    "finished_at": "2026-01-01T00:00:00Z", "git_commit": "unknown", "git_dirty": False,
    "packages": "{}", "data_sha256": "aa", "best_step": 10, "lr_sum": 0.2, "final_lr": 0.0,
    "schedule_power": 1.0, "optimizer": "adamw", "dropout": 0.0, "reuse": 1,
}  # fmt: skip

CURVE: dict[str, Any] = {
    "step": 10, "tokens": 10240, "flops": 2.4e8, "train_loss": 5.1, "val_loss": 5.0,
    "val_loss_se": 0.01, "loss_by_position": [6.0, 5.0], "lr": 0.025, "grad_norm": 1.0,
    "noise_scale": None, "seconds": 1.0, "grad_squared": None, "grad_variance": None,
}  # fmt: skip


TASKS = [{"task": "quiz", "error": 0.25, "error_se": 0.03, "chance": 0.75, "items": 200}]
TEXTS = [{"corpus": "other", "loss": 5.5, "loss_se": 0.01, "bits_per_byte": 3.5}]


def write_cell(cells: Path, key: str, **changes: Any) -> None:
    """The three tables of one finished cell, in cells/<key>."""
    run = {**RUN, "cell": key, "tasks": TASKS, **changes}
    text = {"cell": key, "corpus": "other", "loss": 5.5, "loss_se": 0.01,
            "bits_per_byte": 3.5, "tokens": 1000}  # fmt: skip
    contracts.write(cells / key / "run.parquet", [run], contracts.RUN)
    contracts.write(
        cells / key / "curve.parquet", [{**CURVE, "texts": TEXTS, "tasks": TASKS}], contracts.CURVE
    )
    contracts.write(cells / key / "evaluation.parquet", [text], contracts.EVALUATION)
