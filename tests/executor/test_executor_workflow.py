"""Real workflows through the executor on this machine: no job is lost, and none runs twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

# Each job of `part` says in `runs` that it runs, and ends when there is a file `go`, or one of its own.
SNAKEFILE = """
localrules: all

rule all:
    input: "joined.txt"

rule part:
    output: "part{n}.txt"
    shell:
        "echo {wildcards.n} >> runs; echo I am part {wildcards.n};"
        " until [ -e go -o -e go{wildcards.n} ]; do sleep 0.05; done; echo {wildcards.n} > {output}"

rule join:
    input: expand("part{n}.txt", n=range(NUMBER))
    output: "joined.txt"
    resources: runtime=60
    shell: "cat {input} > {output}"
"""

PARTS = ("--", "part0.txt", "part1.txt")
PATIENCE = 180.0  # s; other tests may keep all processors busy


@dataclass
class Workflow:
    """A folder with a Snakefile, run through submitit on this machine."""

    folder: Path
    started: dict[subprocess.Popen[bytes], Path] = field(default_factory=dict)  # and what it prints

    def write(self, content: str = SNAKEFILE, number: int = 2) -> None:
        (self.folder / "Snakefile").write_text(content.replace("NUMBER", str(number)))

    def start(self, *arguments: str, cluster: str = "local") -> subprocess.Popen[bytes]:
        """Start Snakemake in a process group of its own, as a terminal does."""
        path = self.folder / f"printed{len(self.started)}"
        with path.open("wb") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "--executor", "submitit", "--jobs", "8",
                 "--default-resources", "runtime=60", "--submitit-cluster", cluster,
                 "--submitit-status-seconds", "1", *arguments],
                cwd=self.folder, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started[process] = path
        return process

    def says(self, process: subprocess.Popen[bytes], words: str) -> None:
        """Wait until it has printed these words, or ended."""
        printed = self.started[process].read_text
        self.wait_until(lambda: words in printed() or process.poll() is not None)
        assert words in printed(), printed()

    def end(self, process: subprocess.Popen[bytes]) -> tuple[int, str]:
        """Its exit status and all that it printed."""
        status = process.wait(PATIENCE)
        return status, self.started[process].read_text()

    def run(self, *arguments: str, cluster: str = "local") -> str:
        """Run to a good end; returns what was printed."""
        status, printed = self.end(self.start(*arguments, cluster=cluster))
        assert status == 0, printed
        return printed

    def fail(self, *arguments: str) -> str:
        status, printed = self.end(self.start(*arguments))
        assert status == 1, printed
        return printed

    def go(self) -> None:
        (self.folder / "go").touch()

    def runs(self) -> list[str]:
        """What the jobs wrote when they began, sorted."""
        path = self.folder / "runs"
        return sorted(path.read_text().split()) if path.exists() else []

    def wait_until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "it did not come to pass"
            time.sleep(0.05)

    def submissions(self, rule: str = "part") -> list[Path]:
        return sorted((self.folder / ".snakemake/submitit/submissions").glob(f"{rule}-*"))

    def wait_for_jobs(self, number: int) -> list[int]:
        """Wait until so many jobs run, and are on record; their ids."""
        names = [str(n) for n in range(number)]
        self.wait_until(lambda: self.runs() == names and len(self.job_ids()) == number)
        return self.job_ids()

    def job_ids(self) -> list[int]:
        """Process ids of the controllers of recorded jobs."""
        paths = (self.folder / ".snakemake/submitit/jobs").glob("*.json")
        return [int(json.loads(path.read_text())["job_id"]) for path in paths]

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9, as of a login node that takes no notice of the jobs."""
        process.kill()
        process.wait()
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--unlock"], cwd=self.folder, check=True,
            capture_output=True,
        )  # fmt: skip


@pytest.fixture
def workflow(tmp_path) -> Iterator[Workflow]:
    made = Workflow(tmp_path)
    made.write()
    yield made
    made.go()
    for process in made.started:
        process.kill()
        process.wait()
    for job_id in made.job_ids():
        if str(tmp_path).encode() in command_line(job_id):
            os.kill(job_id, signal.SIGTERM)


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()  # empty where it is a zombie
    except OSError:
        return b""


def alive(pid: int) -> bool:
    return bool(command_line(pid))


