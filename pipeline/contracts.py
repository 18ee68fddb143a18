"""The typed Parquet tables through which the stages meet, and the only way to read or write them.

Each schema carries its name and version in the file's metadata, and each column its unit. A file
that was cut short, belongs to another contract, or lacks a column is refused by name; only columns
that came later may be missing, and read as what was meant before them, or as null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import atomic

VERSION = 1


class ContractError(ValueError):
    """A table breaks its contract; the message names the file, the column and the cure."""


def _field(name: str, type_: pa.DataType, unit: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, type_, nullable=nullable, metadata={"unit": unit})


def _later(name: str, type_: pa.DataType, unit: str, meant: Any = None) -> pa.Field:
    """A column that tables written before it lack: there it reads as ``meant``.

    It reads as null where nothing is meant, or where the schema that has it lets it be null.
    """
    tells = {"unit": unit, "later": json.dumps(meant)}
    return pa.field(name, type_, nullable=meant is None, metadata=tells)


def _schema(name: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"contract": name, "version": str(VERSION)})


_text, _i64, _f64, _bool = pa.string(), pa.int64(), pa.float64(), pa.bool_()

# One row for each token file of a corpus.
MANIFEST = _schema(
    "manifest",
    _field("corpus", _text, "corpus key"),
    _field("shard", _text, "file name, relative to the manifest"),
    _field("split", _text, "train | validation | test | evaluation"),
    _field("documents", _i64, "documents or blocks"),
    _field("tokens", _i64, "tokens"),
    _field("bytes", _i64, "bytes of UTF-8 text"),
    _field("bytes_per_token", _f64, "bytes/token"),
    _field("dtype", _text, "numpy dtype of the memory-mapped shard"),
    _field("sha256", _text, "hex digest of the shard"),
    _field("tokenizer", _text, "hex digest of tokenizer.json"),
    _field("vocab_size", _i64, "tokens in the vocabulary"),
)

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

# One row for each task: what its error is to the loss, over all evaluations along the curves.
SATURATION = _schema(
    "saturation",
    _field("task", _text, "name of the task"),
    _field("points", _i64, "evaluations, those that cells share counted once"),
    _field("runs", _i64, "trainings behind them, a trunk with its branches being one"),
    _field("rho", _f64, "rank correlation of error and loss (Spearman)", nullable=True),
    _field("rho_low", _f64, "lower end of its interval", nullable=True),
    _field("rho_high", _f64, "upper end of its interval", nullable=True),
    _field("foretold", _f64, "share of the variance in the last part that others foretell", True),
    _field("foretold_low", _f64, "lower end of its interval", nullable=True),
    _field("foretold_high", _f64, "upper end of its interval", nullable=True),
    _field("loss_high", _f64, "nats/token, where the last part of the losses begins", True),
    _field("loss_low", _f64, "nats/token, where it ends: the least loss", nullable=True),
    _field("error", _f64, "mean error in the last part", nullable=True),
    _field("change", _f64, "of the error while the loss falls through the last part", True),
    _field("change_low", _f64, "lower end of its interval", nullable=True),
    _field("change_high", _f64, "upper end of its interval", nullable=True),
    _field("slope", _f64, "of error on loss in the last part, token/nat", nullable=True),
    _field("scatter", _f64, "error, root mean square about a monotone line", nullable=True),
    _field("sampling", _f64, "the same that as many questions would bring alone", nullable=True),
    _field("chance", _f64, "error without looking at the question", nullable=True),
    _field("level", _f64, "coverage of the intervals, in (0, 1)"),
    _field("kind", _text, "predictable | noisy | flat | unknown"),
    _field("reason", _text, "why, in a sentence"),
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

# The four tables of one fitted law, in fits/<law>/.
PARAMETERS = _schema(
    "parameters",
    _field("law", _text, "law name"),
    _field("parameter", _text, "parameter name"),
    _field("value", _f64, "best estimate"),
    _field("low", _f64, "lower end of the interval", nullable=True),
    _field("high", _f64, "upper end of the interval", nullable=True),
    _field("profile_low", _f64, "lower end by profile likelihood, null where open", True),
    _field("profile_high", _f64, "upper end by profile likelihood, null where open", True),
    _field("level", _f64, "coverage of the intervals, in (0, 1)"),
    _field("status", _text, "status of this parameter"),
    _field("reason", _text, "the status as a sentence"),
    _field("objective", _f64, "objective at the optimum"),
    _field("starts", _i64, "starting points tried"),
    _field("points", _i64, "runs behind the fit"),
)
BOOTSTRAP = _schema(
    "bootstrap",
    _field("replicate", _i64, "bootstrap replicate"),
    _field("parameter", _text, "parameter name"),
    _field("value", _f64, "estimate on that replicate"),
)
POINTS = _schema(
    "points",
    _field("cell", _text, "cell key"),
    _field("params", _f64, "non-embedding parameters N, in the fit's convention"),
    _field("tokens", _f64, "tokens seen D"),
    _field("flops", _f64, "FLOP, in the fit's convention"),
    _field("observed", _f64, "nats/token"),
    _field("predicted", _f64, "nats/token, law fitted on all included runs"),
    _field("residual", _f64, "log observed - log predicted"),
    _field("weight", _f64, "what the run counts in the fit, 1 on average"),
)
PREDICTIONS = _schema(
    "predictions",
    _field("law", _text, "law name"),
    _field("flops", _f64, "FLOP budget, 6 N D in the fit's N"),
    _field("quantity", _text, "params | tokens | loss at the compute optimum"),
    _field("value", _f64, "parameters, tokens or nats/token"),
    _field("low", _f64, "lower end of the interval", nullable=True),
    _field("high", _f64, "upper end of the interval", nullable=True),
    _field("level", _f64, "coverage of the interval"),
    _field("extrapolation", _f64, "budget over the largest fitted budget"),
    _field("planned", _bool, "a budget asked for, not a point of the line between them"),
    _field("points", _i64, "runs behind the fit"),
)

# One row for each exponent of a fitted law and each way to fit it; the allocation's is one.
SENSITIVITY = _schema(
    "sensitivity",
    _field("law", _text, "key of the fit"),
    _field("parameter", _text, "exponent, or allocation: a of N* ~ C^a"),
    _field("delta", _f64, "natural log, Huber's; tiny is least absolute, huge least squares"),
    _field("dropped", _i64, "runs of highest loss left out"),
    _field("params", _text, "column that is N"),
    _field("flops", _text, "column that is C"),
    _field("loss", _text, "column that is the loss"),
    _field("value", _f64, "the exponent; null where no minimum was found", nullable=True),
    _field("points", _i64, "runs behind it"),
    _field("status", _text, "status of that fit"),
    _field("baseline", _bool, "the fit as the study makes it"),
    _field("low", _f64, "lower end of the baseline's interval", nullable=True),
    _field("high", _f64, "upper end of the baseline's interval", nullable=True),
    _field("moved", _bool, "value outside that interval; null where either is unknown", True),
)

# One row for each run above a cut-off, as a law fitted up to the cut-off predicts it.
BACKTEST = _schema(
    "backtest",
    _field("law", _text, "law name"),
    _field("axis", _text, "what the cut-off cuts: flops | params | tokens | a law's one input"),
    _field("cutoff", _f64, "largest fitted value of the axis, in its unit"),
    _field("cell", _text, "cell key of the run predicted"),
    _field("params", _f64, "non-embedding parameters N, in the fit's convention"),
    _field("tokens", _f64, "tokens seen D"),
    _field("flops", _f64, "FLOP, in the fit's convention"),
    _field("extrapolation", _f64, "the run's value of the axis over the cut-off"),
    _field("observed", _f64, "nats/token"),
    _field("predicted", _f64, "nats/token, NaN where the law has no value"),
    _field("low", _f64, "nats/token, lower end of the interval of one more run", nullable=True),
    _field("high", _f64, "nats/token, its upper end", nullable=True),
    _field("level", _f64, "coverage of the interval, in (0, 1)"),
    _field("error", _f64, "% of the observed loss, predicted less observed"),
    _field("covered", _bool, "observed lies in the interval"),
    _field("compared", _bool, "predicted from this cut-off by every law it is ranked with"),
    _field("points", _i64, "runs behind the fit"),
    _field("status", _text, "status of the fit up to the cut-off"),
)
# One row for each law and bin of the extrapolation factor; laws that were not compared have one.
RANKING = _schema(
    "ranking",
    _field("law", _text, "law name"),
    _field("axis", _text, "what was extrapolated along"),
    _field("joint", _bool, "among laws of several inputs, else among those of one input"),
    _field("above", _f64, "lower end of the bin of the extrapolation factor", nullable=True),
    _field("up_to", _f64, "its upper end; null where open or without a bin", nullable=True),
    _field("predictions", _i64, "predictions that all compared laws made", nullable=True),
    _field("runs", _i64, "runs that they predict", nullable=True),
    _field("mape", _f64, "% of the observed loss, mean absolute error", nullable=True),
    _field("bias", _f64, "% of the observed loss, mean error", nullable=True),
    _field("worst", _f64, "% of the observed loss, largest absolute error", nullable=True),
    _field("coverage", _f64, "share of observed losses inside their intervals", nullable=True),
    _field("level", _f64, "coverage that the intervals aim at"),
    _field("parameters", _i64, "parameters of the law"),
    _field("r2", _f64, "share of the variance of log loss, fit of all runs", nullable=True),
    _field("rmse", _f64, "100 log units, fit of all runs", nullable=True),
    _field("score", _f64, "100 log units, mean absolute error over bins", nullable=True),
    _field("in_sample_rank", _i64, "1 for the smallest rmse of the group", nullable=True),
    _field("out_of_sample_rank", _i64, "1 for the smallest score of the group", nullable=True),
    _field("disagrees", _bool, "the two ranks differ"),
    _field("chosen", _bool, "the law of the group to trust"),
    _field("reason", _text, "why, in a sentence"),
)

# One row for each quantity of each plan.
PLAN = _schema(
    "plan",
    _field("asked", _text, "the question: a budget, a target loss or caps, and further limits"),
    _field("law", _text, "law name"),
    _field("quantity", _text, "what the value is, such as params, tokens, loss, money"),
    _field("value", _f64, "in the row's unit; infinite where no number suffices"),
    _field("low", _f64, "lower end of the interval", nullable=True),
    _field("high", _f64, "upper end of the interval", nullable=True),
    _field("unit", _text, "unit of value, low and high"),
    _field("level", _f64, "coverage of the interval"),
    _field("extrapolation", _f64, "times beyond the runs behind the fit, 1 within", nullable=True),
    _field("points", _i64, "runs behind the fit"),
    _field("note", _text, "where the value comes from, or empty"),
)

# One row for each budget and approach: the size of lowest loss, found or refused.
OPTIMA = _schema(
    "optima",
    _field("approach", _text, "approach, or the law of approach 3"),
    _field("flops", _f64, "FLOP budget, in the convention of the fits"),
    _field("flops_low", _f64, "FLOP, least of the runs behind it, or from where the size is best"),
    _field("flops_high", _f64, "FLOP, most of the runs behind it, or up to where"),
    _field("params", _f64, "parameters N*; null where refused", nullable=True),
    _field("params_low", _f64, "lower end of its interval", nullable=True),
    _field("params_high", _f64, "upper end of its interval", nullable=True),
    _field("tokens", _f64, "tokens D*; null where refused", nullable=True),
    _field("tokens_low", _f64, "lower end of its interval", nullable=True),
    _field("tokens_high", _f64, "upper end of its interval", nullable=True),
    _field("loss", _f64, "nats/token at the minimum; null where refused", nullable=True),
    _field("loss_low", _f64, "lower end of its interval", nullable=True),
    _field("loss_high", _f64, "upper end of its interval", nullable=True),
    _field("level", _f64, "coverage of the intervals, in (0, 1)"),
    _field("sizes", _i64, "sizes compared"),
    _field("runs", _i64, "runs behind it"),
    _field("status", _text, "status of the minimum"),
    _field("reason", _text, "the status as a sentence"),
    _field("curve_params", pa.list_(_f64), "parameters along the line through the budget"),
    _field("curve_loss", pa.list_(_f64), "nats/token along that line"),
)
# One row for each approach, quantity and kind of resampling: y = coefficient (C / reference)^a.
ALLOCATIONS = _schema(
    "allocations",
    _field("approach", _text, "approach, or the law of approach 3"),
    _field("quantity", _text, "params (N*) | tokens (D*)"),
    _field("exponent", _f64, "a of N* or D* ~ C^a; null where unknown", nullable=True),
    _field("low", _f64, "lower end of its interval", nullable=True),
    _field("high", _f64, "upper end of its interval", nullable=True),
    _field("level", _f64, "coverage of the interval, in (0, 1)"),
    _field("resampling", _text, "noise of seeds | cases in each budget | sizes | none"),
    _field("coefficient", _f64, "parameters or tokens at the reference", nullable=True),
    _field("reference", _f64, "FLOP", nullable=True),
    _field("exponents", pa.list_(_f64), "a of each resample"),
    _field("coefficients", pa.list_(_f64), "coefficient of each resample"),
    _field("budgets", _i64, "budgets, or stretches of compute, with an optimum"),
    _field("runs", _i64, "runs behind them"),
    _field("flops_low", _f64, "FLOP, least of these budgets", nullable=True),
    _field("flops_high", _f64, "FLOP, most of these budgets", nullable=True),
    _field("status", _text, "status of the exponent"),
    _field("reason", _text, "the status as a sentence"),
)
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
# One row for each run to train next, in order.
NEXT_CELLS = _schema(
    "next_cells",
    _field("law", _text, "law name"),
    _field("rank", _i64, "1 for the first to train"),
    _field("params", _f64, "N, in the fit's convention"),
    _field("tokens", _f64, "tokens seen D"),
    _field("flops", _f64, "FLOP, its cost"),
    _field("deviation_before", _f64, "% of the loss, deviation of the prediction without it"),
    _field("deviation_after", _f64, "% of the loss, the same with it and those before it"),
)

# One row for each run that a forecast foretold; a prediction without a run yet has one, too.
SCORE = _schema(
    "score",
    _field("params", _f64, "parameters N foretold, in the forecast's convention"),
    _field("tokens", _f64, "tokens seen D foretold"),
    _field("extrapolation", _f64, "6 N D over the largest fitted"),
    _field("predicted", _f64, "nats/token, or bits/byte where the fit counts them"),
    _field("low", _f64, "lower end of the interval"),
    _field("high", _f64, "upper end of the interval"),
    _field("level", _f64, "coverage of the interval, in (0, 1)"),
    _field("cell", _text, "cell key of the run", nullable=True),
    _field("finished_at", _text, "UTC, ISO 8601, when the run finished", nullable=True),
    _field("after", _bool, "it finished after the freeze", nullable=True),
    _field("observed", _f64, "the run's loss, in the unit of predicted", nullable=True),
    _field("error", _f64, "% of the observed loss, predicted less observed", nullable=True),
    _field("covered", _bool, "observed lies in the interval", nullable=True),
    _field("log_score", _f64, "nats, log density of the log loss", nullable=True),
)

# One row for each claim of a paper, set beside what the experiments of a replication measured.
COMPARISON = _schema(
    "comparison",
    _field("claim", _text, "key of the claim"),
    _field("statement", _text, "what the paper says, in a sentence"),
    _field("source", _text, "section, equation, figure or table of the paper"),
    _field("quantity", _text, "what is compared"),
    _field("unit", _text, "unit of the values of this row"),
    _field(
        "paper", _f64, "the paper's value, in the row's unit; null where it states bounds", True
    ),
    _field("paper_low", _f64, "least value that the paper's words allow", nullable=True),
    _field("paper_high", _f64, "largest value that the paper's words allow", nullable=True),
    _field("value", _f64, "measured, in the row's unit; null where it was not", nullable=True),
    _field("low", _f64, "lower end of its interval", nullable=True),
    _field("high", _f64, "upper end of its interval", nullable=True),
    _field("level", _f64, "coverage of the interval, in (0, 1)", nullable=True),
    _field("runs", _i64, "runs, or points along curves, behind it"),
    _field("experiments", _text, "experiments that it is measured in, comma-separated"),
    _field("params_low", _f64, "non-embedding parameters N, least of these runs", nullable=True),
    _field("params_high", _f64, "non-embedding parameters N, most of these runs", nullable=True),
    _field("tokens_low", _f64, "tokens D, least of these runs", nullable=True),
    _field("tokens_high", _f64, "tokens D, most of these runs", nullable=True),
    _field("verdict", _text, "reproduced | differs | out_of_reach | not_measured"),
    _field("reason", _text, "what the verdict rests on, a sentence made by its rule"),
)

SCHEMAS = {
    schema.metadata[b"contract"].decode(): schema
    for schema in (
        MANIFEST, CURVE, CURVES, TEXT_CURVES, RUN, RUNS, EVALUATION, EVALUATIONS, TASKS, KNOWN,
        PARAMETERS, BOOTSTRAP, POINTS, PREDICTIONS, BACKTEST, RANKING, SCORE, PLAN, NEXT_CELLS,
        OPTIMA, ALLOCATIONS, SENSITIVITY, CRITICAL_BATCHES, BRANCHES, COMPARISON, TASK_CURVES,
        SATURATION,
    )
}  # fmt: skip


def table(schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a table of ``schema``; ContractError on a missing, foreign or ill-typed column."""
    rows = list(rows)
    name = schema.metadata[b"contract"].decode()
    known = set(schema.names)
    for row in rows:
        if foreign := set(row) - known:
            raise ContractError(f"{name}: unknown column {sorted(foreign)[0]!r}")
        for field in schema:
            if row.get(field.name) is None and not field.nullable:
                raise ContractError(f"{name}: column {field.name!r} is missing from a row")
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ContractError(f"{name}: {error}") from error


