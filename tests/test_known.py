"""What is known of a study's laws: read from where it was made, in the units of fits."""

import json
import math

import pytest

from pipeline import contracts, known
from pipeline.figures import FLOORED
from pipeline.laws import law
from pipeline.laws.base import Kind


def test_a_languages_entropy_is_the_floor_of_every_law_that_has_one(tmp_path):
    card = {"entropy_rate": 2.0, "bytes_per_token": {"validation": 3.0}}
    (tmp_path / "corpus.json").write_text(json.dumps(card))
    rows = known.facts(None, tmp_path / "corpus.json")
    assert {row["law"] for row in rows} == set(FLOORED)
    for row in rows:
        parameter = next(p for p in law(row["law"]).parameters if p.name == row["parameter"])
        assert parameter.kind is Kind.FLOOR
        # Nats to bits, tokens to bytes.
        assert row["value"] == {"nats/token": 2.0, "bits/byte": 2.0 / math.log(2) / 3}[row["unit"]]
    contracts.table(contracts.KNOWN, rows)


def test_of_other_studies_nothing_is_known():
    assert known.facts(None, None) == []


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(contracts.ContractError, match=r"known\.parquet: there is no such file"):
        known.facts(tmp_path, None)
