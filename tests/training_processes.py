"""What each of several processes checks of their common work; started by test_training_processes.

RANK=... WORLD_SIZE=3 MASTER_ADDR=... MASTER_PORT=... python training_processes.py FOLDER
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_data import cell, chain, make_corpus

from pipeline.cells import Cell
from pipeline.training import finished, memory
from pipeline.training.data import Batches, TokenStream
from pipeline.training.evaluation import evaluate
from pipeline.training.inputs import InputError, read_corpus
from pipeline.training.learner import Learner
from pipeline.training.loop import Machine, Trainer
from pipeline.training.memory import Passes, choose
from pipeline.training.parallel import DataParallel
from pipeline.training.processes import Processes
from pipeline.training.session import train
from pipeline.training.sharded import Sharded
from pipeline.training.team import Alone, Ended

CPU = torch.device("cpu")


def losses(one: Learner, made: Cell, team: Alone, steps: range) -> list[tuple[float, float]]:
    """Loss and gradient norm of each step."""
    rows = team.part(made.batch_tokens // made.context)
    batches = Batches(TokenStream((chain(20_000, 0),)), made, CPU, rows)
    return [(one.step(*batches(s), 1.0, s).item(), one.norm.item()) for s in steps]


def check_updates(team: Processes, kind: type, made: Cell, passes: Passes | None = None) -> None:
    """The first steps are those of one process, and so are parameters and moments after them."""
    alone = Learner(made, CPU, "fp32")
    expected = losses(alone, made, Alone(), range(6))
    ours = kind(made, CPU, "fp32", team, passes)
    for found, wanted in zip(losses(ours, made, team, range(6)), expected):
        assert found == pytest.approx(wanted, rel=3e-6)
    arrays = ours.arrays()
    assert bool(arrays) == team.first
    for found, wanted in zip(arrays, alone.arrays()):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-6)


def check_resuming(team: Processes, made: Cell) -> None:
    """What one form of learner saves, the others go on from, bit for bit as it would itself."""
    makers = {
        "alone": lambda: Learner(made, CPU, "fp32"),
        "parallel": lambda: DataParallel(made, CPU, "fp32", team),
        "sharded": lambda: Sharded(made, CPU, "fp32", team),
    }
    for source, make_source in makers.items():
        if source == "alone" and not team.first:
            arrays = []
        else:
            first = make_source()
            losses(first, made, Alone() if source == "alone" else team, range(3))
            arrays = first.arrays()
        for target in ("parallel", "sharded"):
            second = makers[target]()
            second.load(arrays, 3)
            for found, wanted in zip(second.arrays(), arrays):
                assert torch.equal(found, wanted)
            if source == target:
                again = losses(second, made, team, range(3, 6))
                assert again == losses(first, made, team, range(3, 6))


def check_noise(team: Processes, made: Cell) -> None:
    """Each process's rows are a part of the batch; what they tell together all know."""
    made = replace(made, noise_every=2)
    ours, shared = DataParallel(made, CPU, "fp32", team), Sharded(made, CPU, "fp32", team)
    losses(ours, made, team, range(1))
    losses(shared, made, team, range(1))
    assert shared.noise is None
    # The same by hand: the gradient of each process's rows alone, and of all.
    alone, batches = Learner(made, CPU, "fp32"), Batches(
        TokenStream((chain(20_000, 0),)), made, CPU)  # fmt: skip
    tokens, targets = batches(0)
    alone.backward(tokens, targets)
    whole, parts = alone.gradient.double().clone(), []
    rows = [r for r in team.gathered(team.part(len(tokens))) if r]
    for part in rows:
        alone.backward(tokens[part.start : part.stop], targets[part.start : part.stop])
        parts.append((alone.gradient.double() - whole).square().sum() * len(part) / len(tokens))
    variance = sum(parts) * made.batch_tokens / (len(rows) - 1)
    squared = whole.square().sum() - variance / made.batch_tokens
    assert ours.noise is not None
    torch.testing.assert_close(ours.noise, torch.stack([squared, variance]), rtol=1e-4, atol=1e-6)
    losses(ours, made, team, range(1, 2))
    assert ours.noise is None


