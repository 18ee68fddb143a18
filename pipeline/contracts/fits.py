"""Stage 4: fitted laws."""

from __future__ import annotations

from pipeline.contracts.columns import _f64, _field, _i64, _schema, _text

# The three tables of one fitted law, in fits/<law>/.
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
