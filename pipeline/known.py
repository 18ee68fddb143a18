"""What is known of a study's laws before anything is fitted: true values, to hold fits against."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import contracts
from pipeline.laws import LAWS, law
from pipeline.laws.base import Kind

Row = dict[str, Any]


def facts(regression: Path | None, corpus: Path | None) -> list[Row]:
    """Rows of the contract ``known`` from a regression's folder and from a corpus.json.

    Raises ContractError or OSError, naming the file, where one is missing or broken.
    """
    found: list[Row] = []
    if regression:
        table = contracts.read(regression / "known.parquet", contracts.KNOWN)
        found += table.to_pylist()
    if corpus:
        card = json.loads(corpus.read_text(encoding="utf-8"))
        found += floors(card["entropy_rate"], card["bytes_per_token"]["validation"])
    return found


def floors(entropy_rate: float, bytes_per_token: float) -> Iterator[Row]:
    """The floor of every law of the loss that has one: the entropy rate, in nats/token.

    It is told in bits/byte, too, for fits that count those.
    """
    per_byte = entropy_rate / math.log(2) / bytes_per_token
    for name, entry in LAWS.items():
        if entry.target != "loss":
            continue
        for parameter in law(name).parameters:
            if parameter.kind is Kind.FLOOR:
                for value, unit in ((entropy_rate, "nats/token"), (per_byte, "bits/byte")):
                    yield {
                        "law": name, "parameter": parameter.name, "value": value, "unit": unit,
                        "reason": "entropy rate of the language",
                    }  # fmt: skip
