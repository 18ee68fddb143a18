"""The real workflow on a regression: nothing is trained, and what is known reaches the page."""

from __future__ import annotations

import json

import pytest
import yaml
from project import Project

from pipeline import contracts

pytestmark = pytest.mark.workflow

STUDY = {
    "study": "poly",
    "regression": {"sizes": [16, 32, 64, 4096], "samples": [64, 128, 131072], "seeds": 2},
    "fit": {"laws": ["power_params", "power_tokens", "additive"], "bootstraps": 20},
    "figures": ["loss_vs_params", "exponents"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A project whose study of a regression has run once."""
    project = Project.make(tmp_path_factory.mktemp("regression"))
    (project.folder / "config.yaml").write_text(yaml.safe_dump(STUDY))
    status, printed = project.snakemake()
    assert status == 0, printed
    return project


def test_fits_find_the_exponent_and_the_page_tells_the_exact_one(finished):
    results = finished.folder / "results" / "poly"
    card = json.loads((results / "fits" / "power_params" / "card.json").read_text())
    assert card["parameters"]["alpha_N"]["value"] == pytest.approx(0.75, abs=2e-3)
    runs = contracts.read(results / "runs.parquet", contracts.RUNS)
    assert runs.schema.field("loss").metadata[b"unit"].startswith(b"share of variance")
    assert not (finished.folder / "results" / "cells").exists()
    page = (finished.folder / "figures" / "poly" / "index.html").read_text()
    assert "<th>exact</th>" in page
    assert "excess test error (share of variance)" in page
    assert "nats/token" not in page


def test_a_second_run_has_nothing_to_do_and_another_exponent_starts_anew(finished):
    assert finished.planned() == {}
    changed = {**STUDY, "regression": {**STUDY["regression"], "exponent": 0.5}}
    config = finished.folder / "config.yaml"
    config.write_text(yaml.safe_dump(changed))
    assert {"fit_polynomials", "aggregate_runs"} <= set(finished.planned())
    config.write_text(yaml.safe_dump(STUDY))
