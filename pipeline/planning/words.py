"""What the quantities of a plan are called, and how their numbers are written."""

from __future__ import annotations

import math

from pipeline.cells import short

TITLES = {
    "params": "parameters N*", "tokens": "training tokens D*", "tokens_per_param": "D*/N*",
    "max_params": "at most", "max_tokens": "at most",
    "flops": "training compute", "inference_flops": "inference compute", "loss": "loss",
    "n_layer": "layers", "d_model": "residual width", "d_ff": "feed-forward width",
    "n_head": "heads", "shape_params": "N of this shape", "shape_params_total": "with embeddings",
    "lr": "learning rate", "memory_states": "memory of states",
    "memory_activations": "memory of activations", "least_gpus": "fewest GPUs",
    "critical_batch_tokens": "critical batch", "batch_tokens": "batch", "steps": "steps",
    "inference_gpu_hours": "GPU-hours of inference", "inference_money": "money for inference",
    "total_money": "money in all",
    "pf_days": "PF-days", "gpu_hours": "GPU-hours", "days": "days", "money": "money",
    "gain_2x_params": "twice N lowers the loss by", "gain_2x_tokens": "twice D lowers it by",
    "price_0.5x_params": "half the size needs", "price_2x_params": "twice the size needs",
    "price_0.5x_by_steps": "half the size, by L(N, S)",
    "price_2x_by_steps": "twice the size, by L(N, S)", "earliest_stop": "earliest stop",
    "fold_params": "larger budget: N", "fold_tokens": "larger budget: D",
    "fold_loss": "larger budget: loss", "fold_batch": "larger budget: batch",
    "fold_steps": "larger budget: steps",
    "tokens_against_overfitting": "tokens against overfitting",
}  # fmt: skip
OF_DATASETS = (
    "was fitted to the tokens of datasets (fit.tokens: unique_tokens), which cost no compute, so "
    "that it splits no budget; fit it to the tokens seen to plan with it."
)
COUNTS = (
    "params", "tokens", "max_params", "max_tokens", "tokens_against_overfitting", "batch_tokens",
    "critical_batch_tokens", "shape_params", "shape_params_total", "steps", "earliest_stop",
)  # fmt: skip
BYTES = ("memory_states", "memory_activations")
WHOLE = ("n_layer", "d_model", "d_ff", "n_head", "least_gpus")


def number(name: str, value: float) -> str:
    """A quantity as eyes read it."""
    if not math.isfinite(value):
        return "never" if value > 0 else "unknown"
    if name in WHOLE:
        return f"{value:.0f}"
    if name in COUNTS:
        return short(value) if value < 1e15 else f"{value:.3g}"
    if name in BYTES:
        scale, unit = (1e9, "GB") if value >= 1e9 else (1e6, "MB")
        return f"{value / scale:,.0f} {unit}" if value >= 1e12 else f"{value / scale:.3g} {unit}"
    if name in ("loss", "fold_loss"):
        return f"{value:.4f}"
    return f"{value:,.0f}" if 999.5 <= value < 1e7 else f"{value:.3g}"
