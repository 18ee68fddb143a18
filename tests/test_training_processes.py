"""Several processes train as one does; and however they end, the next ones go on."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_data import LONG, Results, cell, record

from pipeline.training.interruption import exclusive
from pipeline.training.team import share


def test_parts_are_contiguous_whole_and_even():
    for count in range(12):
        for of in range(1, 6):
            parts = [share(count, index, of) for index in range(of)]
            assert [thing for part in parts for thing in part] == list(range(count))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
            assert len(parts[0]) == -(-count // of)


def test_three_processes_compute_what_one_does(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    script = Path(__file__).with_name("training_processes.py")
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", script, tmp_path], text=True,
            env=os.environ | place | {"RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(3)
    ]  # fmt: skip
    try:
        ends = [process.communicate(timeout=400) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (said, errors) in zip(processes, ends):
        assert process.returncode == 0, errors
        assert said == '"checked"\n'


# --- the command ------------------------------------------------------------------------------

TWICE = """
import subprocess, sys
copies = [subprocess.Popen(sys.argv[1:]) for _ in range(2)]
sys.exit(max(copy.wait() for copy in copies))
"""


def members(process: subprocess.Popen, module: str) -> list[int]:
    """Living descendants of a process that run a module."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    family = {process.pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    found = []
    for child in sorted(family - {process.pid}):
        try:
            if module in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                found.append(child)
        except OSError:
            continue
    return found


def interrupted(results, extra, number, target):
    """Send a signal to the process that ``target`` chooses when training has gone on some steps.

    Returns the exit status of the command, and what it said.
    """
    command = [sys.executable, "-m", "pipeline.train", *results.part_arguments(1e9), *extra]
    before = record(results.state, "trunks")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while (now := record(results.state, "trunks"))["turn"] in (None, before["turn"]):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        workers = members(process, "pipeline.train")
        os.kill(target(process), number)
        said = process.communicate(timeout=120)[1]
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert now["ended"] is None
    return process.returncode, said


def test_however_processes_end_any_number_of_them_goes_on(tmp_path):
    made = [cell(steps=s, cooldown_steps=100, **LONG) for s in (1100, 1200)]
    results = Results(tmp_path, *made)
    nodes = ["--nodes", "2", "--across", f"{sys.executable} -c '{TWICE}'"]
    status, said = interrupted(results, ["--processes", "2"], signal.SIGUSR2, lambda p: p.pid)
    assert (status, said.splitlines()[-1]) == (
        128 + signal.SIGUSR2, "stopped by SIGUSR2; run the command again to go on")  # fmt: skip
    status, said = interrupted(
        results, nodes, signal.SIGTERM, lambda p: members(p, "pipeline.training.agent")[1]
    )
    assert status == 128 + signal.SIGTERM, said
    assert "resuming from" in said
    status, said = interrupted(
        results, ["--processes", "3", "--shard", "always"], signal.SIGKILL,
        lambda p: members(p, "pipeline.train")[1],
    )  # fmt: skip
    assert status == 1
    assert "without an outcome" in said.splitlines()[-1]
    # Without the command that started them the others end in good order.
    interrupted(results, ["--processes", "2"], signal.SIGKILL, lambda p: p.pid)
    assert record(results.state, "trunks")["ended"] == "SIGTERM"
    results.part().publish()
    fresh = Results(tmp_path / "fresh", *made).part().publish()
    for index in range(2):
        run, other = results.run(index), fresh.run(index)
        assert run["interruptions"] == "SIGUSR2,SIGTERM,killed,SIGTERM"
        assert run["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert run["bits_per_byte"] == pytest.approx(other["bits_per_byte"], rel=1e-5)


def refusal(arguments):
    found = subprocess.run(
        [sys.executable, "-m", "pipeline.train", *arguments], stderr=subprocess.PIPE, text=True
    )
    return found.returncode, found.stderr.splitlines()[-1]


def test_a_refusal_of_the_first_process_ends_all_with_its_words_last(tmp_path):
    results = Results(tmp_path, cell())
    with exclusive(results.state / "trunks" / str(results.cells[0].trunk)):
        status, line = refusal([*results.cell_arguments(), "--processes", "2"])
    assert status == 2
    assert f"process {os.getpid()} on" in line
    assert not (results.state / "launches").exists()


def test_an_impossible_layout_is_refused(tmp_path):
    arguments = Results(tmp_path, cell()).cell_arguments()
    assert refusal([*arguments, "--processes", "0"]) == (
        2, "error: --processes: 0; give at least 1")  # fmt: skip
    status, line = refusal([*arguments, "--nodes", "2"])
    assert (status, "--nodes: 2 nodes need --across" in line) == (2, True)
    status, line = refusal([*arguments, "--nodes", "2", "--across", "no-such-command"])
    assert (status, "--across: 'no-such-command'" in line) == (2, True)
