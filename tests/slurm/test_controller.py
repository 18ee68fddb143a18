"""Snakemake and the scheduler die and come back: no job is lost, none is submitted twice."""

from __future__ import annotations

import os
import signal
import time

from study import GRID, RUNS, Study

TWELVE = {**GRID, "sizes": GRID["sizes"][:2], "seeds": list(range(6)), "tokens": [25600]}


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def trunk_jobs(cluster) -> int:
    """SLURM jobs that ever trained trunks, by the scheduler's own record."""
    rows = cluster.accounting(fields=("JobID", "JobName"), duplicates=False)
    return sum(row["JobName"] == "train" for row in rows)


def test_kill_9_with_twelve_live_jobs(cluster, tmp_path):
    study, jobs = Study.make(tmp_path / "killed", cluster, 0.1, grid=TWELVE), trunk_jobs(cluster)
    process = study.start(RUNS)
    study.wait_for_training(12)
    kill(process)
    assert len(study.jobs("train", "RUNNING")) == 12
    before = cluster.submissions()
    study.project.snakemake("--unlock")
    printed = study.run(RUNS)
    assert "Taking up 12 living jobs of an earlier run." in printed
    assert cluster.submissions() == before
    assert trunk_jobs(cluster) == jobs + 12
    assert {row["restarts"] for row in study.rows()} == {0}


def test_jobs_that_end_while_no_snakemake_is_alive_are_collected(cluster, tmp_path):
    study = Study.make(tmp_path / "away", cluster, 0.1)
    process = study.start(RUNS)
    study.wait_for_training()
    kill(process)
    assert len(study.jobs("train", "RUNNING")) == 3
    cluster.wait_until(lambda: not study.jobs("train", "RUNNING", "COMPLETING"), 90)
    before = cluster.submissions()
    study.project.snakemake("--unlock")
    study.run(RUNS)
    assert cluster.submissions() == before


def test_ctrl_c_cancels(cluster, tmp_path):
    study = Study.make(tmp_path / "cancelled", cluster, 0.2)
    process = study.start(RUNS)
    study.wait_for_training()
    os.killpg(process.pid, signal.SIGINT)
    status, printed = study.end(process, 60)
    assert status == 1
    assert "Cancelled 3 jobs." in printed
    cluster.wait_until(lambda: not study.jobs("train", "RUNNING", "PENDING", "COMPLETING"))
    assert {job["state"] for job in study.jobs()} == {"CANCELLED"}


def test_ctrl_c_detaches_where_asked_to(cluster, tmp_path, reference):
    study = Study.make(tmp_path / "detached", cluster, 0.05)
    process = study.start("--submitit-on-interrupt", "detach", RUNS)
    study.wait_for_training()
    os.killpg(process.pid, signal.SIGINT)
    status, printed = study.end(process, 60)
    assert status == 1
    assert "Leaving 3 jobs running" in printed
    before = cluster.submissions()
    study.run(RUNS)
    assert cluster.submissions() == before
    assert study.numbers() == reference.numbers()


def test_a_scheduler_that_is_down_is_waited_for(cluster, tmp_path, reference):
    """Down for 30 s while jobs are followed, and again while they are to be submitted."""
    study, jobs = Study.make(tmp_path / "down", cluster, 0.1), trunk_jobs(cluster)
    process = study.start("results/tiny/runs.parquet")
    study.wait_for_training()
    cluster.stop_controller()
    time.sleep(30)
    cluster.start_controller()
    status, printed = study.end(process)
    assert status == 0, printed
    assert "The states of jobs are unknown for now" in printed
    assert study.numbers() == reference.numbers()
    assert trunk_jobs(cluster) == jobs + 3


def test_submission_waits_for_the_scheduler(cluster, tmp_path, reference):
    study, jobs = Study.make(tmp_path / "submitting", cluster), trunk_jobs(cluster)
    cluster.stop_controller()
    process = study.start(RUNS)
    time.sleep(30)
    assert process.poll() is None
    cluster.start_controller()
    status, printed = study.end(process)
    assert status == 0, printed
    assert "SLURM does not answer" in printed
    assert study.numbers() == reference.numbers()
    assert trunk_jobs(cluster) == jobs + 3
