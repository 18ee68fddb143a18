"""What a training found out of itself: loss, time, memory, where and by what it ran."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import torch

from pipeline import provenance
from pipeline.cells import Cell
from pipeline.training import stopping
from pipeline.training.loop import Trainer


def measured(cell: Cell, trainer: Trainer, status: str) -> dict[str, Any]:
    """The columns of contracts.RUN that training found out."""
    progress, corpus = trainer.progress, trainer.corpus
    last = stopping.counted(cell, progress.rows) if status == "finished" else {}
    loss, best_step = last.get("val_loss"), last.get("step")
    speed = progress.step * cell.batch_tokens / max(progress.seconds, 1e-9)
    commit, dirty = provenance.git_commit()
    if loss is not None:
        trainer.machine.log(
            f"{cell.key}: loss {loss:.4f} nats/token after {best_step} of {progress.step} steps, "
            f"{progress.seconds:.1f} s, {speed:.0f} tokens/s"
        )
    return {
        "unique_tokens": cell.unique_tokens or corpus.tokens["train"],
        "loss": loss, "loss_se": last.get("val_loss_se"), "best_step": best_step,
        "bits_per_byte": None if loss is None else corpus.bits_per_byte(loss, "validation"),
        "status": status, "seconds": progress.seconds,
        "own_seconds": progress.own_seconds,
        "tokens_per_second": speed,
        "peak_memory": max(trainer.team.gathered(_peak_memory(trainer.device))),
        "restarts": len(progress.interruptions),
        "lost_seconds": math.fsum(i["lost_seconds"] for i in progress.interruptions),
        "interruptions": ",".join(i["cause"] for i in progress.interruptions),
        "device": _device_name(trainer.device),
        "precision": trainer.precision, "threads": trainer.machine.threads,
        "processes": trainer.team.size,
        "host": provenance.host(), "finished_at": provenance.now(), "git_commit": commit,
        "git_dirty": dirty, "packages": json.dumps(provenance.packages(), sort_keys=True),
        "data_sha256": corpus.data_sha256, **_gone(cell, progress.step),
    }  # fmt: skip


def _gone(cell: Cell, step: int) -> dict[str, Any]:
    """Columns of contracts.RUN that early stopping leaves below what the cell was to reach."""
    if not cell.patience:
        return {}
    gone = replace(cell, steps=step, tokens=step * cell.batch_tokens)
    names = ("steps", "tokens", "flops_6nd", "flops_exact")
    return {name: getattr(gone, name) for name in names}


def _peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's memory where training ran on one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return provenance.peak_memory()


def forget_peak_memory() -> None:
    """Let the peak be that of the training that begins, as far as the system can forget."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    provenance.forget_peak_memory()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return provenance.processor()
