"""What interruptions cost and why they came; and waiting for another process's end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from training_data import LONG, Results, cell, record, three

from pipeline.train import main
from pipeline.training import turns
from pipeline.training.interruption import exclusive
from pipeline.training.loop import Progress

pytestmark = pytest.mark.usefixtures("own_signals")


@pytest.fixture
def held(tmp_path, capsys):
    """(results, start): another process holds the trunk's lock until its work is done.

    ``start(work)`` lets it do ``work`` when the command has said that it waits, and then end.
    """
    results = Results(tmp_path, *three())

    def start(work):
        def hold():
            with exclusive(results.state / "trunks" / str(results.cells[0].trunk)):
                begun.set()
                while "training this; waiting up to 60 s" not in capsys.readouterr().err:
                    time.sleep(0.01)
                work()

        begun = threading.Event()
        holder = threading.Thread(target=hold)
        holder.start()
        begun.wait()
        return holder

    return results, start


def test_patience_waits_and_then_looks_at_everything_anew(tmp_path, held, capsys):
    results, start = held
    done = Results(tmp_path / "other", *three()).part()
    holder = start(lambda: shutil.copytree(done.state / "cells", results.state / "cells"))
    assert main([*results.part_arguments(), "--patience", "60"]) == 0
    holder.join()
    said = capsys.readouterr().err
    assert "kept in" not in said
    assert "waiting" not in said
    assert results.publish().read() == done.publish().read()


def test_a_signal_ends_the_wait_for_another_process(held):
    results, start = held
    ended = threading.Event()

    def interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
        ended.wait()

    holder = start(interrupt)
    assert main([*results.part_arguments(), "--patience", "60"]) == 128 + signal.SIGTERM
    ended.set()
    holder.join()


def test_an_earlier_formats_checkpoint_and_finished_training_are_read(tmp_path):
    results = Results(tmp_path, cell(evaluate=("other-1",))).publish()
    [path] = results.state.glob("cells/*/done/training.json")
    training = json.loads(path.read_text())
    del training["run"]["lost_seconds"], training["run"]["interruptions"]
    path.write_text(json.dumps(training))
    for digests in results.state.glob("cells/*/done/published/*/digests.json"):
        content = json.loads(digests.read_text())
        del content["rendering"]
        digests.write_text(json.dumps(content))
    expected = results.read()
    assert results.publish().read() == expected
    assert (results.run()["lost_seconds"], results.run()["interruptions"]) == (0.0, "")
    old = Progress.of({"step": 3, "seconds": 1.0, "restarts": 2})
    assert [found["cause"] for found in old.interruptions] == ["unknown", "unknown"]


# The record of a turn is written at almost every step instead of every few seconds.
RECORDING = """
import sys
from pipeline.training import turns
turns.RECORD_SECONDS = 0.005
from pipeline.train import main
sys.exit(main(sys.argv[1:]))
"""


def works(state: Path, place: str, after: dict):
    """Wait until a turn after that one has gone some way beyond it."""
    deadline = time.monotonic() + 120
    while (now := record(state, place))["turn"] == after["turn"] or now["seconds"] < 0.02:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def killed(results, place, seconds):
    """Kill a process in its work; returns the seconds of work that no checkpoint holds."""
    command = [sys.executable, "-c", RECORDING, *results.part_arguments(seconds)]
    before = record(results.state, place)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        works(results.state, place, before)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    [rolling] = [*results.state.glob(f"{place}/*/rolling.ckpt")] or [None]
    kept = json.loads(rolling.open("rb").readline())["progress"] if rolling else None
    saved = kept["seconds"] - kept["trunk_seconds"] if kept else 0.0
    return record(results.state, place)["seconds"] - saved


def stopped(results, place, number):
    """Send this process a signal while it trains."""
    before = record(results.state, place)

    def interrupt():
        works(results.state, place, before)
        os.kill(os.getpid(), number)

    interruption = threading.Thread(target=interrupt)
    interruption.start()
    assert main(results.part_arguments()) == 128 + number
    interruption.join()


def test_a_run_tells_how_often_why_and_at_what_cost_it_was_interrupted(tmp_path, monkeypatch):
    made = [cell(steps=s, cooldown_steps=s // 2, **LONG) for s in (800, 1000)]
    results = Results(tmp_path, *made)
    monkeypatch.setattr(turns, "RECORD_SECONDS", 0.005)
    lost = [killed(results, "trunks", 1e9)]  # before any checkpoint
    monkeypatch.setenv("JOB_INTERRUPTION", "preempted, perhaps")
    lost.append(killed(results, "trunks", 1e9))
    monkeypatch.setenv("JOB_INTERRUPTION", "")
    stopped(results, "trunks", signal.SIGUSR2)
    lost.append(killed(results, "cells", 0.05))
    stopped(results, "cells", signal.SIGTERM)
    monkeypatch.setenv("JOB_INTERRUPTION", "node_failure")
    results.part().publish()
    assert min(lost[:2]) > 0
    first, second = results.run(0), results.run(1)
    assert first["interruptions"] == "preempted  perhaps,killed,SIGUSR2,killed,node_failure"
    assert second["interruptions"] == "preempted  perhaps,killed,SIGUSR2"
    assert (first["restarts"], second["restarts"]) == (5, 3)
    assert first["lost_seconds"] == pytest.approx(sum(lost), abs=1e-9)
    assert second["lost_seconds"] == pytest.approx(sum(lost[:2]), abs=1e-9)
    assert not list(results.state.glob("**/turn.json"))
    fresh = Results(tmp_path / "fresh", *made).part().publish()
    assert [results.read(i) for i in range(2)] == [fresh.read(i) for i in range(2)]
    assert (fresh.run()["interruptions"], fresh.run()["lost_seconds"]) == ("", 0.0)


def test_a_cause_is_told_of_the_training_that_had_its_turn_alone(tmp_path, monkeypatch):
    """Of two that were not at their end, the second had been stopped by an earlier process."""
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        place.mkdir()
        turns.Turn(place, {"training": place.name}, (), 0.0).save(2.0, signal.SIGTERM)
    monkeypatch.setenv("JOB_INTERRUPTION", "timeout")
    again = [turns.Turn(place, {"training": place.name}, (), 1.5) for place in places]
    told = [[(i["cause"], i["lost_seconds"]) for i in turn.interruptions] for turn in again]
    assert told == [[("timeout", 0.5)], [("SIGTERM", 0.5)]]
