"""Where jobs run: what is written for sbatch, and what a scheduler's silence makes of it."""

from __future__ import annotations

import gc
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_submitit import backends, scheduler
from snakemake_executor_plugin_submitit.backends import Debug, Local, Slurm, backend
from snakemake_executor_plugin_submitit.registry import Record
from snakemake_executor_plugin_submitit.request import request
from snakemake_executor_plugin_submitit.runner import Command, Runner
from snakemake_executor_plugin_submitit.scheduler import Full, State, Unreachable
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_interface_common.exceptions import WorkflowError

PROFILE = {"runtime": 240, "mem_mb": 16000, "cpus_per_task": 2}


def asked(**resources):
    return request("train", {**PROFILE, **resources}, 1)


@pytest.fixture
def slurm(command):
    """The backend of SLURM on a machine whose commands are scripts; ``said`` is what it said."""
    command("srun", "exit 9")
    command("scontrol", "echo MaxArraySize = 1001")
    said: list[str] = []
    made = Slurm(ExecutorSettings(signal_lead=90, submissions_per_second=1000), said.append)
    made.said = said
    return made


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "train-tag"
    path.mkdir()
    return path


def runner(folder, shell="true", key="k", minutes=60, lead=30):
    return Runner((Command(key, shell),), str(folder), minutes, "USR2", lead, 5)


# -- the sbatch script


def script(slurm, folder, jobs, **resources):
    """The text for sbatch, the folder and this Python by name."""
    executor = slurm._executor(asked(**resources), folder, jobs)
    if jobs > 1:  # as submitit does it
        executor.parameters["map_count"] = jobs
    text = executor._make_submission_file_text(executor._submitit_command_str, "uid")
    return text.replace(str(folder), "FOLDER").replace(shlex.quote(sys.executable), "PYTHON")


ONE_GPU = """\
#!/bin/bash

# Parameters
#SBATCH --account=lab
#SBATCH --comment=train-tag
#SBATCH --cpus-per-task=2
#SBATCH --exclude=n1,n2
#SBATCH --gpus-per-node=1
#SBATCH --job-name=train
#SBATCH --mem=16000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/%j_0_log.out
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=USR2@90
#SBATCH --time=240

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output FOLDER/%j_%t_log.out PYTHON -u -m snakemake_executor_plugin_submitit.job FOLDER
"""

ARRAY = """\
#!/bin/bash

# Parameters
#SBATCH --array=0-2%3
#SBATCH --comment=train-tag
#SBATCH --cpus-per-task=2
#SBATCH --job-name=train
#SBATCH --mem=16000M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/%A_%a_0_log.out
#SBATCH --requeue
#SBATCH --signal=USR2@90
#SBATCH --time=240

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output FOLDER/%A_%a_%t_log.out PYTHON -u -m snakemake_executor_plugin_submitit.job FOLDER
"""

TWO_NODES = """\
#!/bin/bash

# Parameters
#SBATCH --comment=train-tag
#SBATCH --constraint='a100&ib'
#SBATCH --cpus-per-task=2
#SBATCH --gpus-per-node=8
#SBATCH --job-name=train
#SBATCH --mem=16000M
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/%j_0_log.out
#SBATCH --requeue
#SBATCH --signal=USR2@90
#SBATCH --time=240

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output FOLDER/%j_%t_log.out --nodes=1 --ntasks=1 --overlap PYTHON -u -m \
snakemake_executor_plugin_submitit.job FOLDER
"""


def test_the_script_of_one_gpu(slurm, folder):
    resources = {"gpus": 1, "slurm_partition": "gpu", "slurm_account": "lab"}
    assert script(slurm, folder, 1, slurm_extra="--exclude=n1,n2", **resources) == ONE_GPU


def test_the_script_of_an_array(slurm, folder):
    assert script(slurm, folder, 3) == ARRAY


def test_the_script_of_two_nodes(slurm, folder):
    assert script(slurm, folder, 1, nodes=2, gpus=8, constraint="a100&ib") == TWO_NODES


# -- submission


SBATCH = "cp $1 {kept}; echo Submitted batch job 77"


