"""How a job ended, in sentences: each says what happened, and the resource or setting to change."""

from __future__ import annotations

import json

import pytest
from snakemake_executor_plugin_submitit import verdict
from snakemake_executor_plugin_submitit.registry import Record
from snakemake_executor_plugin_submitit.request import Request
from snakemake_executor_plugin_submitit.scheduler import OVER, UNKNOWN, State
from snakemake_executor_plugin_submitit.settings import ExecutorSettings

RECORD = Record("k", "12_3", "fold-1", "fold", ("fold:n=1",), "slurm", "login")
LOG = "12_3_0_log.out"


def message(ended, log=None, request=None, **outcome):
    asked = request or Request("fold", minutes=30, mem_mb=4000)
    settings = ExecutorSettings(turns=7, signal="USR1")
    return verdict.message(RECORD, asked, {"ended": ended, **outcome}, log, settings).rstrip(" ")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / LOG
    path.write_text("".join(f"line {i}\n" for i in range(40)))
    return path


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ({"ended": "failed", "status": 3}, "failed: its command ended with status 3."),
        ({"ended": "failed", "status": -9}, "failed: its command ended with status -9."),
        ({"ended": "out_of_memory"}, "ran out of memory: mem_mb is 4000; raise it."),
        ({"ended": "timeout"}, "timed out: it had 30 min and did not end on SIGUSR1; raise runtime"),
        ({"ended": "turns"}, "was interrupted too often: --submitit-turns allows 7 turns."),
        ({"ended": "cancelled"}, "was cancelled (scancel), by you or an administrator."),
        ({"ended": "unknown"}, "is not known to the scheduler any more, and left no outcome."),
        ({"ended": "vanished", "state": "LAUNCH_FAILED"}, "ended as LAUNCH_FAILED without an"),
    ],
)  # fmt: skip
def test_each_outcome_has_its_sentence(log, outcome, sentence):
    told = message(log=log, **outcome).splitlines()
    assert told[0].startswith(f"Job 12_3 (fold) {sentence}")
    assert told[1] == f"    Its log: {log}"


def test_the_node_is_told_where_it_is_known(log):
    assert message("failed", log, host="n7").startswith("Job 12_3 (fold) on n7 failed")


def test_the_last_lines_of_the_log_are_shown(log):
    assert message("failed", log).splitlines()[2:] == [f"        line {i}" for i in range(25, 40)]


REPORT = """\
RuleException:
CalledProcessError in file "/w/Snakefile", line 3:
Command 'set -euo pipefail;
 train' returned non-zero exit status 3.
[Mon Jan  5 01:00:14 2026]
Error in rule fold:
    message: None
    shell:
        train
        (command exited with non-zero exit code)
Shutting down, this might take some time.
WorkflowError:
At least one job did not complete successfully.
submitit INFO (2026-01-05 01:00:16,126) - Job completed successfully
"""


def test_what_snakemake_says_of_it_does_not_hide_the_last_words(log):
    log.write_text(f"turn 1\n{REPORT}turn 2\nthe last words\n{REPORT}")
    assert message("failed", log).endswith("        turn 2\n        the last words\n")
    raised = REPORT.replace("CalledProcessError in", "ValueError in")  # by Python of the rule
    log.write_text(f"turn 1\n{REPORT}turn 2\n{raised}")
    told = message("failed", log)
    assert "        turn 2\n        RuleException:\n        ValueError in file" in told
    assert "WorkflowError:" not in told.split("turn 2")[1]


def test_what_slurm_says_of_it_is_shown(log):
    slurm = "slurmstepd: error: *** STEP 5.0 ON n1 CANCELLED AT 2026-01-05 DUE TO TIME LIMIT ***"
    log.write_text(f"the last words\n{REPORT}{slurm}\nsrun: error: n1: task 0: Killed\n")
    assert message("vanished", log).endswith(
        f"        the last words\n        {slurm}\n        srun: error: n1: task 0: Killed\n"
    )
    log.write_text(f"the last words\n{REPORT}a wrapper: Detected 1 oom_kill event\n")
    assert "ran out of memory" in message("failed", log)


def test_a_missing_log_and_an_empty_one_are_no_error(tmp_path, log):
    assert "    (empty)" in message("failed", tmp_path / "missing")
    log.write_text("")
    assert "    (empty)" in message("failed", log)


def test_a_huge_log_in_no_encoding_is_read_from_its_end(log):
    log.write_bytes(b"\xff" * 5_000_000 + b"\nthe end\n")
    told = message("failed", log)
    assert told.endswith("        the end\n")
    assert len(told) < 30_000


