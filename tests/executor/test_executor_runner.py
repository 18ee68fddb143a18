"""Turns of a job with real processes and signals: what goes on, what ends, and what is left."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from snakemake_executor_plugin_submitit import allocation
from snakemake_executor_plugin_submitit import runner as runner_module
from snakemake_executor_plugin_submitit.runner import Command, Runner, lines

# A process as submitit starts it: its handler of the signal checkpoints and requeues.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
from snakemake_executor_plugin_submitit import runner

work = json.loads(sys.argv[1])
folder = Path(work["folder"])

def requeue(number, frame):
    with (folder / "requeued").open("a") as calls:
        calls.write(f"{number} {os.getpid()}\\n")
    if (folder / "refuse").exists():
        raise RuntimeError("requeueing is disabled here")
    raise SystemExit(144)

signal.signal(signal.SIGUSR2, requeue)
runner.PATIENCE, runner.AGAIN = 1.0, 0.5
commands = tuple(runner.Command(*pair) for pair in work.pop("commands"))
runner.Runner(commands=commands, **work)()
"""
# bash cannot trap a signal that was ignored when it started; Python can, as trainers do.
HEEDS = f"exec {shlex.quote(sys.executable)} -c " + shlex.quote(
    "import signal, sys, time; signal.signal(signal.SIGUSR2, lambda *_: sys.exit(7)); "
    "open('ready', 'w').close(); time.sleep(60)"
)
IGNORES = "touch ready; sleep 60"
LAST_WORDS = "trap 'touch told; exit 1' TERM; touch ready; sleep 60 & wait"