def check_adafactor(team: Processes, made: Cell, folder: Path) -> None:
    """Processes that each hold the whole model can take it; those that share one out cannot."""
    made = replace(made, optimizer="adafactor", lr=0.05)
    alone, ours = Learner(made, CPU, "fp32"), DataParallel(made, CPU, "fp32", team)
    expected = losses(alone, made, Alone(), range(6))
    for found, wanted in zip(losses(ours, made, team, range(6)), expected):
        assert found == pytest.approx(wanted, rel=1e-5)
    again = DataParallel(made, CPU, "fp32", team)
    again.load(ours.arrays(), 6)
    assert losses(again, made, team, range(6, 9)) == losses(ours, made, team, range(6, 9))
    corpus = read_corpus(folder / "corpus" / "manifest.parquet")
    machine = Machine("cpu", shard="always", team=team, log=lambda _: None)
    with pytest.raises(InputError if team.first else Ended, match="adafactor needs whole matrices"):
        Trainer(made, corpus, machine)


def check_bf16(team: Processes, kind: type) -> None:
    """In bf16 the curve is that of one process within what bf16 rounds off."""
    made = cell(precision="bf16")
    expected = losses(Learner(made, CPU, "bf16"), made, Alone(), range(20))
    found = losses(kind(made, CPU, "bf16", team), made, team, range(20))
    assert found[0][0] == pytest.approx(expected[0][0], rel=1e-3)
    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in expected], rel=0.02)


def check_evaluation(team: Processes, kind: type) -> None:
    """Splits whose windows and documents are cut anywhere give the numbers of one process."""
    made = cell()
    ours, alone = kind(made, CPU, "fp32", team), Learner(made, CPU, "fp32")
    ids = chain(500, 1)
    for length, end in ((500, 3), (500, None), (20, 3), (17, 3), (10, 3), (2, None)):
        stream = TokenStream((ids[:length],), end)
        found = evaluate(ours, stream, made.context, team)
        wanted = evaluate(alone, stream, made.context)
        assert (found.tokens, len(found.by_position)) == (wanted.tokens, len(wanted.by_position))
        assert found.loss == pytest.approx(wanted.loss, rel=1e-6)
        assert found.se == pytest.approx(wanted.se, rel=1e-4, nan_ok=True)
        assert found.by_position == pytest.approx(wanted.by_position, rel=1e-6)


def check_decisions(team: Processes) -> None:
    """The first process decides; its errors end the work of all; signals of any reach all."""
    assert team.told(lambda: f"by {team.rank}") == "by 0"
    assert team.gathered(team.rank) == list(range(team.size))

    def fail() -> None:
        raise InputError("no")

    with pytest.raises(InputError if team.first else Ended, match="no"):
        team.told(fail)
    assert team.agreed
    asked = [team.stopping(s, 12 if team.rank == 1 and s > 40 else None) for s in range(1, 120)]
    seen = team.gathered(asked)
    assert seen == [asked] * team.size
    assert set(asked) == {None, 12}
    assert asked.index(12) in range(40, 40 + 33)