def test_an_array_is_one_call_and_every_job_finds_its_own_work(slurm, folder, command):
    sbatch = command("sbatch", SBATCH.format(kept=folder / "kept.sh"))
    runners = [runner(folder, key=f"k{i}") for i in range(3)]
    assert slurm.submit(runners, asked(), folder) == ["77_0", "77_1", "77_2"]
    assert len(sbatch.read_text().splitlines()) == 1
    assert "#SBATCH --array=0-2%3" in (folder / "kept.sh").read_text()
    from submitit.core.utils import DelayedSubmission

    for i in range(3):
        work = DelayedSubmission.load(folder / f"77_{i}_submitted.pkl").function
        assert work == runners[i]


SRUN = """
while [[ $1 == --* ]]; do
    if [ $1 = --output ]; then shift; fi; shift
done
exec "$@"
"""


def test_the_script_does_the_work_that_was_submitted(slurm, folder, command):
    command("sbatch", SBATCH.format(kept=folder / "kept.sh"))
    command("scontrol", "exit 1")
    work = runner(folder, "echo $SLURM_JOB_ID at work")
    assert slurm.submit([work], asked(nodes=2), folder) == ["77"]
    command("srun", SRUN)
    printed = subprocess.run(
        ["bash", folder / "kept.sh"], env={**os.environ, "SLURM_JOB_ID": "77"}, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "77 at work\n" in printed
    assert ended(folder, "k")
    assert (folder / "77.turns.jsonl").exists()


def test_the_largest_array_is_the_smaller_of_the_setting_and_the_clusters(slurm):
    assert slurm.array_size() == 1000
    slurm.settings.array_size = 7
    assert slurm.array_size() == 7


def test_a_refusal_of_sbatch_is_told_with_the_rule(slurm, folder, command):
    command("sbatch", "echo 'sbatch: error: invalid partition specified: gup' >&2; exit 1")
    with pytest.raises(WorkflowError, match=r"rule train: sbatch refused: .*partition specified"):
        slurm.submit([runner(folder)], asked(slurm_partition="gup"), folder)


def test_a_lost_answer_submits_no_job_twice(slurm, folder, command, monkeypatch):
    """sbatch gets no answer though the job was accepted: it is found by its tag and cancelled."""
    monkeypatch.setattr(backends.time, "sleep", lambda _: None)
    sbatch = command("sbatch", f"""
        if [ ! -e {folder}/tried ]; then
            touch {folder}/tried
            echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1
        fi
        echo Submitted batch job 78""")  # fmt: skip
    command("squeue", "echo '77|PENDING|Resources||train-tag'; echo '70|RUNNING|||other'")
    scancel = command("scancel", "")
    assert slurm.submit([runner(folder)], asked(), folder) == ["78"]
    assert scancel.read_text() == "77\n"
    assert len(sbatch.read_text().splitlines()) == 2
    assert "SLURM does not answer" in slurm.said[0]


def test_a_scheduler_that_stays_away_is_not_waited_for_for_ever(
    slurm, folder, command, monkeypatch
):
    slept: list[float] = []  # these modules' own clock: that of subprocess goes on
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept))
    for module in (backends, scheduler):
        monkeypatch.setattr(module, "time", clock)
    waits = SimpleNamespace(wait=slept.append, is_set=lambda: False)
    monkeypatch.setattr(slurm.queue, "ending", waits)
    command("sbatch", "echo 'Unable to contact slurm controller' >&2; exit 1")
    command("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(Unreachable):
        slurm.submit([runner(folder)], asked(), folder)
    assert 3000 < sum(slept) < 3700


@pytest.mark.parametrize("told", [
    "sbatch: error: AssocMaxSubmitJobLimit", "sbatch: error: QOSGrpSubmitJobsLimit",
    "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
])  # fmt: skip
def test_a_full_queue_is_no_refusal(slurm, folder, command, told):
    command("sbatch", f"echo '{told}' >&2; exit 1")
    with pytest.raises(Full, match=told):
        slurm.submit([runner(folder)], asked(), folder)


def test_a_limit_of_time_is_a_refusal(slurm, folder, command):
    told = "QOSMaxWallDurationPerJobLimit: Job violates accounting/QOS policy (job submit limit)"
    command("sbatch", f"echo '{told}' >&2; exit 1")
    with pytest.raises(WorkflowError, match="sbatch refused"):
        slurm.submit([runner(folder)], asked(), folder)


def test_what_is_accepted_late_is_cancelled(slurm, folder, command):
    """The answer to one sbatch was lost, the next succeeded, and then the first is accepted."""
    command("sbatch", f"""
        if [ ! -e {folder}/tried ]; then
            touch {folder}/tried
            echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1
        fi
        echo Submitted batch job 78""")  # fmt: skip
    command("squeue", "true")
    scancel = command("scancel", "")
    assert slurm.submit([runner(folder)], asked(), folder) == ["78"]
    command("squeue", "printf '%s|RUNNING|||train-tag\\n' 77 78; echo '70|RUNNING|||other'")
    record = Record("k", "78", "train-tag", "train", (), "slurm", "login")
    assert slurm.states([record])["78"].name == "RUNNING"
    assert scancel.read_text() == "77\n"


def test_variables_that_change_jobs_unseen_are_removed(command, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "high")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1000")
    command("sbatch", "true")
    said: list[str] = []
    Slurm(ExecutorSettings(), said.append)
    assert [name for name in os.environ if name.startswith(("SBATCH_", "SLURM_"))] == ["SLURM_CONF"]
    assert "SBATCH_PARTITION" in said[0]


def test_a_machine_without_slurm_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkflowError, match="sbatch is not on PATH: start Snakemake on a login"):
        Slurm(ExecutorSettings(), print)


