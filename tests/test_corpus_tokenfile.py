"""Existing token files: checked, split by blocks, their text counted."""

import numpy as np
import pytest
from tokenizers import normalizers

from pipeline.corpus import CorpusError, bpe, tokenfile

TEXT = "".join(f"line {i} of some ünïcode verse\n" for i in range(600))


@pytest.fixture(scope="module")
def tokenizer():
    return bpe.trained([TEXT], 300)


def definition(path, **changed):
    return {
        "sources": [{"tokens": str(path), "dtype": changed.pop("dtype", "uint16")}],
        "block_bytes": 500, "validation_bytes": 1000, "test_bytes": 700, "seed": 0,
        "fraction": 1.0, **changed,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_blocks_are_shared_out_whole(tmp_path, tokenizer, dtype):
    ids = np.array(tokenizer.encode(TEXT).ids, dtype=dtype)
    path = tmp_path / "ids.bin"
    ids.tofile(path)
    pieces = list(tokenfile.pieces(path, tokenizer, definition(path, dtype=dtype)))
    assert sum(piece.bytes for piece in pieces) == len(TEXT.encode())
    assert sorted(np.concatenate([p.tokens for p in pieces]).tolist()) == sorted(ids.tolist())
    held = {s: sum(p.bytes for p in pieces if p.split == s) for s in ("validation", "test")}
    assert 1000 <= held["validation"] < 1600
    assert 700 <= held["test"] < 1300
    assert all(piece.tokens.dtype == np.uint16 for piece in pieces)
    starts = [TEXT.find(tokenizer.decode(piece.tokens.tolist())[10:60]) for piece in pieces]
    assert starts != sorted(starts)
    half = list(tokenfile.pieces(path, tokenizer, definition(path, dtype=dtype, fraction=0.5)))
    assert 0 < len(half) < len(pieces)
    for own, other in zip(half, pieces, strict=False):
        assert (own.split, own.tokens.tolist()) == (other.split, other.tokens.tolist())


def test_bytes_are_counted_for_any_tokenizer(tokenizer):
    ids = np.array(tokenizer.encode(TEXT[:300]).ids)
    expected = len(TEXT[:300].encode())
    assert tokenfile.text_bytes(tokenizer)(ids) == expected
    other = bpe.trained([TEXT], 300)
    other.normalizer = normalizers.NFC()  # no longer one that bytes can be read off from
    assert tokenfile.text_bytes(other)(ids) == expected


def test_faults_are_named(tmp_path, tokenizer):
    path = tmp_path / "ids.bin"
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"ids\.bin: is empty"):
        list(tokenfile.pieces(path, tokenizer, definition(path)))
    path.write_bytes(b"abc")
    with pytest.raises(CorpusError, match=r"ids\.bin: 3 bytes are no whole number of uint16"):
        list(tokenfile.pieces(path, tokenizer, definition(path)))
    np.array([1, 2, 299, 300, 4], dtype=np.uint16).tofile(path)
    with pytest.raises(CorpusError, match=r"token at position 3 is 300, beyond .* of 300"):
        list(tokenfile.pieces(path, tokenizer, definition(path)))
