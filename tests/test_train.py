"""The commands of stage 2: what they leave, what they refuse, and what survives being killed."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from training_data import (
    LONG,
    Results,
    cell,
    chain,
    make_corpus,
    three,
    train_in_turns,
    write_corpus,
)

from pipeline.train import main
from pipeline.training import finished, loop, session
from pipeline.training.interruption import exclusive
from pipeline.training.loop import Trainer

pytestmark = pytest.mark.usefixtures("own_signals")


def test_a_trunk_trains_its_cells_and_they_are_published(tmp_path):
    results = Results(tmp_path, *three()).part().publish()
    ledger = json.loads((tmp_path / "trainings" / "part.json").read_text())
    assert ledger["cells"] == [c.key for c in results.cells]
    assert ledger["trainings"] == [results.cells[0].trunk]
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
    results = Results(tmp_path, *three()).part().publish()
    short, long = (results.read(index)[0][1:] for index in (0, 2))
    assert short[:3] == long[:3]
    assert short[3] != long[3]
    own = results.run(2)
    assert 0 < own["own_seconds"] < own["seconds"]


# Of the curve and scores of the default cell of 40 steps, by the version before the columns that
# came later: losses for any machine, and a digest of all bits for the processor it was made on.
DEFAULT = {
    "fp32": (
        [3.356381595015287, 3.035205970068494, 2.2410666080180532, 1.553206144986984,
         1.511627187052805], 2.0149811004337512, "81a529e88eda1200",
    ),
    "bf16": (
        [3.3569547743023276, 3.0331782389260487, 2.2396485181991945, 1.553295418291627,
         1.511324088326198], 2.0096958982466457, "5d3e2a585b2e1c9b",
    ),
}  # fmt: skip
MADE_ON = ({"vendor_id": "AuthenticAMD", "cpu family": "25", "model": "1"}, "2.13.0+cpu")
LATER = ("grad_squared", "grad_variance", "texts", "tasks")


def processor():
    """What the kernel says of the processor's make, as far as MADE_ON asks."""
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    told = {name.strip(): value.strip() for name, _, value in lines}
    return {name: told.get(name) for name in MADE_ON[0]}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_default_cell_is_trained_as_it_ever_was(tmp_path, precision):
    made = [cell(steps=s, cooldown_steps=s // 5, precision=precision, evaluate=("other-1",))
            for s in (20, 40)]  # fmt: skip
    results = Results(tmp_path, *made).part().publish()
    (run, *curve), scores = results.read(1)
    losses, score, digest = DEFAULT[precision]
    rounding = 1e-5 if precision == "fp32" else 0.01
    assert [row["val_loss"] for row in curve] == pytest.approx(losses, rel=rounding)
    assert scores[0]["loss"] == pytest.approx(score, rel=rounding)
    assert run["best_step"] == run["steps"] == 40
    # Four steps of warmup, 28 at the peak, eight of cooldown: 2.5 + 28 + 4.5.
    assert run["lr_sum"] == pytest.approx(35 * 0.0125)
    early = [{name: row[name] for name in row if name not in LATER} for row in curve]
    if (processor(), torch.__version__) == MADE_ON:
        bits = json.dumps([early, scores], sort_keys=True)
        assert hashlib.sha256(bits.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("precision", "dropout"), [("fp32", 0.0), ("bf16", 0.0), ("fp32", 0.1), ("bf16", 0.1)]
)
def test_a_cell_alone_is_the_same_as_from_its_trunk(tmp_path, precision, dropout):
    cells = three(precision=precision, dropout=dropout)
    shared = Results(tmp_path / "shared", *cells).part().publish()
    alone = Results(tmp_path / "alone", cells[2]).publish()
    assert alone.read(0) == shared.read(2)


def test_dropout_survives_interruptions_of_trunk_and_branches(tmp_path):
    cells = three(dropout=0.1)
    whole = Results(tmp_path / "whole", *cells).part().publish()
    results = Results(tmp_path / "turns", *cells)
    assert train_in_turns(results, 11) >= 7
    results.part().publish()
    assert [results.read(i) for i in range(3)] == [whole.read(i) for i in range(3)]
    assert whole.run(2)["dropout"] == 0.1
    plain = Results(tmp_path / "plain", *three()).part().publish()
    assert plain.run(2)["loss"] != whole.run(2)["loss"]


def test_texts_are_scored_along_the_curve(tmp_path):
    made = cell(along=("other-1",), evaluate=("other-1",))
    results = Results(tmp_path / "along", made).publish()
    (_, *curve), [last] = results.read()
    plain = Results(tmp_path / "plain", cell(evaluate=("other-1",))).publish()
    assert [{**row, "texts": None} for row in curve] == plain.read()[0][1:]
    # At each evaluation the score is that of a run that ends there: here of branch points.
    assert [row["step"] for row in curve] == [4, 8, 16, 32, 40]
    names = ("corpus", "loss", "loss_se", "bits_per_byte")
    assert curve[-1]["texts"] == [{name: last[name] for name in names}]
    stopped = cell(steps=16, cooldown_steps=0, schedule="constant", evaluate=("other-1",))
    [score] = Results(tmp_path / "stopped", stopped).publish().read()[1]
    assert curve[2]["texts"] == [{name: score[name] for name in names}]


def test_other_data_of_a_text_along_the_curve_trains_anew(tmp_path, capsys):
    made = cell(along=("other-1",))
    before = Results(tmp_path, made).publish().read()[0][1]["texts"]
    write_corpus(tmp_path / "corpus/evaluation/other-1", {"evaluation": [chain(400, 9)]},
                 name="other", key="other-1")  # fmt: skip
    after = Results(tmp_path, made).publish().read()[0][1]["texts"]
    assert "scored along its curve on other data" in capsys.readouterr().err
    assert after != before


@pytest.mark.parametrize("family", ["lstm", "recurrent"])
def test_a_branch_of_another_family_is_the_same_as_a_cell_alone(tmp_path, family):
    own = {"d_ff": 0, "n_head": 0} if family == "lstm" else {"reuse": 2, "n_layer": 1}
    cells = [cell(steps=s, cooldown_steps=s // 5, family=family, dropout=0.1, context=8, **own)
             for s in (20, 40)]  # fmt: skip
    shared = Results(tmp_path / "shared", *cells).part().publish()
    alone = Results(tmp_path / "alone", cells[1]).publish()
    assert alone.read(0) == shared.read(1)
    run = shared.run(1)
    assert (run["family"], run["reuse"], run["dropout"]) == (family, own.get("reuse", 1), 0.1)
    assert (run["params"], run["flops_exact"]) == (cells[1].params, cells[1].flops_exact)
    assert (run["d_ff"], run["n_head"]) == ((0, 0) if family == "lstm" else (64, 2))
    assert len(shared.read(1)[0][-1]["loss_by_position"]) == 4


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_other_schedules_train_without_a_trunk(tmp_path, schedule):
    made = cell(schedule=schedule, cooldown_steps=0, unique_tokens=700)
    results = Results(tmp_path, made).publish()
    run = results.run()
    assert (run["status"], run["trunk"], run["unique_tokens"]) == ("finished", None, 700)
    assert run["own_seconds"] == run["seconds"]


def test_a_new_token_count_goes_on_from_the_nearest_checkpoint(tmp_path, capsys):
    Results(tmp_path, *three()).part()
    capsys.readouterr()
    new = cell(steps=60, cooldown_steps=12, evaluate=("other-1",))
    results = Results(tmp_path, new).part().publish()
    assert "at-32.ckpt at step 32" in capsys.readouterr().err
    assert results.read() == Results(tmp_path / "fresh", new).publish().read()


def test_finished_models_are_scored_before_there_is_one_to_train(tmp_path, monkeypatch):
    """Memory may have no room for both. The finished branch leaves the trunk last."""
    Results(tmp_path, three(evaluate=())[2]).part()
    short, _, long = three()
    alive, made = weakref.WeakSet(), []

    class Watched(Trainer):
        def __init__(self, cell, *rest):
            made.append((cell.steps, len(alive)))
            alive.add(self)
            super().__init__(cell, *rest)

    monkeypatch.setattr(session, "Trainer", Watched)
    results = Results(tmp_path, short, long).part().publish()
    assert made == [(80, 0), (20, 0)]
    fresh = Results(tmp_path / "fresh", short, long).part().publish()
    assert [results.read(i) for i in range(2)] == [fresh.read(i) for i in range(2)]


def test_finished_work_needs_neither_pytorch_nor_pyarrow(tmp_path):
    lone = cell(seed=2, schedule="cosine", cooldown_steps=0)
    results = Results(tmp_path, *three(), cell(seed=1), lone).part()
    (tmp_path / "trainings" / "part.json").unlink()  # finished by who kept no such record
    several = ["--processes", "2", "--nodes", "2", "--across", "none"]
    commands = [[*results.part_arguments(), *several], [*results.cell_arguments(), *several]]
    code = (
        "import sys; from pipeline.train import main\n"
        f"assert all(main(c) == 0 for c in {commands!r})\n"
        "assert not {'torch', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert results.read()[0]
    ledger = json.loads((tmp_path / "trainings" / "part.json").read_text())
    assert (ledger["cells"], ledger["cpu_seconds"]) == ([c.key for c in results.cells], 0)


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
    results = Results(tmp_path, *three()).part()
    make_corpus(tmp_path / "corpus", seed=9)
    results.part().publish()
    assert "discarding" in capsys.readouterr().err
    fresh = Results(tmp_path / "fresh")
    make_corpus(tmp_path / "fresh" / "corpus", seed=9)
    fresh = Results(tmp_path / "fresh", *three()).publish()
    assert [results.read(i) for i in range(3)] == [fresh.read(i) for i in range(3)]


@pytest.mark.parametrize("damage", ["truncate", "empty"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, capsys, damage):
    Results(tmp_path, *three()).part()
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
    results = Results(tmp_path, *cells).part().publish()
    for index in range(3):
        run = results.run(index)
        assert (run["status"], run["loss"], run["bits_per_byte"]) == ("diverged", None, None)
        assert results.read(index)[1] == []
    assert len(results.read(2)[0]) > 1


# --- several trainings in one process ---------------------------------------------------------


def mixed(**changes):
    """Two trunks of two cells and a lone one, each with dropout, which draws random numbers."""
    changes = {"dropout": 0.1, "evaluate": ("other-1",), **changes}
    trunks = [cell(steps=s, cooldown_steps=s // 5, seed=seed, **changes)
              for seed in (0, 1) for s in (20, 40)]  # fmt: skip
    return [*trunks, cell(schedule="cosine", cooldown_steps=0, seed=2, **changes)]


def test_trainings_of_one_process_are_as_each_by_itself(tmp_path):
    made = mixed()
    together = Results(tmp_path / "together", *made).part().publish()
    ledger = json.loads((tmp_path / "together/trainings/part.json").read_text())
    assert ledger["cells"] == [c.key for c in made]
    assert ledger["trainings"] == [made[0].trunk, made[2].trunk, made[4].state]
    assert ledger["cpu_seconds"] > 0
    alone = [Results(tmp_path / "alone", *own).part().publish()
             for own in (made[:2], made[2:4], made[4:])]  # fmt: skip
    tables = [results.read(index) for results in alone for index in range(len(results.cells))]
    assert [together.read(index) for index in range(5)] == tables


def test_a_part_that_is_stopped_goes_on_with_what_is_missing(tmp_path, capsys):
    made = [*three(), cell(steps=600, schedule="cosine", cooldown_steps=0, **LONG), cell(seed=3)]
    results = Results(tmp_path, *made)

    def interrupt():
        appears(results.state, f"cells/{made[3].state}/rolling.ckpt")
        os.kill(os.getpid(), signal.SIGTERM)

    interruption = threading.Thread(target=interrupt)
    interruption.start()
    assert main(results.part_arguments(seconds=1e-9)) == 128 + signal.SIGTERM
    interruption.join()
    assert not (tmp_path / "trainings").exists()
    assert not (results.state / "cells" / made[4].state).exists()
    said = capsys.readouterr().err
    assert [c.key in said for c in made] == [True, True, True, False, False]
    results.part()
    said = capsys.readouterr().err
    assert [c.key in said for c in made] == [False, False, False, True, True]
    assert "resuming from" in said
    results.publish()
    assert [results.run(i)["restarts"] for i in range(5)] == [0, 0, 0, 1, 0]
    fresh = Results(tmp_path / "fresh", *made).publish()
    assert [results.read(i) for i in range(5)] == [fresh.read(i) for i in range(5)]


def test_lone_cells_of_one_training_share_its_weights(tmp_path):
    """They differ in the texts that they are scored on alone."""
    plain = cell(steps=20, schedule="cosine", cooldown_steps=0)
    made = [plain, replace(plain, evaluate=("other-1",))]
    results = Results(tmp_path, *made).part().publish()
    assert len(list(results.state.glob("cells/*/done"))) == 1
    assert results.run(0)["loss"] == results.run(1)["loss"]


def test_branches_that_are_one_run_are_trained_once_and_scored_each(tmp_path, capsys):
    """One of them was finished before, another lacks its text, and a third its task."""
    first, second, third = (cell(steps=s, cooldown_steps=s // 5) for s in (20, 40, 80))
    Results(tmp_path, first).part()
    made = [replace(one, **more) for one in (first, second, third)
            for more in ({}, {"evaluate": ("other-1",)}, {"tasks": ("top1",)})]  # fmt: skip
    capsys.readouterr()
    results = Results(tmp_path, *made).part().publish()
    said = capsys.readouterr().err
    assert [said.count(f"{one.key}: finished, kept in") for one in (first, second, third)] == [
        0,
        1,
        1,
    ]
    assert len(list(results.state.glob("cells/*/done"))) == 3
    for index, one in enumerate(made):
        fresh = Results(tmp_path / f"fresh{index}", one).publish()
        assert results.read(index) == fresh.read()
        assert [row["corpus"] for row in fresh.read()[1]] == ["other"] * len(one.evaluate)


def test_a_signal_between_two_trainings_begins_none(tmp_path, monkeypatch):
    made = [cell(steps=20, seed=seed, schedule="cosine", cooldown_steps=0) for seed in range(2)]
    results, render = Results(tmp_path, *made), finished.render

    def signalled(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return render(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(finished, "render", signalled)
        assert main(results.part_arguments()) == 128 + signal.SIGTERM
    assert not (results.state / "cells" / made[1].state).exists()
    results.part().publish()
    assert [results.run(i)["restarts"] for i in range(2)] == [0, 0]


def test_a_training_that_fails_does_not_keep_the_next_from_its_turn(tmp_path, monkeypatch, capsys):
    made = [cell(steps=20, seed=seed, schedule="cosine", cooldown_steps=0) for seed in range(3)]
    results, advance = Results(tmp_path, *made), loop.Trainer.advance

    def out_of_memory(trainer, one, *arguments):
        if one.seed == 1:
            raise RuntimeError("out of memory\nby far")
        return advance(trainer, one, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "advance", out_of_memory)
        assert main(results.part_arguments()) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("error: out of memory\nby far\n")
    done = [(results.state / "cells" / c.state / "done").exists() for c in made]
    assert done == [True, False, True]
    results.part().publish()


def test_a_diverged_training_does_not_keep_the_next_from_its_turn(tmp_path):
    made = [*three(lr=1e30, lr_embedding=1e30), cell(seed=1)]
    results = Results(tmp_path, *made).part().publish()
    assert [results.run(i)["status"] for i in range(4)] == ["diverged"] * 3 + ["finished"]
    assert results.read(3) == Results(tmp_path / "fresh", made[3]).publish().read()


def test_refused_trainings_are_named_and_the_others_carried_out(tmp_path, capsys):
    made = [cell(steps=200, seed=1), cell(seed=2), cell(seed=3), cell(unique_tokens=9000)]
    results = Results(tmp_path, *made)
    with exclusive(results.state / "trunks" / str(made[1].trunk)):
        assert main(results.part_arguments()) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert [c.key in line for c, line in zip((made[0], made[3]), said)] == [True, True]
    assert f"process {os.getpid()} on" in said[2]
    assert len(said) == 3
    assert not (tmp_path / "trainings").exists()
    assert [(results.state / "cells" / c.state / "done").exists() for c in made] == [
        False, False, True, False,
    ]  # fmt: skip


def test_the_peak_of_memory_is_that_of_each_training(tmp_path):
    """A large model before does not count, but for what the process keeps of it."""
    large = cell(d_model=512, d_ff=2048, n_layer=8, steps=2, cooldown_steps=0, schedule="cosine")
    small = cell(schedule="cosine", cooldown_steps=0)
    results = Results(tmp_path, large, small).part().publish()
    assert results.run(1)["peak_memory"] < results.run(0)["peak_memory"] - 100 * 2**20


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


def test_two_processes_never_train_the_same(tmp_path, capsys):
    results = Results(tmp_path, *three())
    with exclusive(results.state / "trunks" / str(results.cells[0].trunk)):
        assert f"process {os.getpid()} on" in refusal(capsys, results.part_arguments())
    results.part()


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
    command = [sys.executable, "-m", "pipeline.train", *results.part_arguments(seconds=1e-9)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        appears(results.state, where)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "trainings").exists()
    results.part().publish()
    assert "resuming from" in capsys.readouterr().err
    fresh = Results(tmp_path / "fresh", *cells).part().publish()
    assert [results.read(i) for i in range(2)] == [fresh.read(i) for i in range(2)]
    assert [results.run(i)["restarts"] for i in range(2)] == [1, where.startswith("trunks")]
    assert not list(results.state.glob("**/.*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP])
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


def test_a_training_stops_when_the_process_it_belongs_to_has_ended(tmp_path, capsys, monkeypatch):
    results = Results(tmp_path, cell(steps=600, schedule="cosine", cooldown_steps=0, **LONG))
    monkeypatch.setattr("pipeline.training.interruption.POLL_SECONDS", 0)
    with subprocess.Popen(["sleep", "600"]) as owner:
        monkeypatch.setenv("JOB_PARENT", str(owner.pid))

        def end():
            appears(results.state, "cells/*/rolling.ckpt")
            owner.kill()  # and nobody asks for its status: a zombie keeps its number

        ending = threading.Thread(target=end)
        ending.start()
        assert main(results.cell_arguments(seconds=1e-9)) == 128 + signal.SIGHUP
        ending.join()
    assert (
        "stopped as the process or terminal that started it has ended; run"
        in capsys.readouterr().err
    )
    monkeypatch.delenv("JOB_PARENT")
    run = results.publish().run()
    assert (run["status"], run["interruptions"], run["lost_seconds"]) == ("finished", "SIGHUP", 0)
