"""Stage 3: critical batch sizes, from curves and from branches of a trunk."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.columns import _bool, _f64, _field, _i64, _later, _schema, _text

# One row for each model and loss that its runs met at several batch sizes.
CRITICAL_BATCHES = _schema(
    "critical_batches",
    _field("params", _i64, "non-embedding parameters N"),
    _field("n_layer", _i64, "layers"),
    _field("d_model", _i64, "residual width"),
    _field("d_ff", _i64, "feed-forward width"),
    _field("n_head", _i64, "attention heads"),
    _field("context", _i64, "tokens"),
    _field("family", _text, "architecture"),
    _field("unique_tokens", _i64, "distinct training tokens available to the runs"),
    _field("loss", _f64, "nats/token, the loss that was met"),
    _field("bits_per_byte", _f64, "bits/byte, the same loss", nullable=True),
    _field("steps_min", _f64, "S_min, steps that a very large batch needs to it", nullable=True),
    _field("steps_min_low", _f64, "lower end of its interval", nullable=True),
    _field("steps_min_high", _f64, "upper end of its interval", nullable=True),
    _field("tokens_min", _f64, "E_min, tokens that a very small batch needs to it", nullable=True),
    _field("tokens_min_low", _f64, "lower end of its interval", nullable=True),
    _field("tokens_min_high", _f64, "upper end of its interval", nullable=True),
    _field("critical_batch", _f64, "tokens, E_min / S_min; null where unknown", nullable=True),
    _field("critical_batch_low", _f64, "lower end of its interval", nullable=True),
    _field("critical_batch_high", _f64, "upper end of its interval", nullable=True),
    _later("noise_scale", _f64, "tokens, tr Sigma / |G|^2 of the gradient at this loss"),
    _later("noise_scale_low", _f64, "lower end of its interval"),
    _later("noise_scale_high", _f64, "upper end of its interval"),
    _field("level", _f64, "coverage of the intervals, in (0, 1)"),
    _field("status", _text, "status of the fit"),
    _field("reason", _text, "the status as a sentence"),
    _field("batch_tokens", pa.list_(_i64), "tokens per step of the batch sizes that met the loss"),
    _field("steps", pa.list_(_f64), "steps of each to the loss, at its best learning rate"),
    _field("lr", pa.list_(_f64), "that learning rate, of the hidden matrices"),
    _field("at_edge", pa.list_(_bool), "it was the least or the greatest tried"),
    _field("cells", pa.list_(_text), "cell key of the run, or of the first seed"),
    _later("reuse", _i64, "times that the layers are applied"),
    _later("dropout", _f64, "probability"),
    _later("optimizer", _text, "adamw | adafactor"),
)

# What levels become on draws of the batch sizes behind them, for the fit of B_crit(L).
LEVEL_REPLICATES = _schema(
    "level_replicates",
    _field("cell", _text, "key of the level, as in its row of the contract runs"),
    _field("model", _text, "key of its model, whose batch sizes are drawn once for all its losses"),
    _field("batch_sizes", _i64, "batch sizes of that model, as many as are drawn"),
    _field("replicate", _i64, "draw, from 0"),
    _field("critical_batch", _f64, "tokens, on that draw; null where it leaves no front", True),
)

# One row for each evaluation of a branch from a trunk, at a batch size and rate of its own.
BRANCHES = _schema(
    "branches",
    _field("cell", _text, "cell at whose branch point the trunk stood"),
    _field("trunk", _text, "trunk key"),
    _field("at_step", _i64, "optimizer steps of the trunk before"),
    _field("at_loss", _f64, "nats/token, validation loss of the trunk there"),
    _field("batch_tokens", _i64, "tokens per step of the branch"),
    _field("factor", _f64, "its rate over the trunk's times the root of the ratio of batches"),
    _field("lr", _f64, "learning rate of the hidden matrices"),
    _field("lr_embedding", _f64, "learning rate of embeddings and gains"),
    _field("repeat", _i64, "index of the text that it went through"),
    _field("step", _i64, "optimizer steps of the branch"),
    _field("tokens", _i64, "tokens of the branch"),
    _field("val_loss", _f64, "nats/token, whole validation split"),
)
