"""One model over two nodes and four processes, interrupted once; and several jobs in one allocation."""

from __future__ import annotations

import json

import pytest
from study import GRID, RUNS, Study

ACROSS = "srun --overlap --nodes=2 --ntasks=2 --ntasks-per-node=1"
ONE = {**GRID, "sizes": GRID["sizes"][:1]}


def test_two_nodes_train_one_model(cluster, tmp_path, reference):
    study = Study.make(tmp_path / "parallel", cluster, 0.05, grid=ONE, fit={"laws": []})
    process = study.start(
        RUNS, "--set-resources", "train:gpus=2", "train:nodes=2",
        f"train:across='{ACROSS}'",
    )  # fmt: skip
    (job,) = study.wait_for_training(1)
    assert job["nodes"] == "node[1-2]"
    cluster.run("scontrol", "requeue", job["id"])
    status, printed = study.end(process)
    assert status == 0, printed
    losses = {row["cell"]: row["loss"] for row in study.rows()}
    alone = {row["cell"]: row["loss"] for row in reference.rows()}
    assert losses == pytest.approx({cell: alone[cell] for cell in losses}, rel=1e-5)
    assert {row["interruptions"] for row in study.rows()} == {"requeued"}
    assert {row["processes"] for row in study.rows()} == {4}
    (log,) = (study.folder / "logs/train").glob("*.log")
    assert "training in 2 x 2 processes" in log.read_text()


def test_jobs_share_an_allocation(cluster, tmp_path, reference):
    study = Study.make(tmp_path / "shared", cluster)
    study.run(RUNS, "--set-resources", "train:gpus=1", "train:jobs_per_allocation=3")
    (job,) = study.jobs()
    (row,) = cluster.accounting([job["id"]], ("AllocTRES",))
    assert {"gres/gpu=1", "cpu=6", "mem=48000M"} <= set(row["AllocTRES"].split(","))
    assert study.numbers() == reference.numbers()
    folder = study.folder / ".snakemake/submitit/submissions" / job["comment"]
    outcomes = [json.loads(path.read_text()) for path in folder.glob("outcome-*.json")]
    assert [outcome["ended"] for outcome in outcomes] == ["succeeded"] * 3
    assert len(list(folder.glob("*.log"))) == 3
