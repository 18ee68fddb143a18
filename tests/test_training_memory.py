"""Estimates of memory against what PyTorch holds, and what is made of them."""

import weakref
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training_data import VOCAB, cell, chain, make_corpus

from pipeline.models import operations
from pipeline.training import memory
from pipeline.training.data import Batches, TokenStream
from pipeline.training.inputs import read_corpus
from pipeline.training.learner import Learner
from pipeline.training.loop import Machine, Trainer
from pipeline.training.memory import Passes, choose, needed_bytes

CPU = torch.device("cpu")
GIB = 2**30
FAMILIES = {
    "transformer": {},
    "lstm": {"family": "lstm", "d_ff": 0, "n_head": 0},
    "recurrent": {"family": "recurrent", "reuse": 2},
}
SHAPES = {
    "narrow": cell(n_layer=4, d_model=64, d_ff=256, context=32, batch_tokens=512, vocab_size=512),
    "long": cell(d_model=64, d_ff=256, n_head=4, context=256, batch_tokens=512, vocab_size=512),
    "wide": cell(d_model=96, d_ff=384, n_head=3, context=64, batch_tokens=512),
    "words": cell(d_model=64, d_ff=256, n_head=2, context=64, batch_tokens=512, vocab_size=4096),
}
# As GPT-2 (Radford et al. 2019).
LARGE = cell(n_layer=12, d_model=768, d_ff=3072, n_head=12, context=1024, vocab_size=50257,
             batch_tokens=2**19)  # fmt: skip


# --- estimates --------------------------------------------------------------------------------