def told(schema: pa.Schema, columns: Mapping[str, Mapping[str, str]]) -> pa.Schema:
    """The same contract, some of whose columns tell another ``unit``, or a ``name`` in figures.

    They are written into the file, so that what a table measures is known wherever it is read.
    """
    for column, tells in columns.items():
        index = schema.get_field_index(column)
        field = schema.field(index)
        own = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        schema = schema.set(index, field.with_metadata({**own, **tells}))
    return schema


def write(path: str | Path, data: pa.Table | Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Write a table atomically: a reader sees the whole file or none.

    Raises ContractError when the data break the schema, OSError (naming the file) when the disk
    refuses; neither leaves a half-written file behind.
    """
    path = Path(path)
    if not isinstance(data, pa.Table):
        data = table(schema, data)
    elif not data.schema.equals(schema):
        raise ContractError(f"{path}: the table's columns differ from its contract's")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        pq.write_table(data.replace_schema_metadata(schema.metadata), temporary)


def read(path: str | Path, schema: pa.Schema) -> pa.Table:
    """Read a table and hold it to its contract; raise ContractError naming file and fault."""
    path = Path(path)
    name = schema.metadata[b"contract"].decode()
    cure = "delete it and run snakemake again to make it anew"
    if not path.exists():
        raise ContractError(f"{path}: there is no such file (expected a {name} table)")
    try:
        with pq.ParquetFile(path) as file:  # read_table imports pandas, for a third of a second
            found = file.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise ContractError(f"{path}: not a readable Parquet file ({error}); {cure}") from error
    stamp = (found.schema.metadata or {}).get(b"contract", b"none").decode()
    if stamp != name:
        raise ContractError(f"{path}: holds the contract {stamp!r}, expected {name!r}; {cure}")
    version = found.schema.metadata.get(b"version", b"?").decode()
    if version != str(VERSION):
        raise ContractError(f"{path}: {name} version {version}, expected {VERSION}; {cure}")
    for field in schema:
        if field.name not in found.schema.names and b"later" in field.metadata:
            meant = None if field.nullable else json.loads(field.metadata[b"later"])
            found = found.append_column(field, [pa.array([meant] * len(found), field.type)])
        if field.name not in found.schema.names:
            raise ContractError(f"{path}: the column {field.name!r} is missing; {cure}")
        if found.schema.field(field.name).type != field.type:
            raise ContractError(
                f"{path}: the column {field.name!r} is {found.schema.field(field.name).type}, "
                f"expected {field.type}; {cure}"
            )
    return found.select(schema.names)