def test_submissions_keep_their_rate(slurm, folder, command):
    command("sbatch", "echo Submitted batch job 77")
    slurm.settings.submissions_per_second = 5.0
    begun = time.monotonic()
    for _ in range(3):
        slurm.submit([runner(folder)], asked(), folder)
        (folder / "77_submitted.pkl").unlink()
    assert time.monotonic() - begun >= 0.4


def test_an_interrupted_submission_is_ended_but_for_its_recorded_jobs(slurm, command):
    command("squeue", "printf '5_%d|PENDING|||train-tag\\n' 0 1 2; echo '6|RUNNING|||other-tag'")
    scancel = command("scancel", "")
    slurm.abandon("train-tag", ["5_1"])
    assert scancel.read_text() == "5_0 5_2\n"
    slurm.abandon("no-tag", [])
    assert scancel.read_text() == "5_0 5_2\n"


def record(job_id, key="k", tag="train-tag", host=None):
    return Record(key, job_id, tag, "train", ("a",), "local", host or os.uname().nodename)


def test_jobs_of_one_allocation_are_asked_for_and_cancelled_once(slurm, command):
    command("squeue", "echo '5|RUNNING|None|n1|train-tag'")
    scancel = command("scancel", "")
    records = [record("5", key) for key in "abc"]
    assert slurm.states(records) == {"5": State("RUNNING", "None", "n1", "train-tag")}
    slurm.cancel(records)
    assert scancel.read_text() == "5\n"


# -- this machine


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.M)


