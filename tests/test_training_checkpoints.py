"""Checkpoints return bit for bit, and whatever happened to the file is named."""

import pytest
import torch

from pipeline.training import checkpoints
from pipeline.training.checkpoints import CheckpointError

IDENTITY = {"training": "a", "data_sha256": "b"}


def arrays(length=100):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, generator=generator) for _ in range(3)]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "x.ckpt"
    progress = {"step": 7, "loss": 0.1 + 0.2, "rows": [{"a": None}], "bad": float("nan")}
    checkpoints.save(path, IDENTITY, progress, arrays())
    return path


def test_arrays_and_progress_return_exactly(saved):
    found = checkpoints.load(saved, IDENTITY)
    assert found.progress["loss"] == 0.1 + 0.2
    assert found.progress["rows"] == [{"a": None}]
    for read, written in zip(found.arrays, arrays()):
        assert torch.equal(read, written)
    assert checkpoints.step(saved) == 7


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=str(saved)):
        checkpoints.load(saved, IDENTITY)


@pytest.mark.parametrize("place", [0, 40, -1, -500])
def test_a_changed_byte_is_noticed(saved, place):
    content = bytearray(saved.read_bytes())
    content[place] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=str(saved)):
        checkpoints.load(saved, IDENTITY)


@pytest.mark.parametrize("name", IDENTITY)
def test_another_training_is_refused(saved, name):
    with pytest.raises(CheckpointError, match=name):
        checkpoints.load(saved, IDENTITY | {name: "other"})


def test_no_file_is_an_error_and_step_minus_one(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.load(tmp_path / "none", IDENTITY)
    assert checkpoints.step(tmp_path / "none") == -1
