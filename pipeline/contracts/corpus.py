"""Stage 1: the token files of a corpus."""

from __future__ import annotations

from pipeline.contracts.columns import _f64, _field, _i64, _schema, _text

# One row for each token file of a corpus.
MANIFEST = _schema(
    "manifest",
    _field("corpus", _text, "corpus key"),
    _field("shard", _text, "file name, relative to the manifest"),
    _field("split", _text, "train | validation | test | evaluation"),
    _field("documents", _i64, "documents or blocks"),
    _field("tokens", _i64, "tokens"),
    _field("bytes", _i64, "bytes of UTF-8 text"),
    _field("bytes_per_token", _f64, "bytes/token"),
    _field("dtype", _text, "numpy dtype of the memory-mapped shard"),
    _field("sha256", _text, "hex digest of the shard"),
    _field("tokenizer", _text, "hex digest of tokenizer.json"),
    _field("vocab_size", _i64, "tokens in the vocabulary"),
)
