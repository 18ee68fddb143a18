"""Whole studies on a real cluster: `snakemake --profile slurm`, with and without accounting."""

from __future__ import annotations

import re

import pytest
from study import GRID, Study

from pipeline.figures import FIGURES

# Each training writes down which GPUs its job was given.
SEEN = "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {output}.gpus; python -m pipeline.train part"
EIGHT = {**GRID, "seeds": [0, 1, 2, 3], "sizes": GRID["sizes"][:2]}
# No task is asked, and no size is trained at several batch sizes.
DRAWN = sorted(set(FIGURES) - {"tasks", "task_curves", "critical_batch", "batch_fronts"})
# Figures are drawn where Snakemake runs, which knows of no accounting: without it, two are enough.
FEW = ["iso_loss", "plan"]


@pytest.fixture(scope="module", params=[True, False], ids=["accounting", "no accounting"])
def finished(request, make_cluster, tmp_path_factory):
    """A study of 8 trunks and 16 cells that ran by the literal command; and what it printed."""
    cluster = make_cluster(accounting=request.param)
    asked = {} if request.param else {"figures": FEW}
    study = Study.make(tmp_path_factory.mktemp("study"), cluster, grid=EIGHT, **asked)
    rules = study.folder / "workflow/rules/train.smk"
    rules.write_text(rules.read_text().replace("python -m pipeline.train part", SEEN))
    return study, study.run()


def test_the_literal_command_makes_the_figures(finished):
    study, _ = finished
    assert len(study.rows()) == 16
    assert {row["status"] for row in study.rows()} == {"finished"}
    figures = sorted((study.folder / "figures/tiny").glob("*.svg"))
    assert [path.stem for path in figures] == (DRAWN if study.cluster.accounted else sorted(FEW))
    assert all(path.stat().st_size > 5000 for path in figures)
    assert (study.folder / "figures/tiny/index.html").exists()


def test_jobs_see_their_own_gpus(finished):
    study, _ = finished
    seen = [path.read_text().strip() for path in study.folder.glob("results/trainings/*.gpus")]
    assert len(seen) == 8
    assert all(re.fullmatch(r"node[1-4] [0-3]", where) for where in seen), seen
    # All eight are submitted at once and run side by side: each has a GPU of its own.
    assert len(set(seen)) == 8


def test_equal_jobs_are_one_submission(finished):
    study, printed = finished
    assert "Submitted 8 x train as jobs" in printed
    assert study.cluster.submissions() == 3  # corpus, evaluation text, trunks
    assert len({job["array"] for job in study.jobs()}) == 1


def test_the_scheduler_agrees(finished):
    study, printed = finished
    if not study.cluster.accounted:
        assert {job["state"] for job in study.jobs()} == {"COMPLETED"}
        return
    rows = study.cluster.accounting()
    assert len(rows) == 10
    assert {row["State"] for row in rows} == {"COMPLETED"}
    trunks = [row for row in rows if row["JobName"] == "train"]
    assert all("gres/gpu=1" in row["AllocTRES"] for row in trunks)
    tokenizing = [row for row in rows if row["JobName"].startswith("tokenize")]
    assert not any("gpu" in row["AllocTRES"] for row in tokenizing)
    assert "No accounting" not in printed


def test_a_second_run_has_nothing_to_do(finished):
    study, _ = finished
    assert "Nothing to be done" in study.run()


def test_the_profile_is_found_by_its_path_too(finished):
    study, _ = finished
    status, printed = study.end(
        study.project.start("snakemake", "--profile", "profiles/slurm", "-n",
                            **study.cluster.environment())
    )  # fmt: skip
    assert status == 0, printed
