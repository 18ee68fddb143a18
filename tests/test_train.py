"""The commands of stage 2: what they leave, what they refuse, and what survives being killed."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from training_data import cell, make_corpus, write_spec

from pipeline import contracts
from pipeline.cells import Cell
from pipeline.train import main
from pipeline.training import turns
from pipeline.training.interruption import exclusive
from pipeline.training.loop import Progress

CLOCKS = {"seconds", "own_seconds", "tokens_per_second", "peak_memory", "restarts", "finished_at",
          "lost_seconds", "interruptions"}  # fmt: skip


@pytest.fixture(autouse=True)
def _signals():
    """The commands listen to signals; pytest wants its own back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)


class Results:
    """A results folder with a corpus and some cells, and the two commands on it."""

    def __init__(self, root: Path, *cells: Cell):
        self.root, self.state = root, root / "state"
        self.manifest = root / "corpus" / "manifest.parquet"
        if not self.manifest.exists():
            make_corpus(root / "corpus")
        self.cells = cells
        self.specs = [write_spec(root, made) for made in cells]

    def common(self, seconds):
        return ["--corpus", str(self.manifest), "--state", str(self.state), "--device", "cpu",
                "--checkpoint-seconds", str(seconds)]  # fmt: skip

    def trunk_arguments(self, seconds=60.0):
        ledger = self.root / "trunks" / str(self.cells[0].trunk) / "part.json"
        specs = [str(spec) for spec in self.specs]
        return ["trunk", "--specs", *specs, "--out", str(ledger), *self.common(seconds)]

    def cell_arguments(self, index=0, seconds=60.0):
        spec = self.specs[index]
        return ["cell", "--spec", str(spec), "--out", str(spec.parent), *self.common(seconds)]

    def trunk(self, expected=0):
        assert main(self.trunk_arguments()) == expected
        return self

    def publish(self, expected=0):
        for index in range(len(self.cells)):
            assert main(self.cell_arguments(index)) == expected
        return self

    def read(self, index=0):
        """Run row, curve and evaluation rows, without what a clock decides."""
        folder = self.specs[index].parent
        tables = (contracts.RUN, contracts.CURVE, contracts.EVALUATION)
        run, curve, evaluation = (
            contracts.read(folder / f"{schema.metadata[b'contract'].decode()}.parquet", schema)
            for schema in tables
        )
        keep = [{k: v for k, v in row.items() if k not in CLOCKS}
                for row in run.to_pylist() + curve.to_pylist()]  # fmt: skip
        return keep, evaluation.to_pylist()

    def run(self, index=0):
        return contracts.read(self.specs[index].parent / "run.parquet", contracts.RUN).to_pylist()[
            0
        ]


