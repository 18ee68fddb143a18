"""Stage 6: the claims of a paper beside what experiments measured."""

from __future__ import annotations

from pipeline.contracts.columns import _f64, _field, _i64, _schema, _text

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
