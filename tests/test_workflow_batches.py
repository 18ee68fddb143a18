"""What the workflow plans for a study that measures the critical batch size."""

from __future__ import annotations

import pytest
from project import Project

pytestmark = pytest.mark.workflow

SCAN = {
    "grid": {
        "sizes": [{"n_layer": 1, "d_model": 8, "n_head": 1}],
        "batches": [64, 128, 256, 512],
        "rates": [0.5, 1.0],
        "tokens": [10240, 20480],
    },
    "critical_batch": {"measure": True, "losses": [5.0]},
    "fit": {"laws": ["kaplan", "critical_batch", "kaplan_steps"]},
}


def test_a_scan_is_measured_and_corrected_before_the_laws_of_it_are_fitted(tmp_path):
    project = Project.make(tmp_path / "scan")
    project.configure(SCAN)
    planned = project.planned()
    # One size, four batch sizes and two rates are eight trunks of two cells each.
    assert (planned["train"], planned["publish_cell"], planned["fit_law"]) == (8, 16, 3)
    assert planned["measure_critical_batch"] == planned["correct_runs"] == 1
    assert planned["draw_critical_batch"] == planned["draw_batch_fronts"] == 1
    status, printed = project.snakemake("-n", "-p")
    assert status == 0
    inputs = dict.fromkeys(("levels", "corrected"), 0)
    again = "--target-replicates results/tiny/level_replicates.parquet"
    for line in printed.splitlines():
        for table in inputs:
            inputs[table] += f"--runs results/tiny/{table}.parquet" in line
        if "python -m pipeline.fit" in line:
            assert (again in line) == ("--law critical_batch " in line)
    assert inputs == {"levels": 1, "corrected": 1}
    assert "--replicates results/tiny/level_replicates.parquet" in printed
    assert printed.count(again) == 1
    assert "--losses 5.0 --count 8" in printed
    assert "--laws kaplan --runs results/tiny/runs.parquet" in printed  # of the backtest
