"""What a real cluster does to a training in the middle; it ends in the same numbers bit for bit."""

from __future__ import annotations

import math
import re

import pytest
from snakemake_executor_plugin_submitit import verdict
from study import GRID, RUNS, Study

SLOW = 0.3  # seconds a step: 200 steps of the longest cell take a minute
LEAD = 60  # seconds before its limit at which a job is told, those 30 apart in which SLURM looks
ONE = {**GRID, "sizes": GRID["sizes"][:1]}


@pytest.fixture(scope="module")
def cluster(make_cluster):
    """With a partition whose jobs are preempted without grace, as SLURM does unless told not to."""
    return make_cluster(
        extra=["PartitionName=instant Nodes=ALL PriorityTier=10 PreemptMode=REQUEUE GraceTime=0"]
    )


@pytest.fixture(scope="module")
def interrupted(cluster, tmp_path_factory):
    """Three trunks, each with a node of its own: one is requeued by the user, one is preempted by
    a job of a higher partition, and one reaches its time limit."""
    study = Study.make(tmp_path_factory.mktemp("interrupted"), cluster, SLOW)
    process = study.start(
        "--set-resources", "train:cpus_per_task=16",
        "--submitit-signal-lead", str(LEAD), RUNS,
    )  # fmt: skip
    requeued, preempted, limited = study.wait_for_training()
    shorten(cluster, limited["id"])
    cluster.run("scontrol", "requeue", requeued["id"])
    preempt(cluster, preempted["nodes"])
    lengthen(cluster, limited["id"])
    status, printed = study.end(process)
    assert status == 0, printed
    jobs = [job["id"] for job in (requeued, preempted, limited)]
    return study, printed, jobs


def shorten(cluster, job: str) -> None:
    """Let a job's limit be so near that it is told soon, yet has time to end in order."""
    told = cluster.run("scontrol", "show", "job", job)
    hours, minutes, seconds = map(int, re.search(r"RunTime=(\d+):(\d+):(\d+)", told).groups())
    whole = math.ceil((hours * 3600 + minutes * 60 + seconds + 40) / 60)
    cluster.run("scontrol", "update", f"JobId={job}", f"TimeLimit={whole}")


def lengthen(cluster, job: str) -> None:
    """Give a job that has been told of its limit an hour for its next turns.

    So short a limit would have SLURM signal them, too: in their first second, before they listen.
    """
    cluster.wait_until(lambda: "Restarts=0" not in cluster.run("scontrol", "show", "job", job), 90)
    cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=60")


def preempt(cluster, node: str) -> None:
    """Take a whole node for a job of the higher partition."""
    cluster.run("sbatch", "-p", "high", "-w", node, "-c", "16", "-t", "1", "-o", "/dev/null",
                "--wrap", "sleep 3")  # fmt: skip


def turns(study: Study, job: str) -> list[dict]:
    (path,) = [p for s in study.submissions() for p in s.glob(f"{job}.turns.jsonl")]
    return verdict.turns(path.parent, job)


def test_the_numbers_are_those_of_an_undisturbed_run(interrupted, reference):
    study, _, _ = interrupted
    assert study.numbers() == reference.numbers()


def test_each_interruption_is_called_by_its_name(interrupted):
    study, printed, jobs = interrupted
    for job, cause in zip(jobs, ("requeued", "preempted", "timeout")):
        first, second, *_ = turns(study, job)
        assert first["ended"] == cause
        assert second["interruption"] == cause
        assert f"Job {job} (train): {cause}; turn 2 of at most 50" in printed


def test_the_signal_lets_a_checkpoint_be_written(interrupted):
    study, _, jobs = interrupted
    for job in jobs[1:]:
        assert turns(study, job)[0]["heeded"]


def test_the_runs_tell_of_it(interrupted):
    study, *_ = interrupted
    told = {row["params"]: row for row in study.rows()}
    causes = [told[params]["interruptions"].split(",")[0] for params in sorted(told)]
    assert sorted(causes) == ["preempted", "requeued", "timeout"]
    assert all(row["restarts"] >= 1 for row in told.values())


def test_the_scheduler_saw_the_same_jobs_again(interrupted):
    study, _, jobs = interrupted
    rows = study.cluster.accounting(jobs)
    for job in jobs:
        states = [row["State"] for row in rows if row["JobID"] == job]
        assert states[-1] == "COMPLETED"
        assert set(states[:-1]) <= {"REQUEUED", "PREEMPTED"}
        assert len(states) >= 2
    assert study.cluster.submissions() == 4  # corpus, evaluation text, trunks, the high job


def test_preemption_without_grace_is_no_second_job(cluster, tmp_path, reference, interrupted):
    study = Study.make(tmp_path / "instant", cluster, SLOW / 2, grid=ONE, fit={"laws": []})
    process = study.start(
        RUNS, "--set-resources", "train:cpus_per_task=16",
        "train:slurm_partition=instant",
    )  # fmt: skip
    (job,) = study.wait_for_training(1)
    preempt(cluster, job["nodes"])
    status, printed = study.end(process)
    assert status == 0, printed
    assert f"Job {job['id']} (train): preempted; turn 2 of at most 50" in printed
    assert "submitted again" not in printed
    losses = {row["cell"]: row["loss"] for row in reference.rows()}
    assert {row["cell"]: row["loss"] for row in study.rows()}.items() <= losses.items()
    assert [found["id"] for found in study.jobs()] == [job["id"]]