def three(**changes):
    changes = {"evaluate": ("other-1",), **changes}
    return [cell(steps=s, cooldown_steps=s // 5, **changes) for s in (20, 40, 80)]


def test_a_trunk_trains_its_cells_and_they_are_published(tmp_path):
    results = Results(tmp_path, *three()).trunk().publish()
    ledger = json.loads(next(tmp_path.glob("trunks/*/part.json")).read_text())
    assert ledger["cells"] == [c.key for c in results.cells]
    assert ledger["stable_steps"] == [16, 32, 64]
    assert ledger["part"] == "part"
    (run, *short), evaluation = results.read(0)
    assert run["cell"] == results.cells[0].key
    assert run["status"] == "finished"
    assert run["loss"] == short[-1]["val_loss"] < short[0]["val_loss"]
    assert [row["step"] for row in short] == [4, 8, 16, 20]
    assert run["bits_per_byte"] == pytest.approx(run["loss"] / 0.693147 / 2, rel=1e-5)
    assert run["unique_tokens"] == 8000
    assert [(row["corpus"], row["tokens"]) for row in evaluation] == [("other", 399)]
    assert all(len(row["loss_by_position"]) == 5 for row in short)


def test_a_branch_begins_with_its_trunks_rows(tmp_path):
    results = Results(tmp_path, *three()).trunk().publish()
    short, long = (results.read(index)[0][1:] for index in (0, 2))
    assert short[:3] == long[:3]
    assert short[3] != long[3]
    own = results.run(2)
    assert 0 < own["own_seconds"] < own["seconds"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cell_alone_is_the_same_as_from_its_trunk(tmp_path, precision):
    cells = three(precision=precision)
    shared = Results(tmp_path / "shared", *cells).trunk().publish()
    alone = Results(tmp_path / "alone", cells[2]).publish()
    assert alone.read(0) == shared.read(2)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_other_schedules_train_without_a_trunk(tmp_path, schedule):
    made = cell(schedule=schedule, cooldown_steps=0, unique_tokens=700)
    results = Results(tmp_path, made).publish()
    run = results.run()
    assert (run["status"], run["trunk"], run["unique_tokens"]) == ("finished", None, 700)
    assert run["own_seconds"] == run["seconds"]
    assert main(results.trunk_arguments()) == 2


def test_a_new_token_count_goes_on_from_the_nearest_checkpoint(tmp_path, capsys):
    Results(tmp_path, *three()).trunk()
    capsys.readouterr()
    new = cell(steps=60, cooldown_steps=12, evaluate=("other-1",))
    results = Results(tmp_path, new).trunk().publish()
    assert "at-32.ckpt at step 32" in capsys.readouterr().err
    assert results.read() == Results(tmp_path / "fresh", new).publish().read()


def test_finished_work_needs_neither_pytorch_nor_pyarrow(tmp_path):
    results = Results(tmp_path, *three()).trunk()
    several = ["--processes", "2", "--nodes", "2", "--across", "none"]
    commands = [[*results.trunk_arguments(), *several], [*results.cell_arguments(), *several]]
    code = (
        "import sys; from pipeline.train import main\n"
        f"assert all(main(c) == 0 for c in {commands!r})\n"
        "assert not {'torch', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert results.read()[0]


def test_the_standard_error_takes_documents_where_the_tokenizer_marks_their_end(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"<|endoftext|>": 3, "a": 0}, unk_token="a"))
    made, found = cell(evaluate=("other-1",)), {}
    for marked in (False, True):
        results = Results(tmp_path / str(marked), made)
        if marked:
            tokenizer.save(str(results.manifest.with_name("tokenizer.json")))
        (run, *curve), [score] = results.publish().read()
        found[marked] = [(row["val_loss"], row["val_loss_se"]) for row in curve]
        found[marked] += [(run["loss"], run["loss_se"]), (score["loss"], score["loss_se"])]
    for (loss, by_window), (same, by_document) in zip(found[False], found[True]):
        assert loss == same
        assert by_window != by_document


def test_another_text_to_score_on_does_not_retrain(tmp_path):
    plain = cell(evaluate=())
    Results(tmp_path, plain).publish()
    before = Results(tmp_path, plain).run()
    scored = Results(tmp_path, cell(evaluate=("other-1",))).publish()
    assert scored.run()["finished_at"] == before["finished_at"]
    assert scored.run()["seconds"] == before["seconds"]
    fresh = Results(tmp_path / "fresh", cell(evaluate=("other-1",))).publish()
    assert scored.read() == fresh.read()


def test_other_data_never_continues_a_training(tmp_path, capsys):
    results = Results(tmp_path, *three()).trunk()
    make_corpus(tmp_path / "corpus", seed=9)
    results.trunk().publish()
    assert "discarding" in capsys.readouterr().err
    fresh = Results(tmp_path / "fresh")
    make_corpus(tmp_path / "fresh" / "corpus", seed=9)
    fresh = Results(tmp_path / "fresh", *three()).publish()
    assert [results.read(i) for i in range(3)] == [fresh.read(i) for i in range(3)]


@pytest.mark.parametrize("damage", ["truncate", "empty"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, capsys, damage):
    Results(tmp_path, *three()).trunk()
    kept = next(tmp_path.glob("state/trunks/*/at-32.ckpt"))
    kept.write_bytes(kept.read_bytes()[: {"truncate": -1, "empty": 0}[damage]])
    new = cell(steps=60, cooldown_steps=12, evaluate=("other-1",))
    results = Results(tmp_path, new).publish()
    said = capsys.readouterr().err
    assert str(kept) in said or damage == "empty"
    assert "at-16.ckpt at step 16" in said
    assert results.read() == Results(tmp_path / "fresh", new).publish().read()


def test_a_damaged_publication_is_rendered_anew(tmp_path):
    results = Results(tmp_path, cell()).publish()
    expected = results.read()
    for path in tmp_path.glob("state/cells/*/done/published/*/curve.parquet"):
        path.write_bytes(b"PAR1")
    assert results.publish().read() == expected


@pytest.mark.parametrize("rate", [50.0, 1e30], ids=["worse than a guess", "not a number"])
def test_a_diverged_run_is_a_row(tmp_path, rate):
    cells = three(lr=rate, lr_embedding=rate)
    results = Results(tmp_path, *cells).trunk().publish()
    for index in range(3):
        run = results.run(index)
        assert (run["status"], run["loss"], run["bits_per_byte"]) == ("diverged", None, None)
        assert results.read(index)[1] == []
    assert len(results.read(2)[0]) > 1


# --- refusals ---------------------------------------------------------------------------------


def refusal(capsys, arguments):
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_a_changed_spec_is_refused(tmp_path, capsys):
    results = Results(tmp_path, cell())
    results.specs[0].write_text(json.dumps(cell(lr=0.5).spec()))
    assert "the folder is named" in refusal(capsys, results.cell_arguments())


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"foreign": 1}'])
def test_a_broken_spec_is_named(tmp_path, capsys, content):
    results = Results(tmp_path, cell())
    results.specs[0].write_text(content)
    assert str(results.specs[0]) in refusal(capsys, results.cell_arguments())


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"steps": 200}, "set grid.unique_tokens to repeat data, or lower grid.tokens"),
        ({"unique_tokens": 9000}, "grid.unique_tokens"),
        ({"vocab_size": 64}, "corpus.tokenizer.vocab_size"),
        ({"corpus": "prose-1"}, "'prose-1'"),
    ],
)
def test_a_cell_that_the_corpus_cannot_train_is_refused(tmp_path, capsys, changes, cure):
    assert cure in refusal(capsys, Results(tmp_path, cell(**changes)).cell_arguments())