@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_three_rules(workflow, cluster):
    workflow.go()
    printed = workflow.run(cluster=cluster)
    assert (workflow.folder / "joined.txt").read_text() == "0\n1\n"
    assert workflow.runs() == ["0", "1"]
    assert "4 of 4 steps (100%) done" in printed
    assert len(workflow.submissions()) == 2
    assert workflow.job_ids() == []


def test_jobs_that_share_an_allocation_are_one_submission_with_a_log_each(workflow):
    workflow.go()
    printed = workflow.run("--set-resources", "part:jobs_per_allocation=3", *PARTS, "part2.txt")
    assert "Submitted 3 x part as job" in printed
    (folder,) = workflow.submissions()
    logs = [path.read_text() for path in folder.glob("*.log")]
    assert len(logs) == 3
    for n in range(3):
        assert sum(f"I am part {n}" in log for log in logs) == 1
    assert workflow.runs() == ["0", "1", "2"]
    assert len(list(folder.glob("outcome-*.json"))) == 3


def test_a_failure_shows_its_verdict_log_and_last_lines(workflow):
    broken = "if [ {wildcards.n} = 1 ]; then echo the last word >&2; exit 3; fi; echo"
    workflow.write(SNAKEFILE.replace('"echo {wildcards.n} >>', f'"{broken} {{wildcards.n}} >>'))
    workflow.go()
    printed = workflow.fail("--keep-going")
    (folder,) = [path for path in workflow.submissions() if "failed" in outcomes(path)]
    (log,) = folder.glob("*_log.out")
    job_id = log.name.split("_")[0]
    assert f"Job {job_id} (part) on {os.uname().nodename} failed: its command ended" in printed
    assert f"Its log: {log}" in printed
    assert "    the last word" in printed
    assert (workflow.folder / "part0.txt").exists()  # the other is unharmed
    assert not (workflow.folder / "joined.txt").exists()
    assert workflow.job_ids() == []


def outcomes(folder: Path) -> list[str]:
    return [json.loads(path.read_text())["ended"] for path in folder.glob("outcome-*.json")]


def test_a_killed_snakemake_takes_living_jobs_up_and_collects_those_that_ended(workflow):
    process = workflow.start(*PARTS)
    first, second = workflow.wait_for_jobs(2)
    workflow.kill(process)
    assert alive(first)
    assert alive(second)
    (workflow.folder / "go0").touch()
    workflow.wait_until(lambda: not (alive(first) and alive(second)))
    again = workflow.start()
    workflow.says(again, "Taking up 1 living jobs of an earlier run.")
    workflow.go()
    status, printed = workflow.end(again)
    assert status == 0, printed
    assert workflow.runs() == ["0", "1"]
    assert (workflow.folder / "joined.txt").read_text() == "0\n1\n"


def test_living_jobs_in_the_middle_of_their_outputs_are_not_run_again_either(workflow):
    """Snakemake asks for --rerun-incomplete: it must not begin what is alive anew."""
    begun = SNAKEFILE.replace(" until [", " touch {output}; until [")
    workflow.write(begun)
    process = workflow.start("--", "part0.txt")
    workflow.wait_for_jobs(1)
    workflow.kill(process)
    assert "--rerun-incomplete" in workflow.fail("--", "part0.txt")
    again = workflow.start("--rerun-incomplete", "--", "part0.txt")
    workflow.says(again, "Taking up 1 living jobs of an earlier run.")
    workflow.go()
    status, printed = workflow.end(again)
    assert status == 0, printed
    assert workflow.runs() == ["0"]


def test_ctrl_c_cancels(workflow):
    process = workflow.start(*PARTS)
    before = workflow.wait_for_jobs(2)
    os.killpg(process.pid, signal.SIGINT)
    status, printed = workflow.end(process)
    assert status == 1
    assert "Cancelled 2 jobs." in printed
    workflow.wait_until(lambda: not any(map(alive, before)))
    assert workflow.job_ids() == []


def test_ctrl_c_detaches_where_asked_to(workflow):
    process = workflow.start("--submitit-on-interrupt", "detach", *PARTS)
    before = workflow.wait_for_jobs(2)
    os.killpg(process.pid, signal.SIGINT)
    status, printed = workflow.end(process)
    assert status == 1
    assert "Leaving 2 jobs running; the same command takes them up again." in printed
    assert workflow.job_ids() == before
    assert all(map(alive, before))
    again = workflow.start(*PARTS)
    workflow.go()
    status, printed = workflow.end(again)
    assert status == 0, printed
    assert workflow.runs() == ["0", "1"]


