"""When layers are compiled, what they are held to, and that they compute the same.

The decision is for GPUs; a program is made here on the CPU, by the same functions.
"""

import math
import os
import shutil
from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters
from training_data import Results, cell, chain, make_corpus

from pipeline.training import compiled
from pipeline.training.compiled import (
    COMPILE_SECONDS,
    GAIN,
    Compiler,
    Pass,
    is_possible,
    pays,
    refusal,
)
from pipeline.training.data import Batches, TokenStream
from pipeline.training.evaluation import evaluate
from pipeline.training.inputs import read_corpus
from pipeline.training.learner import Learner
from pipeline.training.loop import Machine, Trainer
from pipeline.training.memory import Passes

CPU = torch.device("cpu")
LSTM = {"family": "lstm", "d_ff": 0, "n_head": 0}


def learner(passes=None, **changes):
    return Learner(cell(**changes), CPU, "fp32", passes=passes)


def batches(made):
    return Batches(TokenStream((chain(20_000, 0),)), made, CPU)


def on_gpu(one):
    one.device = torch.device("cuda")
    return one


def test_it_is_for_layers_on_a_gpu_that_nothing_else_hooks_into():
    assert not is_possible(learner())
    assert is_possible(on_gpu(learner()))
    assert is_possible(on_gpu(learner(family="recurrent", reuse=2)))
    assert not is_possible(on_gpu(learner(dropout=0.1)))
    assert not is_possible(on_gpu(learner(**LSTM)))
    assert not is_possible(on_gpu(learner(Passes(16, 16, recomputed=True))))
    shared = on_gpu(learner())
    shared.sharded = True
    assert not is_possible(shared)


def test_it_pays_where_what_is_left_is_long():
    one = learner(Passes(32, 32))
    # Two layers, two passes of the four windows each: bound by the starts of kernels.
    step = 2 * 2 * compiled.KERNELS * compiled.LAUNCH_SECONDS
    enough = math.ceil(COMPILE_SECONDS / (1 - 1 / GAIN) / step)
    assert pays(one, 4, enough + 1)
    assert not pays(one, 4, enough - 1)
    # A large model: 6 N and the head for each token, bound by arithmetic.
    one.cell = replace(one.cell, d_model=4096, d_ff=16384, n_head=32)
    step = 64 * 6 * (2 * 12 * 4096**2 + 32 * 4096) / compiled.RATES["fp32"]
    enough = math.ceil(COMPILE_SECONDS / (1 - 1 / GAIN) / step)
    assert pays(one, 4, enough + 1)
    assert not pays(one, 4, int(0.95 * enough))  # attention's products come on top


def test_layers_that_differ_or_are_no_faster_are_refused():
    plain = Pass(torch.tensor(3.0), torch.tensor([1.0, 0.1]), 0.02)
    good = replace(plain, seconds=0.01)
    assert refusal(plain, good, 1e-4) is None
    assert (
        refusal(plain, plain, 1e-4) == "compiled ones take 20.00 ms a pass, these 20.00 ms a pass"
    )
    for worse in (
        replace(good, loss=torch.tensor(3.001)),
        replace(good, norms=torch.tensor([1.0, 0.102])),
        replace(good, norms=torch.tensor([1.0, math.nan])),
    ):
        assert refusal(plain, worse, 1e-4).startswith("compiled ones differ in the ")


def test_where_compiling_fails_training_goes_on_without_it(monkeypatch, tmp_path):
    def fail(*_):
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(compiled.CompiledLayers, "__call__", fail)
    monkeypatch.setattr(compiled, "is_possible", lambda _: True)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    made, lines = cell(), []
    one, other = learner(), learner()
    compiler = Compiler(lines.append)
    for _ in range(2):  # refused once, not tried again
        compiler.consider(one, batches(made), 10**9)
    assert lines == [f"{made.key}: layers as they are: compiling failed: no compiler"]
    for step in range(2):
        losses = [each.step(*batches(made)(step), 1.0, step) for each in (one, other)]
        assert torch.equal(*losses)


def test_a_training_asks_with_the_steps_it_has_left(monkeypatch, tmp_path):
    made, asked, started = cell(), [], []
    monkeypatch.setattr(compiled, "is_possible", lambda _: True)
    monkeypatch.setattr(
        compiled, "pays", lambda _, rows, steps: asked.append((rows, steps)) or True
    )
    monkeypatch.setattr(Compiler, "start", lambda _, *given: started.append(given))
    trainer = Trainer(made, read_corpus(make_corpus(tmp_path)), Machine("cpu", log=lambda _: None))
    for until in (4, 40):
        trainer.advance(made, until, tmp_path / "rolling.ckpt", made.state)
    assert asked == [(4, 40), (4, 36)]
    assert started[0][0] is trainer.learner
    assert started[0][1].shape == (4, 16)


def test_programs_are_kept_in_the_state_folder_unless_another_is_named(monkeypatch, tmp_path):
    results = Results(tmp_path, cell())
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    results.publish()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    Results(tmp_path / "other", cell()).publish()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "other" / "state" / "compiled")


@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("c++")), reason="compiling needs a C++ compiler"
)
def test_compiled_layers_train_as_they_are(monkeypatch, tmp_path):
    """One program for all layers and all full passes; the smaller last pass needs none."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    # Whether it is faster at this size on this machine is not what is asked.
    monkeypatch.setattr(
        compiled, "refusal", lambda a, b, tolerance: refusal(a, replace(b, seconds=0.0), tolerance)
    )
    counters.clear()
    made, lines = cell(n_layer=3, noise_every=2), []
    plain, fast = (learner(Passes(48, 48), n_layer=3, noise_every=2) for _ in range(2))
    before = fast.master.clone()
    Compiler(lines.append).start(fast, *batches(made)(0))
    assert lines[0].startswith(f"{made.key}: layers compiled in ")
    assert torch.equal(fast.master, before)
    assert any(tmp_path.rglob("*.so"))
    for step in range(6):
        losses = [one.step(*batches(made)(step), 1.0, step) for one in (plain, fast)]
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=0)
        apart = torch.linalg.vector_norm(fast.gradient - plain.gradient)
        assert apart < 1e-5 * torch.linalg.vector_norm(plain.gradient)
    stream = TokenStream((chain(500, 1),))
    plain.load(fast.arrays(), 6)
    assert evaluate(fast, stream, 16) == evaluate(plain, stream, 16)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