def test_a_truncated_shard_is_named(tmp_path, capsys):
    results = Results(tmp_path, cell())
    shard = tmp_path / "corpus" / "train-00000.bin"
    shard.write_bytes(b"")
    assert str(shard) in refusal(capsys, results.cell_arguments())


def test_a_missing_corpus_is_named(tmp_path, capsys):
    results = Results(tmp_path, cell())
    (tmp_path / "corpus" / "corpus.json").unlink()
    assert "corpus.json" in refusal(capsys, results.cell_arguments())


def test_cells_of_two_trunks_are_refused(tmp_path, capsys):
    results = Results(tmp_path, cell(), cell(seed=1))
    assert "cells of one trunk" in refusal(capsys, results.trunk_arguments())


def test_two_processes_never_train_the_same(tmp_path, capsys):
    results = Results(tmp_path, *three())
    with exclusive(results.state / "trunks" / str(results.cells[0].trunk)):
        assert f"process {os.getpid()} on" in refusal(capsys, results.trunk_arguments())
    results.trunk()


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
    done = Results(tmp_path / "other", *three()).trunk()
    holder = start(lambda: shutil.copytree(done.state / "cells", results.state / "cells"))
    assert main([*results.trunk_arguments(), "--patience", "60"]) == 0
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
    assert main([*results.trunk_arguments(), "--patience", "60"]) == 128 + signal.SIGTERM
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


def test_a_full_disk_is_reported_and_leaves_nothing_half(tmp_path, capfd):
    results = Results(tmp_path, cell())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        assert main(results.cell_arguments()) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "could not write" in capfd.readouterr().err
    assert not list(tmp_path.glob("state/**/*.tmp"))
    assert not list(results.specs[0].parent.glob("*.parquet"))
    assert results.publish().read() == Results(tmp_path / "fresh", cell()).publish().read()


# --- being killed -----------------------------------------------------------------------------


