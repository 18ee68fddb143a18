"""Stage 7: plans, the runs to train next, and the scores of forecasts."""

from __future__ import annotations

from pipeline.contracts.columns import _bool, _f64, _field, _i64, _schema, _text

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