@pytest.mark.parametrize(
    "line",
    [
        "slurmstepd: error: Detected 1 oom_kill event in StepId=5.0. Some of the step tasks have been OOM Killed.",
        "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.0",
        "srun: error: n1: task 0: Out Of Memory",
        "Job exceeded: OUT_OF_MEMORY",
    ],
)  # fmt: skip
def test_a_kill_for_memory_is_told_by_the_log_alone(log, line):
    log.write_text(f"before\n{line}\n")
    for ended in ("failed", "vanished"):
        assert "ran out of memory" in message(ended, log, status=-9)
    assert "ran out of memory" not in message("cancelled", log)


def test_a_gpu_out_of_memory_is_no_kill_by_the_system(log):
    log.write_text("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n")
    assert "failed: its command ended with status 1" in message("failed", log, status=1)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Request("fold", 30, mem_mb_per_cpu=500), "mem_mb_per_cpu is 500; raise it."),
        (Request("fold", 30), "mem_mb is not set; set it."),
    ],
)
def test_the_resource_to_raise_is_the_one_that_was_given(log, request_, told):
    assert told in message("out_of_memory", log, request_)


def test_the_own_log_of_a_packed_job_goes_first(tmp_path):
    assert verdict.log(tmp_path, RECORD) == tmp_path / LOG
    (tmp_path / "k.log").touch()
    assert verdict.log(tmp_path, RECORD) == tmp_path / "k.log"


# -- states of jobs that left no outcome


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("CANCELLED", "cancelled"), ("TIMEOUT", "timeout"), ("DEADLINE", "timeout"),
        ("OUT_OF_MEMORY", "out_of_memory"), ("NODE_FAIL", "node_failure"),
        ("BOOT_FAIL", "node_failure"), ("PREEMPTED", "preempted"), ("UNKNOWN", "unknown"),
        ("FAILED", "vanished"), ("COMPLETED", "vanished"), ("LAUNCH_FAILED", "vanished"),
        ("REVOKED", "vanished"),
    ],
)  # fmt: skip
def test_the_outcome_by_the_schedulers_state(name, ended):
    outcome = verdict.from_state(State(name, nodes="n1"), [])
    assert (outcome["ended"], outcome["host"], outcome["state"]) == (ended, "n1", name)
    assert outcome["cause"] == (ended if ended in ("node_failure", "preempted") else None)


def test_every_state_of_a_job_that_is_over_has_a_test():
    states = test_the_outcome_by_the_schedulers_state.pytestmark[0].args[1]
    assert {name for name, _ in states} == OVER | {UNKNOWN.name}


@pytest.mark.parametrize("cause", ["preempted", "requeued", "timeout"])
def test_a_job_that_gave_way_and_was_not_requeued_goes_on(cause):
    told = [{"turn": 1, "host": "n2", "ended": cause}]
    outcome = verdict.from_state(State("COMPLETED"), told)
    assert outcome["ended"] in verdict.INTERRUPTED
    assert outcome["host"] == "n2"
    assert verdict.from_state(State("CANCELLED"), told)["ended"] == "cancelled"


@pytest.mark.parametrize("turn", [{"turn": 1}, {"turn": 1, "ended": "done"}])
def test_a_job_that_ended_in_silence_does_not(turn):
    assert verdict.from_state(State("COMPLETED"), [turn])["ended"] == "vanished"


# -- files of turns


def written(folder, *lines):
    (folder / "12_3.turns.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return verdict.turns(folder, "12_3")


def test_a_turn_is_its_beginning_and_its_end(tmp_path):
    begun, ended = {"turn": 1, "begun": 5.0, "host": "n1"}, {"ended": "preempted", "heeded": True}
    second = {"turn": 2, "begun": 9.0, "interruption": "preempted"}
    assert written(tmp_path, *map(json.dumps, (begun, ended, second))) == [begun | ended, second]


def test_no_file_is_no_turn(tmp_path):
    assert verdict.turns(tmp_path, "12_3") == []


def test_a_line_that_a_dead_node_left_unfinished_hides_no_other(tmp_path):
    first, second = {"turn": 1, "begun": 5.0}, {"turn": 2, "begun": 9.0}
    assert written(tmp_path, json.dumps(first), '{"ended": "pre\0', json.dumps(second)) == [
        first, second
    ]  # fmt: skip
    assert written(tmp_path, '{"ended": "done"}') == []