def test_waiting_jobs_run_the_rules_as_they_were(workflow):
    process = workflow.start("--jobs", "1", "--submitit-freeze", "Snakefile", *PARTS)
    workflow.wait_until(workflow.runs)
    workflow.write(
        SNAKEFILE.replace("I am part", "edited").replace("echo {wildcards.n} >", "echo x >")
    )
    workflow.go()
    status, printed = workflow.end(process)
    assert status == 0, printed
    assert workflow.runs() == ["0", "1"]
    assert [(workflow.folder / f"part{n}.txt").read_text() for n in range(2)] == ["0\n", "1\n"]


def test_what_is_to_be_frozen_must_hold_the_snakefile(workflow):
    (workflow.folder / "rules").mkdir()
    printed = workflow.fail("--submitit-freeze", "rules")
    assert "--submitit-freeze: 'rules' lacks the Snakefile Snakefile; add it" in printed


def test_a_bad_request_of_the_last_rule_is_refused_before_the_first_job(workflow):
    printed = workflow.fail("--set-resources", "join:gpus=1", "join:gres='gpu:1'")
    assert "rule join: gpus=1 and gres='gpu:1' both ask for GPUs; keep one of them" in printed
    assert workflow.runs() == []
    assert workflow.submissions() == []


def test_resources_may_depend_on_files_that_are_made_first(workflow):
    late = ("resources: runtime=lambda wc, input: 5 + len(open(input[0]).read()),"
            " mem_mb=lambda wc, input: max(int(input.size_mb), 10)\\n"
            "    threads: lambda wc, input: 1 + int(input.size_mb)").replace("\\n", "\n")  # fmt: skip
    workflow.write(SNAKEFILE.replace("resources: runtime=60", late), number=1)
    workflow.go()
    workflow.run()
    assert (workflow.folder / "joined.txt").read_text() == "0\n"


TRAINER = """
import os, signal, sys, time
from pathlib import Path

def checkpoint(*_):
    Path("checkpoint").write_text("half of it")
    sys.exit(1)

signal.signal(signal.SIGUSR2, checkpoint)
with open("turns", "a") as turns:
    print(os.environ["JOB_TURN"], os.environ["JOB_INTERRUPTION"], file=turns)
if not Path("checkpoint").exists():
    time.sleep(600)
Path("model").write_text(Path("checkpoint").read_text() + " and the rest")
"""


def test_a_job_that_writes_a_checkpoint_goes_on_after_its_time_limit(workflow):
    (workflow.folder / "train.py").write_text(TRAINER)
    workflow.write(f'rule train:\n    output: "model"\n    shell: "{sys.executable} train.py"\n')
    process = workflow.start("--set-resources", "train:runtime=1", "--submitit-signal-lead", "20")
    turns = workflow.folder / "turns"
    workflow.wait_until(lambda: turns.exists() and turns.read_text())
    (job_id,) = workflow.job_ids()
    (runner,) = Path(f"/proc/{job_id}/task/{job_id}/children").read_text().split()
    os.kill(int(runner), signal.SIGUSR2)
    status, printed = workflow.end(process)
    assert status == 0, printed
    assert (workflow.folder / "model").read_text() == "half of it and the rest"
    assert (workflow.folder / "turns").read_text() == "1 \n2 timeout\n"
    assert len(workflow.submissions("train")) == 1


def test_a_turn_that_nobody_continues_is_submitted_again(workflow):
    """The job of this machine dies without a word; its next turn has another id."""
    (workflow.folder / "train.py").write_text(TRAINER)
    workflow.write(f'rule train:\n    output: "model"\n    shell: "{sys.executable} train.py"\n')
    process = workflow.start()
    turns = workflow.folder / "turns"
    workflow.wait_until(lambda: turns.exists() and turns.read_text())
    (workflow.folder / "checkpoint").write_text("half of it")
    (job_id,) = workflow.job_ids()
    os.kill(job_id, signal.SIGTERM)
    status, printed = workflow.end(process)
    assert status == 0, printed
    assert f"Job {job_id} (train): requeued, and not requeued by the cluster; submitted" in printed
    assert (workflow.folder / "turns").read_text() == "1 \n2 requeued\n"
    assert len(workflow.submissions("train")) == 2
