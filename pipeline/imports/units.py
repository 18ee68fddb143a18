"""How a table may write its numbers, and what turns them into the project's units.

Standard library only. A unit is compared in lower case by its letters and digits alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

PF_DAY = 1e15 * 86400  # FLOP


class Kind(StrEnum):
    """What a column holds, which decides the units that it can come in."""

    COUNT = "count"
    FLOPS = "flops"
    LOSS = "loss"
    SHARE = "share"
    SECONDS = "seconds"
    TIME = "time"
    NUMBER = "number"
    TEXT = "text"


COUNTS = {
    "one": 1.0,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "GPU-hours": 3600.0,  # times what one GPU does in a second
}
FLOPS = {
    "FLOP": 1.0,
    "MFLOP": 1e6,
    "GFLOP": 1e9,
    "TFLOP": 1e12,
    "PFLOP": 1e15,
    "EFLOP": 1e18,
    "ZFLOP": 1e21,
    "YFLOP": 1e24,
    "PF-days": PF_DAY,
    "GPU-hours": 3600.0,  # times what one GPU does in a second
}
SECONDS = {"s": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
# Points in time; the factor makes a number seconds since 1970, UTC.
TIMES = {"ISO 8601": 1.0, "unix seconds": 1.0, "unix milliseconds": 1e-3}
# No plain factors: bytes per token stand between some, a logarithm before one. See quantities.
LOSSES = dict.fromkeys(("nats/token", "bits/token", "nats/byte", "bits/byte", "perplexity"), 1.0)
SHARES = dict.fromkeys(("error", "accuracy", "error %", "accuracy %"), 1.0)

# The first unit of a kind is the one a column is in where none is named.
UNITS: dict[Kind, Mapping[str, float]] = {
    Kind.COUNT: COUNTS,
    Kind.FLOPS: FLOPS,
    Kind.LOSS: LOSSES,
    Kind.SHARE: SHARES,
    Kind.SECONDS: SECONDS,
    Kind.TIME: TIMES,
    Kind.NUMBER: {"one": 1.0},
    Kind.TEXT: {"text": 1.0},
}
# Other spellings, after ``normal``.
SPELLINGS = {
    Kind.COUNT: {
        "k": "thousand", "thousands": "thousand", "m": "million", "millions": "million",
        "b": "billion", "bn": "billion", "g": "billion", "billions": "billion", "t": "trillion",
        "trillions": "trillion", "1": "one", "tokens": "one", "parameters": "one",
        "gpuhour": "GPU-hours", "gpuh": "GPU-hours",
    },
    Kind.FLOPS: {
        "flops": "FLOP", "mflops": "MFLOP", "gflops": "GFLOP", "tflops": "TFLOP",
        "pflops": "PFLOP", "eflops": "EFLOP", "zflops": "ZFLOP", "yflops": "YFLOP",
        "pfday": "PF-days", "pflopdays": "PF-days", "pflopsdays": "PF-days", "pfd": "PF-days",
        "petaflopsdays": "PF-days", "petaflopdays": "PF-days", "gpuhour": "GPU-hours",
        "gpuh": "GPU-hours",
    },
    Kind.LOSS: {
        "nats": "nats/token", "bits": "bits/token", "bitspertoken": "bits/token",
        "natspertoken": "nats/token", "bitsperbyte": "bits/byte", "bpb": "bits/byte",
        "natsperbyte": "nats/byte", "ppl": "perplexity",
    },
    Kind.SHARE: {"acc": "accuracy", "accuracypct": "accuracy %", "errorpct": "error %"},
    Kind.SECONDS: {"seconds": "s", "sec": "s", "min": "minutes", "h": "hours", "hour": "hours"},
    Kind.TIME: {
        "iso": "ISO 8601", "utc": "ISO 8601", "unix": "unix seconds", "epoch": "unix seconds",
        "s": "unix seconds", "seconds": "unix seconds", "unixs": "unix seconds",
        "ms": "unix milliseconds", "milliseconds": "unix milliseconds",
        "unixms": "unix milliseconds",
    },
}  # fmt: skip


def normal(text: str) -> str:
    """Lower-case letters and digits of a name; a per cent sign is a word."""
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("%", "percent"))


def unit(kind: Kind, written: str) -> str | None:
    """The unit of a kind that is written so, or None."""
    plain = normal(written)
    for name in UNITS[kind]:
        if normal(name) == plain:
            return name
    return SPELLINGS.get(kind, {}).get(plain)