@dataclass
class Job:
    """A job in a folder, whose turns are processes that are run one after the other."""

    folder: Path
    variables: dict[str, str]

    def start(self, *shells: str, **options) -> subprocess.Popen[str]:
        work = {
            "commands": [(f"k{i}", shell) for i, shell in enumerate(shells)],
            "folder": str(self.folder), "minutes": 60, "signal_name": "USR2", "lead": 4,
            "turns": 5, **options,
        }  # fmt: skip
        (self.folder / "ready").unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(work)], cwd=self.folder, text=True,
            env={**os.environ, **self.variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *shells: str, number: int | None = None, **options) -> tuple[int, str]:
        """One turn; a signal, if any, comes when the commands are ready. Status and prints."""
        process = self.start(*shells, **options)
        if number:
            self.wait_for("ready")
            process.send_signal(number)
        printed, _ = process.communicate(timeout=30)
        return process.returncode, printed

    def wait_for(self, name: str) -> None:
        until = time.monotonic() + 20
        while not (self.folder / name).exists():
            assert time.monotonic() < until, f"no {name}"
            time.sleep(0.02)

    def ended(self, key: str = "k0") -> str | None:
        """The outcome of a command, None where there is none."""
        path = self.folder / f"outcome-{key}.json"
        return json.loads(path.read_text())["ended"] if path.exists() else None

    @property
    def record(self) -> list[dict]:
        (path,) = self.folder.glob("*.turns.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def requeues(self) -> int:
        path = self.folder / "requeued"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "submission"
    folder.mkdir()
    return Job(folder, {"SUBMITIT_DEBUG_JOB_ID": "12"})


@pytest.fixture
def slurm_job(job, command):
    """A job of an array on a cluster that says of it what ``scontrol`` prints."""
    job.variables = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "14",
                     "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "2"}  # fmt: skip
    return job


# -- a job that nothing disturbs


def test_a_command_that_succeeds(job):
    assert job.run("echo done its work") == (0, "done its work\n")
    outcome = json.loads((job.folder / "outcome-k0.json").read_text())
    assert (outcome["ended"], outcome["status"], outcome["turn"]) == ("succeeded", 0, 1)
    begun, ended = job.record
    assert (begun["turn"], begun["interruption"], begun["host"]) == (1, "", os.uname().nodename)
    assert ended["ended"] == "done"
    assert job.requeues == 0


@pytest.mark.parametrize(("shell", "status"), [("exit 3", 3), ("kill -9 $$", -9)])
def test_a_command_that_fails(job, shell, status):
    assert job.run(shell)[0] == 0  # the job itself is in order: the outcome tells of the command
    outcome = json.loads((job.folder / "outcome-k0.json").read_text())
    assert (outcome["ended"], outcome["status"]) == ("failed", status)


def test_packed_commands_run_side_by_side_with_a_log_and_an_outcome_each(job):
    meet = "touch {0}; until [ -e {1} ]; do sleep 0.02; done; echo I am {0}; exit {2}"
    status, printed = job.run(meet.format("a", "b", 0), meet.format("b", "a", 5), "echo quick")
    assert (status, printed) == (0, "")
    assert [job.ended(f"k{i}") for i in range(3)] == ["succeeded", "failed", "succeeded"]
    logs = [(job.folder / f"k{i}.log").read_text() for i in range(3)]
    assert logs == ["I am a\n", "I am b\n", "quick\n"]


def test_what_a_command_finds_in_its_environment(job):
    job.variables["SNAKEMAKE_PROFILE"] = "slurm"  # its options are not for the job's Snakemake
    shell = 'echo "[$JOB_TURN|$JOB_INTERRUPTION|$SNAKEMAKE_PROFILE|$ADDED]"; cat'
    _, printed = job.run(shell, environment=[("ADDED", "x")])
    assert printed == "[1|||x]\n"


def test_turns_under_other_ids_count(job):
    shell = 'echo "$JOB_TURN $JOB_INTERRUPTION"'
    assert job.run(shell, earlier=3, interruption="preempted")[1] == "4 preempted\n"


# -- the signal that a turn is about to be over


def test_a_command_that_heeds_the_signal_goes_on_in_another_turn(job):
    status, _ = job.run(HEEDS, number=signal.SIGUSR2)
    assert (status, job.ended(), job.requeues) == (144, None, 1)
    assert (job.record[2]["ended"], job.record[2]["heeded"]) == ("requeued", True)
    shell = 'echo "$JOB_TURN $JOB_INTERRUPTION"'
    assert job.run(shell) == (0, "2 requeued\n")
    assert job.ended() == "succeeded"


def test_at_the_time_limit_it_is_called_timeout(job):
    job.run(HEEDS, number=signal.SIGUSR2, minutes=1)
    assert (job.record[1]["ended"], job.ended(), job.requeues) == ("timeout", None, 1)
    assert job.run("echo $JOB_INTERRUPTION")[1] == "timeout\n"


def test_a_command_that_ignores_it_at_the_time_limit_has_timed_out(job):
    status, _ = job.run(IGNORES, number=signal.SIGUSR2, minutes=1)
    assert (status, job.ended(), job.requeues) == (0, "timeout", 0)
    assert job.record[2]["heeded"] is False


def test_a_command_that_begins_to_listen_late_is_told_again(job):
    status, _ = job.run(f"touch ready; sleep 1; {HEEDS}", number=signal.SIGUSR2, minutes=1, lead=20)
    assert (status, job.ended(), job.requeues) == (144, None, 1)
    assert job.record[2]["heeded"] is True


def test_a_command_that_ignores_it_before_begins_anew(job):
    status, _ = job.run(IGNORES, number=signal.SIGUSR2)
    assert (status, job.ended(), job.requeues) == (144, None, 1)


def test_the_last_turn_is_followed_by_none(job):
    job.run(HEEDS, number=signal.SIGUSR2, turns=1)
    assert (job.ended(), job.requeues) == ("turns", 0)


def test_a_turn_too_many_runs_nothing(job):
    job.run(HEEDS, number=signal.SIGUSR2, turns=2)
    assert job.run(HEEDS, number=signal.SIGUSR2, turns=2)[0] == 0
    (job.folder / "outcome-k0.json").unlink()
    assert job.run("touch ran", turns=2)[0] == 0
    assert job.ended() == "turns"
    assert not (job.folder / "ran").exists()


def test_a_cluster_that_does_not_requeue_leaves_it_to_the_executor(job):
    (job.folder / "refuse").touch()
    status, printed = job.run(HEEDS, number=signal.SIGUSR2)
    assert (status, job.ended(), job.requeues) == (0, "interrupted", 1)
    assert "could not requeue this job (requeueing is disabled here)" in printed


def test_a_command_that_ends_well_in_the_last_moment_has_succeeded(job):
    status, _ = job.run("kill -USR2 $PPID; exit 0")
    assert (status, job.ended(), job.requeues) == (0, "succeeded", 0)


@pytest.mark.parametrize(("name", "status", "requeues"), [("USR2", 144, 1), ("TERM", 143, 0)])
def test_a_command_that_dies_of_the_signal_first_has_not_ended(job, name, status, requeues):
    """The scheduler sends signals to all processes: the command may be gone before all others."""
    assert job.run(f"kill -{name} $PPID; exit 3")[0] == status
    assert (job.ended(), job.requeues) == (None, requeues)
    assert job.record[1]["ended"] == "requeued"


def test_only_what_has_not_ended_goes_on(job):
    done = "echo ran >> first; touch ready"
    status, _ = job.run(done, HEEDS, number=signal.SIGUSR2)
    assert (status, job.ended("k0"), job.ended("k1")) == (144, "succeeded", None)
    assert job.run(done, "echo ran >> second; echo again")[0] == 0
    assert (job.folder / "first").read_text() == (job.folder / "second").read_text() == "ran\n"
    assert (job.ended("k0"), job.ended("k1")) == ("succeeded", "succeeded")
    assert (job.folder / "k1.log").read_text() == "again\n"


# -- other ends of a turn


def test_sigterm_leaves_what_follows_to_the_scheduler(job):
    status, _ = job.run(LAST_WORDS, number=signal.SIGTERM)
    assert (status, job.ended(), job.requeues) == (128 + signal.SIGTERM, None, 0)
    assert (job.folder / "told").exists()  # it had time to end in order
    assert job.record[1]["ended"] == "requeued"
    assert job.run("echo $JOB_INTERRUPTION")[1] == "requeued\n"


def test_a_turn_that_ended_without_a_word_was_lost_with_its_node(job):
    process = job.start(f"echo $$ > pid; {IGNORES}")
    job.wait_for("ready")
    process.kill()
    os.killpg(int((job.folder / "pid").read_text()), signal.SIGKILL)
    process.communicate()
    with (job.folder / "12.turns.jsonl").open("a") as record:
        record.write('{"at": 17')  # the last write of the node
    assert job.run('echo "$JOB_TURN $JOB_INTERRUPTION"')[1] == "2 node_failure\n"


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_no_process_outlives_its_turn(job, number):
    stubborn = "trap '' TERM INT HUP; sleep 61 & echo $$ $! > pids; touch ready; sleep 62"
    job.run(stubborn, number=number)
    for pid in (job.folder / "pids").read_text().split():
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.mark.parametrize("told", ["PreemptTime=2026-01-02T03:04:05", "PreemptTime=None", ""])
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_slurm_tells_preemption_from_a_requeue(slurm_job, command, told, number):
    scontrol = command("scontrol", f"echo 'JobId=14 {told} Requeue=1'")
    slurm_job.run(HEEDS, number=number)
    preempted = "2026" in told
    cause = "preempted" if preempted else "requeued"
    assert slurm_job.record[1]["ended"] == cause
    # A preempted job asks for its next turn itself, whichever signal came.
    assert slurm_job.requeues == int(preempted or number == signal.SIGUSR2)
    assert slurm_job.ended() is None
    assert scontrol.read_text() == "show job 12_2\n"  # 12 alone shows all of the array
    assert (slurm_job.folder / "12_2.turns.jsonl").exists()  # by its id in the array


@pytest.mark.parametrize(
    ("limit", "cause"),
    [("00:01:00", "timeout"), ("1-00:00:00", "requeued"), ("UNLIMITED", "requeued"), ("", "requeued")],
)  # fmt: skip
def test_the_time_limit_is_the_one_that_slurm_knows_now(slurm_job, command, limit, cause):
    command("scontrol", f"echo 'JobId=14 TimeLimit={limit} PreemptTime=None'")
    slurm_job.run(HEEDS, number=signal.SIGUSR2)
    assert slurm_job.record[1]["ended"] == cause


def test_a_scheduler_that_does_not_answer_does_not_hold_up_the_checkpoint(slurm_job, command):
    command("scontrol", "exit 1")
    assert slurm_job.run(HEEDS, number=signal.SIGUSR2)[0] == 144
    assert slurm_job.record[1]["ended"] == "requeued"


# -- parts


@pytest.mark.parametrize("lead", [10, 30, 60, 120, 600])
def test_all_that_is_waited_for_fits_into_the_lead_time(lead, tmp_path, monkeypatch):
    monkeypatch.setenv("SUBMITIT_DEBUG_JOB_ID", "12")
    turn = runner_module.Turn(Runner((), str(tmp_path), 60, "USR2", lead, 5))
    waited: list[float] = []
    turn.processes = {"k0": subprocess.Popen(["sleep", "60"], start_new_session=True)}
    now = [0.0]

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        now[0] += seconds
        return False

    monkeypatch.setattr(turn, "_wait", wait)
    monkeypatch.setattr(runner_module.time, "monotonic", lambda: now[0])
    try:
        turn._give_way(signal.SIGUSR2, "requeued", lambda *_: None)
    finally:
        turn.processes["k0"].kill()
        turn.processes["k0"].wait()
    *checkpoint, _, _ = waited  # the last two: after SIGTERM, after SIGKILL
    assert sum(waited) <= lead
    assert sum(checkpoint) >= lead / 2
    assert max(checkpoint) <= runner_module.AGAIN


def test_the_next_turn_has_the_same_work(tmp_path):
    work = Runner((Command("k", "true"),), str(tmp_path), 60, "USR2", 30, 5)
    again = work.checkpoint()
    again.dump(tmp_path / "pickle")
    assert type(again).load(tmp_path / "pickle").function == work


def test_lines_of_a_record(tmp_path):
    path = tmp_path / "12.turns.jsonl"
    assert lines(path) == []
    path.write_bytes(b'{"a": 1}\n{"b": \n\0\0\xff\n{"c": 3}\n{"d"')
    assert lines(path) == [{"a": 1}, {"c": 3}]


GROUPS = {
    2: ("0::/system.slice/slurmstepd.scope/job_5/step_0/user/task_0\n", "sys/fs/cgroup",
        "system.slice/slurmstepd.scope/job_5/step_0/memory.events", "low 0\noom 1\noom_kill {}\n"),
    1: ("5:cpu:/\n4:memory:/slurm/uid_0/job_5/step_0/task_0\n0::/init\n", "sys/fs/cgroup/memory",
        "slurm/uid_0/job_5/memory.oom_control", "under_oom 0\noom_kill {}\n"),
    0: ("0::/user.slice/session-1.scope\n", "sys/fs/cgroup", "user.slice/memory.events",
        "oom_kill {}\n"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("version", "kills", "told"),
    [(2, 0, False), (2, 1, True), (2, 12, True), (1, 0, False), (1, 3, True),
     (0, 1, False)],  # of no job: somebody else's process
)  # fmt: skip
def test_a_kill_for_memory_is_read_from_the_allocations_control_group(
    tmp_path, monkeypatch, version, kills, told
):
    own, base, file, content = GROUPS[version]
    for name, text in (("proc/self/cgroup", own), (f"{base}/{file}", content.format(kills))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    below = lambda path: Path(f"{tmp_path}{path}" if str(path).startswith("/") else path)  # noqa: E731
    monkeypatch.setattr(allocation, "Path", below)
    assert allocation.out_of_memory() is told
    (tmp_path / "proc/self/cgroup").unlink()
    assert allocation.out_of_memory() is False
