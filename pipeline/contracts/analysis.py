"""Stage 5: what fits and runs tell, and how far they can be trusted."""

from __future__ import annotations

import pyarrow as pa

from pipeline.contracts.columns import _bool, _f64, _field, _i64, _schema, _text

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