def check_runs(team: Processes, folder: Path) -> None:
    """Whole trainings, from trunk to scores, end as those of one process do."""
    made = [cell(steps=s, cooldown_steps=s // 5, evaluate=("other-1",)) for s in (20, 40)]
    corpus = read_corpus(folder / "corpus" / "manifest.parquet")
    texts = {"other-1": read_corpus(folder / "corpus/evaluation/other-1/manifest.parquet")}
    found = {}
    for name, shard, members in (("alone", "never", Alone()), ("parallel", "never", team),
                                 ("sharded", "always", team)):  # fmt: skip
        state = folder / name
        if team.first or members is team:
            machine = Machine("cpu", shard=shard, team=members, log=lambda _: None)
            # The longer run is there without its scores when both are asked for.
            train([replace(made[1], evaluate=())], corpus, {}, state, machine)
            train(made, corpus, texts, state, machine)
        done = [finished.Finished(finished.place(state, one) / "done") for one in made]
        if team.first:
            found[name] = [(d.training(), d.evaluation(texts["other-1"])) for d in done]
    for name in ("parallel", "sharded") if team.first else ():
        for (ours, score), (alone, wanted) in zip(found[name], found["alone"]):
            assert ours["run"]["status"] == "finished"
            for key in ("loss", "loss_se", "bits_per_byte"):
                assert ours["run"][key] == pytest.approx(alone["run"][key], rel=1e-5)
            for key in ("loss", "loss_se", "bits_per_byte", "tokens"):
                assert score[key] == pytest.approx(wanted[key], rel=1e-5)
            assert len(ours["curve"]) == len(alone["curve"])
            for row, other in zip(ours["curve"], alone["curve"]):
                assert [row[k] for k in ("step", "tokens", "lr")] == [
                    other[k] for k in ("step", "tokens", "lr")]  # fmt: skip
                for key in ("train_loss", "val_loss", "val_loss_se", "grad_norm"):
                    assert row[key] == pytest.approx(other[key], rel=1e-5)


def check_early_stopping(team: Processes, folder: Path) -> None:
    """All end at the same step, and keep the model of the best one."""
    made = cell(schedule="constant", cooldown_steps=0, unique_tokens=160, steps=60, lr=0.02,
                patience=1, evaluate_every=5, evaluate=("other-1",))  # fmt: skip
    corpus = read_corpus(folder / "corpus" / "manifest.parquet")
    texts = {"other-1": read_corpus(folder / "corpus/evaluation/other-1/manifest.parquet")}
    found = {}
    for shard, members in (("alone", Alone()), ("never", team), ("always", team)):
        state = folder / f"stopped-{shard}"
        if team.first or members is team:
            kind = "never" if shard == "alone" else shard
            machine = Machine("cpu", shard=kind, team=members, log=lambda _: None)
            train([made], corpus, texts, state, machine)
        done = finished.Finished(finished.place(state, made) / "done")
        if team.first:
            found[shard] = {**done.training()["run"], "score": done.evaluation(texts["other-1"])}
    for shard in ("never", "always") if team.first else ():
        for key in ("best_step", "steps"):
            assert found[shard][key] == found["alone"][key] < made.steps
        assert found[shard]["loss"] == pytest.approx(found["alone"]["loss"], rel=1e-4)
        score, wanted = found[shard]["score"], found["alone"]["score"]
        assert score["loss"] == pytest.approx(wanted["loss"], rel=1e-4)


def check_choice(team: Processes, folder: Path) -> None:
    """By itself a model is shared out where the smallest GPU cannot hold it otherwise."""
    corpus = read_corpus(folder / "corpus" / "manifest.parquet")
    made = cell()
    whole = choose(made, "fp32", "cpu", None)
    needed = memory.needed_bytes(made, "fp32", "cpu", whole, team.size)
    window = replace(whole, tokens=made.context, recomputed=True)
    least = memory.needed_bytes(made, "fp32", "cpu", window, team.size)
    # Where one process has too little, all do as it must.
    rooms = [(None, DataParallel, False), (needed, DataParallel, False),
             (needed - 1 + team.rank, DataParallel, True),
             (least - 1 + team.rank, Sharded, True)]  # fmt: skip
    measured, device_bytes = [], memory.device_bytes
    for room, kind, recomputed in rooms:
        memory.device_bytes = lambda _, room=room: room
        machine = Machine("cpu", team=team, log=lambda _: None)
        learner = Trainer(made, corpus, machine).learner
        assert (type(learner), learner.module.recomputed) == (kind, recomputed)
        measured.append(losses(learner, made, team, range(3)))
    memory.device_bytes = device_bytes
    assert measured[0] == measured[1] == measured[2]
    for found, expected in zip(measured[3], measured[0]):
        assert found == pytest.approx(expected, rel=3e-6)


def check_all(folder: Path) -> None:
    team = Processes("cpu")
    check_decisions(team)
    uneven = cell(clip=0.3, weight_decay=0.1)  # 4 rows for 3 processes
    scarce = cell(batch_tokens=32, clip=0.0)  # 2 rows: one process has none
    others = [cell(family="lstm", d_ff=0, n_head=0, clip=0.3), cell(family="recurrent", reuse=2)]
    for kind in (DataParallel, Sharded):
        for made in (uneven, *others):
            check_updates(team, kind, made)
        check_updates(team, kind, scarce)
        check_evaluation(team, kind)
        check_bf16(team, kind)
    check_resuming(team, cell(dropout=0.2))
    for kind in (DataParallel, Sharded):
        # A window at a time: 2, 1 and 1 pieces.
        check_updates(team, kind, uneven, Passes(16, 4096))
        for made in (uneven, *others):
            check_updates(team, kind, made, Passes(16, 4096, recomputed=True))
    if team.first:
        make_corpus(folder / "corpus")
    team.told(lambda: None)
    check_runs(team, folder)
    check_early_stopping(team, folder)
    check_noise(team, uneven)
    check_noise(team, scarce)
    check_adafactor(team, uneven, folder)
    check_choice(team, folder)
    assert not math.isnan(team.gathered(0.0)[0])
    team.close()


if __name__ == "__main__":
    torch.set_num_threads(1)
    check_all(Path(sys.argv[1]))
    print(json.dumps("checked"))