def appears(folder: Path, pattern: str):
    """Wait until training has left a file."""
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.002)


LONG = {"unique_tokens": 5000, "evaluate": ("other-1",)}


@pytest.mark.parametrize(
    ("precision", "where"),
    [("fp32", "trunks/*/rolling.ckpt"), ("bf16", "cells/*/rolling.ckpt")],
    ids=["fp32 in the trunk", "bf16 in a branch"],
)
def test_a_killed_training_goes_on_bit_for_bit(tmp_path, capsys, precision, where):
    cells = [
        cell(steps=300, cooldown_steps=200, precision=precision, **LONG),
        cell(steps=400, cooldown_steps=100, precision=precision, **LONG),
    ]
    results = Results(tmp_path, *cells)
    command = [sys.executable, "-m", "pipeline.train", *results.trunk_arguments(seconds=1e-9)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        appears(results.state, where)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not list(tmp_path.glob("trunks/*/part.json"))
    results.trunk().publish()
    assert "resuming from" in capsys.readouterr().err
    fresh = Results(tmp_path / "fresh", *cells).trunk().publish()
    assert [results.read(i) for i in range(2)] == [fresh.read(i) for i in range(2)]
    assert [results.run(i)["restarts"] for i in range(2)] == [1, where.startswith("trunks")]
    assert not list(results.state.glob("**/.*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_signal_leaves_a_checkpoint_and_its_exit_status(tmp_path, capsys, number):
    made = cell(steps=600, schedule="cosine", cooldown_steps=0, **LONG)
    results = Results(tmp_path, made)

    def interrupt():
        appears(results.state, "cells/*/rolling.ckpt")
        os.kill(os.getpid(), number)

    interruption = threading.Thread(target=interrupt)
    interruption.start()
    assert main(results.cell_arguments(seconds=1e-9)) == 128 + number
    interruption.join()
    assert "run the command again to go on" in capsys.readouterr().err
    results.publish()
    run = results.run()
    assert (run["restarts"], run["interruptions"]) == (1, signal.Signals(number).name)
    assert run["lost_seconds"] == 0
    if number == signal.SIGTERM:
        assert results.read() == Results(tmp_path / "fresh", made).publish().read()


# The record of a turn is written at almost every step instead of every few seconds.
RECORDING = """
import sys
from pipeline.training import turns
turns.RECORD_SECONDS = 0.005
from pipeline.train import main
sys.exit(main(sys.argv[1:]))
"""


def record(state: Path, place: str) -> dict:
    """The record of a turn at the trunk or at a cell; without one, of nothing."""
    found = [json.loads(path.read_text()) for path in state.glob(f"{place}/*/turn.json")]
    return found[0] if found else {"turn": None, "seconds": 0.0}


def works(state: Path, place: str, after: dict):
    """Wait until a turn after that one has gone some way beyond it."""
    deadline = time.monotonic() + 120
    while (now := record(state, place))["turn"] == after["turn"] or now["seconds"] < 0.02:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def killed(results, place, seconds):
    """Kill a process in its work; returns the seconds of work that no checkpoint holds."""
    command = [sys.executable, "-c", RECORDING, *results.trunk_arguments(seconds)]
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
    assert main(results.trunk_arguments()) == 128 + number
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
    results.trunk().publish()
    assert min(lost[:2]) > 0
    first, second = results.run(0), results.run(1)
    assert first["interruptions"] == "preempted  perhaps,killed,SIGUSR2,killed,node_failure"
    assert second["interruptions"] == "preempted  perhaps,killed,SIGUSR2"
    assert (first["restarts"], second["restarts"]) == (5, 3)
    assert first["lost_seconds"] == pytest.approx(sum(lost), abs=1e-9)
    assert second["lost_seconds"] == pytest.approx(sum(lost[:2]), abs=1e-9)
    assert not list(results.state.glob("**/turn.json"))
    fresh = Results(tmp_path / "fresh", *made).trunk().publish()
    assert [results.read(i) for i in range(2)] == [fresh.read(i) for i in range(2)]
    assert (fresh.run()["interruptions"], fresh.run()["lost_seconds"]) == ("", 0.0)
