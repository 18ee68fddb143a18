"""Stages 2 and 3: runs, their curves and scores, and what is known of them."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.columns import _bool, _f64, _field, _i64, _later, _schema, _text

_CURVE_FIELDS = (
    _field("step", _i64, "optimizer steps"),
    _field("tokens", _i64, "tokens seen"),
    _field("flops", _f64, "FLOP, exact convention"),
    _field("train_loss", _f64, "nats/token, mean since the row before", nullable=True),
    _field("val_loss", _f64, "nats/token, whole validation split", nullable=True),
    _field("val_loss_se", _f64, "nats/token, standard error", nullable=True),
    _field(
        "loss_by_position", pa.list_(_f64), "nats/token in position bins 1, 2, 3-4, 5-8, ...", True
    ),
    _field("lr", _f64, "learning rate of the hidden matrices"),
    _field("grad_norm", _f64, "global gradient norm before clipping", nullable=True),
    _field("noise_scale", _f64, "tokens, gradient noise scale", nullable=True),
    _field("seconds", _f64, "s of training since step 0, all turns"),
    _later("grad_squared", _f64, "squared norm of the gradient's expectation, unbiased"),
    _later("grad_variance", _f64, "trace of the covariance of one token's gradient, unbiased"),
)
_SCORE_FIELDS = (
    _field("loss", _f64, "nats/token"),
    _field("loss_se", _f64, "nats/token, standard error"),
    _field("bits_per_byte", _f64, "bits/byte"),
)
_TASK_FIELDS = (
    _field("task", _text, "name of the task"),
    _field("error", _f64, "share of the answers that are wrong, in [0, 1]"),
    _field("error_se", _f64, "its standard error, of questions drawn anew", nullable=True),
    _field("chance", _f64, "error without looking at the question"),
    _field("items", _i64, "questions"),
)
_TASK_SCORES = pa.list_(pa.struct(_TASK_FIELDS))
_TEXT_SCORE = pa.struct([_field("corpus", _text, "name of the evaluation corpus"), *_SCORE_FIELDS])

# One row for each evaluation along the training of a cell (its trunk's rows included). A study's
# curves have the scores on other texts and on tasks in tables of their own, a row for each.
CURVE = _schema(
    "curve",
    *_CURVE_FIELDS,
    _later("texts", pa.list_(_TEXT_SCORE), "scores on other texts at this step"),
    _later("tasks", _TASK_SCORES, "errors on tasks at this step"),
)
TEXT_CURVES = _schema(
    "text_curves",
    _field("cell", _text, "cell key"),
    _field("step", _i64, "optimizer steps"),
    _field("tokens", _i64, "tokens seen"),
    _field("flops", _f64, "FLOP, exact convention"),
    _field("val_loss", _f64, "nats/token, whole validation split, at this step", nullable=True),
    _field("corpus", _text, "name of the evaluation corpus"),
    *_SCORE_FIELDS,
)
TASK_CURVES = _schema(
    "task_curves",
    _field("cell", _text, "cell key"),
    _field("step", _i64, "optimizer steps"),
    _field("tokens", _i64, "tokens seen"),
    _field("flops", _f64, "FLOP, exact convention"),
    _field("val_loss", _f64, "nats/token, whole validation split, at this step", nullable=True),
    *_TASK_FIELDS,
)
CURVES = _schema("curves", _field("cell", _text, "cell key"), *_CURVE_FIELDS)

_RUN_FIELDS = (
    _field("cell", _text, "cell key"),
    _field("trunk", _text, "key of the shared stable phase", nullable=True),
    _field("corpus", _text, "corpus key"),
    _field("family", _text, "architecture"),
    _field("n_layer", _i64, "layers"),
    _field("d_model", _i64, "residual width"),
    _field("d_ff", _i64, "feed-forward width, 0 without such a part"),
    _field("n_head", _i64, "attention heads, 0 without attention"),
    _field("context", _i64, "tokens"),
    _field("vocab_size", _i64, "tokens"),
    _field("params", _i64, "non-embedding parameters N"),
    _field("params_total", _i64, "all parameters"),
    _field("tokens", _i64, "tokens seen D"),
    _field("unique_tokens", _i64, "distinct training tokens available to the run"),
    _field("batch_tokens", _i64, "tokens per optimizer step"),
    _field("steps", _i64, "optimizer steps"),
    _field("lr", _f64, "peak learning rate of the hidden matrices"),
    _field("lr_embedding", _f64, "peak learning rate of embeddings and gains"),
    _field("schedule", _text, "wsd | cosine | linear | constant | ..., as in the config"),
    _field("warmup_steps", _i64, "optimizer steps"),
    _field("cooldown_steps", _i64, "optimizer steps"),
    _field("seed", _i64, "seed"),
    _field("recipe", _i64, "version of the meaning of training"),
    _field("flops_6nd", _f64, "FLOP, 6 N D for each use of the layers"),
    _field("flops_exact", _f64, "FLOP with attention and head"),
    _field("loss", _f64, "nats/token, final or best, whole validation split", nullable=True),
    _field("loss_se", _f64, "nats/token, standard error", nullable=True),
    _field("bits_per_byte", _f64, "bits/byte, of the validation text", nullable=True),
    _field("status", _text, "finished | diverged"),
    _field("seconds", _f64, "s of training that led to this cell, its trunk included"),
    _field("own_seconds", _f64, "s of training spent for this cell alone (its branch)"),
    _field("tokens_per_second", _f64, "tokens/s of training"),
    _field("peak_memory", _i64, "bytes, peak resident or device memory"),
    _field("restarts", _i64, "times training was interrupted and resumed"),
    _field("lost_seconds", _f64, "s of work done again after interruptions"),
    _field("interruptions", _text, "their causes in order, comma-separated"),
    _field("device", _text, "device name"),
    _field("precision", _text, "fp32 | bf16"),
    _field("threads", _i64, "CPU threads of each process"),
    _field("processes", _i64, "processes that trained it together at the end, a GPU each"),
    _field("host", _text, "host name"),
    _field("finished_at", _text, "UTC, ISO 8601"),
    _field("git_commit", _text, "hex, or unknown"),
    _field("git_dirty", _bool, "true when the tree had uncommitted changes"),
    _field("packages", _text, "JSON object: package -> version"),
    _field("data_sha256", _text, "hex digest over the corpus shards"),
    _later("best_step", _i64, "optimizer steps behind the loss; below steps if stopped early"),
    _later("lr_sum", _f64, "learning rates of the hidden matrices, summed over the steps"),
    _later("final_lr", _f64, "last learning rate over the peak"),
    _later("schedule_power", _f64, "exponent of the polynomial schedule"),
    _later("optimizer", _text, "adamw | adafactor", meant="adamw"),
    _later("dropout", _f64, "probability; null where an earlier version did not tell"),
    _later("reuse", _i64, "times that the layers are applied", meant=1),
)

# One row for each trained cell. A study has the errors on tasks in a table of their own.
RUN = _schema("run", *_RUN_FIELDS, _later("tasks", _TASK_SCORES, "errors of the finished model"))

# Of a study's runs, what an imported table may lack is null; the other columns always hold.
_ALWAYS = ("cell", "tokens", "flops_6nd", "status")
RUNS = _schema(
    "runs",
    _field("study", _text, "study name"),
    _field("source", _text, "native, or the name of the imported table"),
    _field("provenance", _text, "JSON object: file, sha256, row, line of an imported run", True),
    *(field if field.name in _ALWAYS else field.with_nullable(True) for field in _RUN_FIELDS),
    _field("bytes_per_token", _f64, "bytes/token of the text that the loss is measured on", True),
    _field("flops_min", _f64, "FLOP that a batch far below the critical one would need", True),
    _field("steps_min", _f64, "steps that a batch far above the critical one would need", True),
    _field("critical_batch", _f64, "tokens, critical batch size measured at this loss", True),
    _field("weight_bits", _f64, "bits of the weights in training", True),
    _field("rounded_bits", _f64, "bits that the weights are rounded to after training", True),
    _field("rounding_loss", _f64, "nats/token that this rounding adds", True),
    _field("included", _bool, "used in fits"),
    _field("exclusion", _text, "why not, one of the enumerated reasons", nullable=True),
    _later("curve", _text, "key of the training that this row is a point of; null at a run's end"),
)

# One row for each text a finished cell was evaluated on.
EVALUATION = _schema(
    "evaluation",
    _field("cell", _text, "cell key"),
    _field("corpus", _text, "name of the evaluation corpus"),
    _field("loss", _f64, "nats/token"),
    _field("loss_se", _f64, "nats/token, standard error"),
    _field("bits_per_byte", _f64, "bits/byte"),
    _field("tokens", _i64, "tokens evaluated"),
)
EVALUATIONS = _schema(
    "evaluations",
    *(f if f.name in ("cell", "corpus", "loss") else f.with_nullable(True) for f in EVALUATION),
)

# One row for each task that a run was scored on, when it had finished.
TASKS = _schema(
    "tasks",
    _field("cell", _text, "cell key"),
    _field("task", _text, "name of the task"),
    _field("error", _f64, "share of the answers that are wrong, in [0, 1]"),
    _field("error_se", _f64, "its standard error", nullable=True),
)

# One row for each parameter of a law whose true value is known, beside which a fit can be held.
KNOWN = _schema(
    "known",
    _field("law", _text, "law name"),
    _field("parameter", _text, "parameter name"),
    _field("value", _f64, "true value"),
    _field("unit", _text, "its unit, which for a loss is that of the fit it can be held against"),
    _field("reason", _text, "how it is known, in a few words"),
)
