"""What has become of jobs: by their files, by the queue, and at the start of another process."""

from __future__ import annotations

import json

import pytest
from snakemake_executor_plugin_submitit import follow
from snakemake_executor_plugin_submitit.follow import Follower, Watched, take_up
from snakemake_executor_plugin_submitit.registry import Record, Registry
from snakemake_executor_plugin_submitit.request import Request
from snakemake_executor_plugin_submitit.scheduler import UNKNOWN, State, Unreachable
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_interface_common.exceptions import WorkflowError


class Scripted:
    """A backend that answers as it is told to; an exception is raised."""

    def __init__(self, *answers):
        self.answers, self.asked, self.abandoned = list(answers), 0, []

    def states(self, records):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def abandon(self, tag, kept):
        self.abandoned.append((tag, list(kept)))


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path)


def watched(registry, key="k", job="5", tag="fold-1"):
    record = Record(key, job, tag, "fold", (), "slurm", "login")
    registry.add(record)
    registry.folder(record).mkdir(exist_ok=True)
    return Watched(record, Request("fold", 10), "true")


def follower(registry, backend, monkeypatch, **settings):
    """Looks at every call, and settles at once."""
    monkeypatch.setattr(follow, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(follow, "SETTLE", 0.0)
    said = []
    made = Follower(registry, backend, ExecutorSettings(**settings), said.append, said.append)
    made.said = said
    return made


def test_an_outcome_is_found_without_asking_the_scheduler(registry, monkeypatch):
    job = watched(registry)
    backend = Scripted({"5": State("RUNNING")})
    path = registry.folder(job.record) / "outcome-k.json"
    path.write_text(json.dumps({"ended": "succeeded"}))
    assert follower(registry, backend, monkeypatch).ended([job]) == {"k": {"ended": "succeeded"}}
    assert backend.asked == 0


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_a_torn_outcome_is_waited_for(registry, monkeypatch, content):
    job = watched(registry)
    (registry.folder(job.record) / "outcome-k.json").write_text(content)
    following = follower(registry, Scripted({"5": State("RUNNING")}), monkeypatch)
    assert following.ended([job]) == {}


def test_an_outcome_of_another_submission_does_not_count(registry, monkeypatch):
    old, new = watched(registry), watched(registry, job="6", tag="fold-2")
    (registry.folder(old.record) / "outcome-k.json").write_text(json.dumps({"ended": "failed"}))
    following = follower(registry, Scripted({"6": State("RUNNING")}), monkeypatch)
    assert following.ended([new]) == {}


def test_a_silent_scheduler_ends_no_job(registry, monkeypatch):
    job = watched(registry)
    following = follower(registry, Scripted(Unreachable("no answer")), monkeypatch)
    assert following.ended([job]) == {}
    assert "no answer" in following.said[0]


def test_a_job_that_will_never_start_is_told_of_once(registry, monkeypatch):
    job = watched(registry)
    pending = Scripted({"5": State("PENDING", "PartitionTimeLimit")})
    following = follower(registry, pending, monkeypatch)
    for _ in range(2):
        following._pause = 0.0
        assert following.ended([job]) == {}
    assert following.said == [
        "Job 5 (fold) will not start: PartitionTimeLimit; lower runtime, or take another "
        "slurm_partition."
    ]


def test_a_state_without_an_outcome_is_the_verdict(registry, monkeypatch):
    job = watched(registry)
    following = follower(registry, Scripted({"5": State("CANCELLED")}), monkeypatch)
    assert following.ended([job])["k"]["ended"] == "cancelled"


def test_living_jobs_are_taken_up_and_ended_ones_forgotten(registry):
    for key, job in (("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")):
        watched(registry, key, job)
    states = {"1": State("RUNNING"), "2": State("COMPLETED"), "3": UNKNOWN, "4": State("PREEMPTED")}
    assert set(take_up(registry, Scripted(states), "slurm", print)) == {"a", "d"}
    assert {record.key for record in registry} == {"a", "d"}


def test_what_an_interrupted_submission_left_is_ended(registry):
    watched(registry, "a", "1", "fold-1")
    registry.open("fold-2", ["b"])
    backend = Scripted({"1": State("RUNNING")})
    take_up(registry, backend, "slurm", print)
    assert backend.abandoned == [("fold-2", [])]
    assert registry.unclosed() == []


def test_no_job_is_forgotten_while_the_accounting_is_silent(registry, monkeypatch):
    monkeypatch.setattr(follow.time, "sleep", lambda _: None)
    watched(registry, "a", "1")
    backend = Scripted({}, {}, {"1": State("RUNNING")})
    assert set(take_up(registry, backend, "slurm", print)) == {"a"}
    assert backend.asked == 3
    lasting = Scripted({})
    assert take_up(registry, lasting, "slurm", print) == {}
    assert lasting.asked == follow.LOOKS


def test_jobs_on_another_cluster_are_refused(registry):
    watched(registry)
    with pytest.raises(WorkflowError, match="run with --submitit-cluster slurm to take them up"):
        take_up(registry, Scripted({}), "local", print)