def wait_until(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def local(monkeypatch):
    monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", "USR2")
    made = Local(ExecutorSettings(cluster="local", signal_lead=30))
    yield made
    for job in made._jobs.values():
        job._process.send_signal(signal.SIGTERM)
        job._process.wait(20)


def start(local, folder, *commands):
    """Start commands in one runner and wait until each has written its process id."""
    shells = [f"echo $$ > {folder}/pid{i}.new; mv {folder}/pid{i}.new {folder}/pid{i}; {shell}"
              for i, shell in enumerate(commands)]  # fmt: skip
    work = Runner(
        tuple(Command(f"k{i}", shell) for i, shell in enumerate(shells)), str(folder), 60, "USR2",
        30, 5,
    )  # fmt: skip
    (job_id,) = local.submit([work], asked(), folder)
    wait_until(lambda: all((folder / f"pid{i}").exists() for i in range(len(commands))))
    return job_id, [int((folder / f"pid{i}").read_text()) for i in range(len(commands))]


def ended(folder, key="k0"):
    return (folder / f"outcome-{key}.json").exists()


def test_a_local_job_runs_and_is_over(local, folder):
    job_id, _ = start(local, folder, "true")
    wait_until(lambda: local.states([record(job_id)])[job_id].over)
    assert ended(folder)
    assert local.states([record("1", tag="no such job")]) == {"1": State("COMPLETED")}


def test_another_process_sees_and_cancels_local_jobs(local, folder):
    job_id, pids = start(local, folder, "sleep 60")
    other = Local(local.settings)
    assert other.states([record(job_id)])[job_id] == State("RUNNING")
    assert other.states([record(job_id, tag="another-tag")])[job_id].over
    other.cancel([record(job_id, tag="another-tag")])
    assert alive(pids[0])
    other.cancel([record(job_id)])
    wait_until(lambda: not any(map(alive, pids)) and not alive(int(job_id)))
    other.cancel([record(job_id)])  # what has ended is no error


def test_jobs_that_share_an_allocation_are_cancelled_together(local, folder):
    """Each of them names the same process, which must be told once, not in mid-clean-up again."""
    job_id, pids = start(local, folder, *(3 * ["sleep 60"]))
    local.cancel([record(job_id, f"k{i}") for i in range(3)])
    wait_until(lambda: not any(map(alive, pids)) and not alive(int(job_id)))
    assert not ended(folder)


def test_a_cancelled_job_has_time_to_end_in_order(local, folder):
    shell = f"trap 'sleep 2; touch {folder}/tidy; exit 1' TERM; sleep 60 & wait"
    job_id, pids = start(local, folder, shell)
    local.cancel([record(job_id)])
    wait_until(lambda: not alive(pids[0]))
    assert (folder / "tidy").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_the_terminal_sends_is_not_for_the_jobs(local, folder, number):
    """Snakemake decides what becomes of them: Ctrl-C may detach, a closed terminal never cancels."""
    shell = f"trap 'touch {folder}/told' INT HUP; sleep 3 & wait"
    job_id, _ = start(local, folder, shell)
    os.kill(int(job_id), number)
    (pid,) = Path(f"/proc/{job_id}/task/{job_id}/children").read_text().split()
    os.kill(int(pid), number)
    wait_until(lambda: local.states([record(job_id)])[job_id].over)
    assert ended(folder)
    assert not (folder / "told").exists()


def test_commands_of_a_local_job_can_be_interrupted(local, folder):
    """What is kept from the job's own processes is not kept from its commands."""
    job_id, (pid,) = start(
        local, folder, f"trap 'touch {folder}/told; exit 0' INT; sleep 60 & wait"
    )
    os.kill(pid, signal.SIGINT)
    wait_until(lambda: local.states([record(job_id)])[job_id].over)
    assert (folder / "told").exists()


def test_a_local_job_of_another_machine_is_not_taken_for_dead(local):
    with pytest.raises(WorkflowError, match="job 1 of rule train runs on elsewhere"):
        local.states([record("1", host="elsewhere")])


def test_this_machine_is_one_node(local, folder):
    with pytest.raises(WorkflowError, match="rule train: nodes=2, but this is one"):
        local.submit([runner(folder)], asked(nodes=2), folder)


# -- this process


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its open logs
def test_debugging_runs_the_job_at_once(folder):
    debug = Debug()
    (job_id,) = debug.submit([runner(folder, f"touch {folder}/made")], asked(), folder)
    assert (folder / "made").exists()
    assert ended(folder, "k")
    assert debug.states([record(job_id)])[job_id].over
    gc.collect()


@pytest.mark.parametrize(
    ("cluster", "kind"), [("slurm", Slurm), ("local", Local), ("debug", Debug)]
)
def test_the_setting_names_the_backend(cluster, kind):
    made = backend(ExecutorSettings(cluster=cluster), print)
    assert isinstance(made, kind)
    assert kind is Slurm or (made.array_size() == 1 and made.options() == frozenset())
