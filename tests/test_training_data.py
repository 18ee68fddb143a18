"""Windows against plain slicing, and the order of training as a function of (seed, step)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_data import cell, make_corpus, write_corpus

from pipeline.corpus import bpe, encode, synthetic
from pipeline.training.data import Batches, TokenStream, end_of_text, open_split
from pipeline.training.evaluation import DocumentLosses
from pipeline.training.inputs import InputError

CPU = torch.device("cpu")


def stream(*lengths):
    ids = np.arange(sum(lengths), dtype=np.uint16)
    return TokenStream(tuple(np.split(ids, np.cumsum(lengths)[:-1])))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_windows_cross_shards_as_if_there_were_one(lengths, data):
    total = sum(lengths)
    length = data.draw(st.integers(1, total))
    starts = data.draw(st.lists(st.integers(0, total - length), min_size=1, max_size=4))
    expected = [list(range(start, start + length)) for start in starts]
    assert stream(*lengths).windows(starts, length).tolist() == expected


def test_the_end_of_text_is_that_of_the_corpus_tokenizer(tmp_path):
    manifest = tmp_path / "manifest.parquet"
    assert end_of_text(manifest) is None
    path = str(tmp_path / "tokenizer.json")
    synthetic.tokenizer(7).save(path)
    assert end_of_text(manifest) is None
    bpe.trained(["a rose is a rose is a rose and others are not" * 9], 262).save(path)
    assert end_of_text(manifest) == 261


def test_documents_of_a_built_corpus_are_told_by_their_end(tmp_path):
    tokenizer = bpe.trained(["a rose is a rose is a rose and others are not" * 9], 262)
    texts = [("validation", text) for text in (b"a rose is a rose", b"and", b"others are not")]
    [piece] = encode.encoded(texts, tokenizer, encode.encoder(tokenizer), 1)
    losses = DocumentLosses(bpe.end_of_text(tokenizer))
    losses.add(piece.tokens[:-1], np.ones(len(piece.tokens) - 1))
    lengths = [len(tokenizer.encode(text.decode()).ids) + 1 for _, text in texts]
    assert losses.counts == [lengths[0] - 1, *lengths[1:]]


def starts_of(batches, steps):
    return [int(first) for step in steps for first in batches(step)[0][:, 0]]


def test_an_epoch_visits_every_window_once_and_the_next_in_another_order():
    # 1000 tokens are 62 windows of 16 and a rest; four windows a step.
    batches = Batches(stream(300, 700), cell(), CPU)
    seen = starts_of(batches, range(31))
    assert sorted(seen[:62]) == [16 * k for k in range(62)]
    assert sorted(seen[62:124]) == [16 * k for k in range(62)]
    assert seen[:62] != sorted(seen[:62])
    assert seen[:62] != seen[62:124]


def test_targets_are_the_tokens_one_further():
    tokens, targets = Batches(stream(1000), cell(), CPU)(3)
    assert tokens.shape == (4, 16)
    assert torch.equal(targets, tokens + 1)


def test_a_batch_depends_on_seed_and_step_alone():
    one, other = Batches(stream(9000), cell(), CPU), Batches(stream(9000), cell(steps=90), CPU)
    forwards = [one(step)[0] for step in range(100)]
    for step in (99, 3, 64, 63):
        assert torch.equal(other(step)[0], forwards[step])
    reseeded = Batches(stream(9000), cell(seed=1), CPU)
    assert not torch.equal(reseeded(0)[0], forwards[0])


def test_unique_tokens_stay_within_the_pool():
    batches = Batches(stream(9000), cell(unique_tokens=200), CPU)
    assert set(starts_of(batches, range(20))) == {16 * k for k in range(12)}


def test_datasets_are_nested_prefixes_gone_through_anew_in_each_epoch():
    small, large = (
        Batches(stream(9000), cell(unique_tokens=n), CPU) for n in (16 * 8 + 1, 16 * 40 + 1)
    )
    # Eight windows are two steps of four, forty are ten.
    epochs = [starts_of(small, range(2 * e, 2 * e + 2)) for e in range(30)]
    assert all(sorted(epoch) == [16 * k for k in range(8)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 25
    assert set(epochs[0]) < set(starts_of(large, range(10))) == {16 * k for k in range(40)}


def test_splits_are_read_as_written(tmp_path):
    manifest = make_corpus(tmp_path)
    assert len(open_split(manifest, "train")) == 8000
    assert len(open_split(manifest, "train").shards) == 2
    assert len(open_split(manifest, "validation")) == 500


@pytest.mark.parametrize("damage", ["missing", "truncated", "no manifest", "manifest cut short"])
def test_a_damaged_corpus_is_refused_by_name(tmp_path, damage):
    manifest = make_corpus(tmp_path)
    shard = tmp_path / "train-00001.bin"
    named = shard if damage in ("missing", "truncated") else manifest
    if damage == "missing":
        shard.unlink()
    elif damage == "truncated":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[:-20])
    with pytest.raises(InputError, match=str(named)):
        open_split(manifest, "train")


def test_an_empty_split_is_refused(tmp_path):
    manifest = write_corpus(tmp_path, {"train": [np.zeros(0)], "validation": [np.ones(5)]})
    with pytest.raises(InputError, match="'train' holds no tokens"):
        open_split(manifest, "train")
