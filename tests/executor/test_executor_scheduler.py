"""What SLURM's commands print is read, and each is asked as seldom as it can be."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_submitit import scheduler
from snakemake_executor_plugin_submitit.scheduler import OVER, UNKNOWN, Queue, State, Unreachable

SQUEUE = """\
cat <<'.'
101|RUNNING|None|n1|fold-aa
102_0|PENDING|Resources||fold-bb
102_1|PENDING|Nodes required for job are DOWN, DRAINED or reserved||fold-bb
103|COMPLETED|None|n[1-2]|score-cc
104|RUNNING|None|n2|(null)
105|RUNNING|None|n2|a comment | of mine
with a second line
.
"""
NO_ACCOUNTING = "echo 'Slurm accounting storage is disabled' >&2; exit 1"
UNREACHABLE = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"


@pytest.fixture
def said():
    return []


@pytest.fixture
def queue(said):
    return Queue(said.append)


def calls(path):
    return path.read_text().splitlines()


def test_one_squeue_tells_of_all_jobs(queue, command):
    squeue, sacct = command("squeue", SQUEUE), command("sacct", "exit 9")
    found = queue.states(["101", "102_0", "102_1", "103"])
    assert found == {
        "101": State("RUNNING", "None", "n1", "fold-aa"),
        "102_0": State("PENDING", "Resources", "", "fold-bb"),
        "102_1": State(
            "PENDING", "Nodes required for job are DOWN, DRAINED or reserved", "", "fold-bb"
        ),
        "103": State("COMPLETED", "None", "n[1-2]", "score-cc"),
    }
    assert calls(squeue) == ["--me -h -r -t all -o %i|%T|%r|%N|%k"]
    assert calls(sacct) == []
    assert queue.calls == 1


def test_a_comment_may_hold_anything(queue, command):
    command("squeue", SQUEUE)
    assert queue.mine()["105"].comment == "a comment | of mine"
    assert len(queue.mine()) == 6


def test_only_forgotten_jobs_are_asked_of_the_accounting(queue, command):
    command("squeue", SQUEUE)
    sacct = command("sacct", "cat <<'.'\n7|CANCELLED by 0|n3\n8_2|OUT_OF_MEMORY|n4\n.")
    found = queue.states(["101", "7", "8_2", "9"])
    assert found["7"] == State("CANCELLED", "", "n3")
    assert found["8_2"] == State("OUT_OF_MEMORY", "", "n4")
    assert found["9"] == UNKNOWN
    assert calls(sacct) == ["-X -n -P -o JobID,State,NodeList -j 7,8_2,9"]


@pytest.mark.parametrize(("jobs", "asked"), [(1, 1), (500, 1), (501, 2), (1000, 2)])
def test_the_number_of_calls_does_not_grow_with_each_job(queue, command, jobs, asked):
    squeue, sacct = command("squeue", ""), command("sacct", "")
    assert set(queue.states([str(i) for i in range(jobs)]).values()) == {UNKNOWN}
    assert (len(calls(squeue)), len(calls(sacct))) == (1, asked)


def test_without_accounting_it_is_said_once_and_squeue_tells(queue, command, said):
    command("squeue", SQUEUE)
    sacct = command("sacct", NO_ACCOUNTING)
    for _ in range(3):
        assert queue.states(["101", "9"]) == {"101": queue.mine()["101"], "9": UNKNOWN}
    assert len(calls(sacct)) == 1
    (line,) = said
    assert "No accounting here (sacct: Slurm accounting storage is disabled)" in line


def test_a_machine_without_sacct_has_no_accounting(queue, command, said, monkeypatch, tmp_path):
    command("squeue", "")
    monkeypatch.setenv("PATH", str(tmp_path / "commands"))
    (tmp_path / "commands/squeue").write_text("#!/bin/true\n")
    assert queue.states(["9"]) == {"9": UNKNOWN}
    assert "No accounting here ([Errno 2] No such file or directory: 'sacct')" in said[0]


@pytest.mark.parametrize(
    "told",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "squeue: error: Socket timed out on send/recv operation",
        "squeue: error: Zero Bytes were transmitted or received",
        "scancel: error: Connection refused",
        "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection",
        "Resource temporarily unavailable",
    ],
)
def test_a_scheduler_that_does_not_answer_is_told_from_one_that_refuses(queue, command, told):
    command("squeue", f"echo '{told}' >&2; exit 1")
    with pytest.raises(Unreachable, match=re.escape(told)):
        queue.states(["1"])


def test_a_refusal_is_told_in_its_words(queue, command):
    command("scancel", "echo 'scancel: error: Invalid job id 7'; exit 1")
    with pytest.raises(OSError, match="scancel: scancel: error: Invalid job id 7"):
        queue.cancel(["7"])


def test_an_accounting_that_is_down_is_no_cluster_without_one(queue, command, said):
    """A job that the queue has forgotten must not be taken for lost while the accounting is."""
    command("squeue", SQUEUE)
    command("sacct", UNREACHABLE)
    known = next(iter(queue.mine()))
    assert list(queue.states(["9", known])) == [known]  # of the other nothing is said
    assert "The accounting does not answer" in said[0]
    command("sacct", "echo '9|COMPLETED|n1'")
    assert queue.states(["9"])["9"].name == "COMPLETED"


def test_a_command_that_hangs_is_left(queue, command):
    command("squeue", "exec sleep 20")
    with pytest.raises(Unreachable, match="squeue timed out after 0 s"):
        queue.run("squeue", seconds=0.2)


def test_a_tag_finds_the_living_jobs_that_carry_it(queue, command):
    command("squeue", SQUEUE)
    assert queue.tagged("fold-bb") == ["102_0", "102_1"]
    assert queue.tagged("score-cc") == []  # over
    assert queue.tagged("none") == []


def test_many_jobs_are_cancelled_by_few_calls(queue, command):
    scancel = command("scancel", "")
    queue.cancel([str(i) for i in range(1001)])
    assert [len(line.split()) for line in calls(scancel)] == [500, 500, 1]
    queue.cancel([])
    assert len(calls(scancel)) == 3


def test_the_options_of_sbatch_are_asked_once(queue, command):
    sbatch = command("sbatch", "echo '  -A, --account=name  x'; echo '      --gres-flags=opts y'")
    assert queue.options == queue.options == {"account", "gres-flags"}
    assert calls(sbatch) == ["--help"]


def test_options_that_cannot_be_asked_for_are_none(queue, command):
    command("sbatch", "exit 1")
    assert queue.options == frozenset()


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("echo 'MaxArraySize            = 1001'", 1000),
        ("echo 'MaxArraySize = 0'", 1),  # the cluster forbids arrays
        ("echo 'MaxJobCount = 5'", 1000),
        (UNREACHABLE, 1000),
    ],
)
def test_the_size_of_an_array_is_the_clusters(queue, command, body, size):
    command("scontrol", body)
    assert queue.max_array_size == size


def test_patience_waits_longer_and_longer_and_ends(queue, said, monkeypatch):
    slept = []
    monkeypatch.setattr(scheduler, "time", SimpleNamespace(monotonic=lambda: sum(slept)))
    waits = SimpleNamespace(wait=slept.append, is_set=lambda: False)
    monkeypatch.setattr(queue, "ending", waits)

    def act():
        if len(slept) < 7:
            raise Unreachable("no answer")
        return "done"

    assert queue.patiently("Submitting", act) == "done"
    assert slept == [2, 4, 8, 16, 32, 60, 60]
    assert said == ["Submitting: SLURM does not answer (no answer); trying again."] * 7
    slept.clear()
    with pytest.raises(Unreachable):
        queue.patiently("Submitting", act, seconds=10)
    assert slept == [2, 4]


def test_states_are_over_or_on_their_way():
    on_their_way = ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD",
                    "CONFIGURING", "SIGNALING", "STAGE_OUT", "RESIZING", "UNKNOWN")  # fmt: skip
    assert not any(State(name).over for name in on_their_way)
    assert all(State(name).over for name in OVER)