def saved_bytes(learner, tokens):
    """Bytes of all tensors that a forward pass saves, weights and tokens apart."""
    own = {t.untyped_storage()._cdata for t in (learner.working, tokens)}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            found[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = learner.module(tokens, tokens)
    assert loss.requires_grad
    return sum(found.values())


class Peak(TorchDispatchMode):
    """The most bytes alive at once in storages that operations make."""

    def __init__(self, known):
        super().__init__()
        self.alive = self.most = 0
        self.seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.note(tensor.untyped_storage())
        self.most = max(self.most, self.alive)
        return out

    def note(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key not in self.seen:
            self.seen.add(key)
            self.alive += size
            weakref.finalize(storage, self.drop, key, size)

    def drop(self, key, size):
        self.seen.discard(key)
        self.alive -= size


@pytest.mark.parametrize("recomputed", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_estimates_are_what_a_step_holds(monkeypatch, family, shape, precision, recomputed):
    monkeypatch.setitem(operations.LOGITS, "cpu", 2**20)  # of words four chunks
    made = replace(SHAPES[shape], **FAMILIES[family])
    passes = Passes(made.batch_tokens, made.batch_tokens, recomputed)
    learner = Learner(made, CPU, precision, passes=passes)
    tokens = torch.randint(made.vocab_size, (made.batch_tokens // made.context, made.context))
    kept = memory.kept_bytes(made, precision, "cpu", made.batch_tokens, recomputed)
    assert 0.95 < kept / saved_bytes(learner, tokens) < 1.05
    held = [learner.master, learner.sums, *learner.state]
    held += [learner.working] if precision == "bf16" else []
    with Peak((*held, learner.working, tokens)) as peak:
        learner.backward(tokens, tokens)
    most = peak.most + sum(tensor.nbytes for tensor in held)
    assert 0.99 < needed_bytes(made, precision, "cpu", passes) / most < 1.35


def test_a_gpu_holds_no_probabilities_and_large_chunks_of_logits():
    one = replace(LARGE, batch_tokens=2**16)
    fixed = memory.fixed_bytes(one, "bf16")
    passes = Passes(2**16, 2**16)
    kept = memory.kept_bytes(one, "bf16", "cuda", 2**16, False)
    assert needed_bytes(one, "bf16", "cuda", passes) > fixed + kept + 2 * GIB
    longer = replace(one, context=2048)
    assert memory.kept_bytes(longer, "bf16", "cuda", 2**16, False) == kept
    assert memory.kept_bytes(longer, "bf16", "cpu", 2**16, False) > memory.kept_bytes(
        one, "bf16", "cpu", 2**16, False)  # fmt: skip


def test_parameters_count_as_master_moments_and_gradients():
    # GPT-3 175B (Brown et al. 2020): 175e9 parameters; a pass of one window is little beside them.
    large = cell(n_layer=96, d_model=12288, d_ff=4 * 12288, n_head=96, context=2048,
                 vocab_size=50257, batch_tokens=2048)  # fmt: skip
    one = Passes(2048, 2048, recomputed=True)
    assert needed_bytes(large, "bf16", "cuda", one) == pytest.approx(20 * 174.6e9, rel=0.01)
    assert needed_bytes(large, "fp32", "cuda", one) == pytest.approx(20 * 174.6e9, rel=0.02)
    adafactor = replace(large, optimizer="adafactor")
    assert memory.fixed_bytes(adafactor, "bf16") == pytest.approx(12 * 174.6e9, rel=0.01)
    # Shared out between 64, a 64th of it, and embeddings and two layers whole.
    assert memory.fixed_bytes(large, "bf16", 64) == pytest.approx(
        20 * 174.6e9 / 64 + 8 * (643e6 + 2 * 174e9 / 96), rel=0.01)  # fmt: skip


# --- what is chosen ---------------------------------------------------------------------------


def test_where_nothing_is_known_of_memory_nothing_is_decided_by_it():
    huge = replace(LARGE, n_layer=96, d_model=12288, d_ff=49152)
    for processes in (1, 8):
        found = choose(huge, "fp32", "cpu", None, processes)
        assert (found.tokens, found.scored) == (4096, 2**26 // 50257)
        assert (found.recomputed, found.sharded) == (False, False)
        assert memory.told(huge, found, "cpu", processes) is None
    assert choose(huge, "bf16", "cuda", None).tokens == 65536
    assert choose(huge, "bf16", "cuda", None, 8, "always").sharded
    assert not choose(huge, "bf16", "cuda", None, 1, "always").sharded


@pytest.mark.parametrize("processes", [1, 8])
def test_less_memory_means_fewer_tokens_then_recomputation_then_sharing_out(processes):
    found = [choose(LARGE, "bf16", "cuda", int(room * GIB), processes)
             for room in (80, 40, 20, 10, 8, 7, 6, 5, 4.5, 4, 3.5, 3, 2.5, 2, 1)]  # fmt: skip
    kinds = [(one.sharded, one.recomputed) for one in found]
    assert kinds == sorted(kinds)
    assert (found[0].tokens, found[0].recomputed) == (65536, False)
    for kind in set(kinds):
        tokens = [one.tokens for one in found if (one.sharded, one.recomputed) == kind]
        assert tokens == sorted(tokens, reverse=True)
    kept = [one.tokens for one in found if not one.recomputed]
    assert min(kept) == memory.BUSY_TOKENS
    assert len({kind for kind in kinds if not kind[0]}) == 2
    assert any(one.sharded for one in found) == (processes > 1)
    for one in found[:-1]:
        assert one.needed == needed_bytes(LARGE, "bf16", "cuda", one, processes)
    fits = [one.needed <= one.usable for one in found]
    assert fits == sorted(fits, reverse=True)
    assert (found[-1].tokens, found[-1].recomputed) == (1024, True)
    assert not fits[-1]
    assert found[-1].sharded == (processes > 1)


def test_what_is_asked_for_decides_over_sharing_out():
    for shard, expected in (("always", True), ("never", False)):
        found = {choose(LARGE, "bf16", "cuda", room * GIB, 8, shard).sharded for room in (80, 2, 1)}
        assert found == {expected}


def test_a_batch_smaller_than_a_pass_is_what_counts():
    small = replace(LARGE, batch_tokens=8 * 1024)
    room = needed_bytes(small, "bf16", "cuda", Passes(8192, 8192))
    assert choose(small, "bf16", "cuda", room).tokens == 65536
    less = choose(small, "bf16", "cuda", room - 1)
    assert (less.tokens, less.recomputed) == (4096, False)
    # Of eight processes each has one window.
    assert choose(small, "bf16", "cuda", less.needed - 1, 8).tokens == 65536


def test_a_window_longer_than_a_pass_goes_through_alone():
    long = replace(LARGE, context=2**17, batch_tokens=2**18)
    for room in (1000, 20, 1):
        found = choose(long, "bf16", "cuda", room * GIB)
        assert found.rows(long.context) == 1
        assert found.recomputed == (room < 1000)


def test_passes_without_gradients_fit_as_well():
    """A wide model with few words: its logits are small, its layers are not."""
    wide = replace(LARGE, d_model=8192, d_ff=32768, vocab_size=512, n_layer=2, batch_tokens=1024)
    room = needed_bytes(wide, "bf16", "cuda", Passes(65536, 65536))
    found = choose(wide, "bf16", "cuda", room)
    assert found.tokens == 65536
    assert 1024 <= found.scored < 65536
    assert choose(wide, "bf16", "cuda", 4 * room).scored == 65536
    assert choose(LARGE, "bf16", "cuda", 80 * GIB).scored == 2**30 // 50257


def test_the_log_says_what_differs_and_what_may_not_fit():
    roomy = choose(LARGE, "bf16", "cuda", 80 * GIB)
    assert memory.told(LARGE, roomy, "cuda", 1) is None
    tight = choose(LARGE, "bf16", "cuda", 5 * GIB)
    line = memory.told(LARGE, tight, "cuda", 1)
    assert line.startswith(f"{LARGE.key}: {tight.tokens} tokens in a pass")
    assert line.endswith(" of 5.00 GiB")
    none = choose(LARGE, "bf16", "cuda", GIB, 8)
    line = memory.told(LARGE, none, "cuda", 8)
    assert "shared out between 8 processes, 1024 tokens in a pass, activations" in line
    assert line.endswith("it may run out of memory; train it on more GPUs")


# --- and what it computes ---------------------------------------------------------------------


def batches(made):
    return Batches(TokenStream((chain(20_000, 0),)), made, CPU)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_recomputation_changes_no_bit(family, dropout, precision):
    made = cell(dropout=dropout, noise_every=2, **FAMILIES[family])
    found = []
    for recomputed in (False, True):
        # Three of the four windows, then the last.
        learner = Learner(made, CPU, precision, passes=Passes(48, 48, recomputed))
        assert learner.module.recomputed == recomputed
        losses, stream = [], batches(made)
        for step in range(4):
            losses.append(learner.step(*stream(step), 1.0, step))
            losses += [] if learner.noise is None else [*learner.noise]
        found.append((torch.stack(losses), learner.gradient, learner.master))
    for kept, recomputed in zip(*found):
        assert torch.equal(kept, recomputed)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tokens", [1, 16, 32, 48, 64])
def test_the_mean_gradient_is_that_of_one_pass(family, tokens):
    made = cell(**FAMILIES[family])
    whole = Learner(made, CPU, "fp32")
    loss = whole.backward(*batches(made)(0))
    parts = Learner(made, CPU, "fp32", passes=Passes(tokens, tokens))
    torch.testing.assert_close(parts.backward(*batches(made)(0)), loss, rtol=1e-6, atol=0)
    apart = torch.linalg.vector_norm(parts.gradient - whole.gradient)
    assert apart < 1e-6 * torch.linalg.vector_norm(whole.gradient)


def test_a_training_with_little_memory_is_the_same(tmp_path, monkeypatch):
    """On the CPU a limit has to be handed in; recomputation is what it leads to here."""
    corpus, lines, losses = read_corpus(make_corpus(tmp_path)), [], []
    made = cell(dropout=0.1)
    room = needed_bytes(made, "fp32", "cpu", choose(made, "fp32", "cpu", None)) - 1
    for usable in (None, room):
        monkeypatch.setattr(memory, "device_bytes", lambda _, usable=usable: usable)
        trainer = Trainer(made, corpus, Machine("cpu", log=lines.append))
        trainer.advance(made, 20, tmp_path / "rolling.ckpt", made.state)
        assert trainer.learner.module.recomputed == (usable is not None)
        losses.append([row["val_loss"] for row in trainer.progress.rows])
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.9 * torch.tensor(VOCAB).log()
    assert len(lines) == 1
    assert "activations computed anew in the backward pass" in lines[0]
