"""Sources: what comes in is what the files hold, and every fault is named by file and line."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import CorpusError, sources

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1)


def read(path: Path, block_bytes: int = 64, **source: str) -> list[str]:
    return list(sources.documents([{"files": str(path), **source}], block_bytes))


def zst(path: Path, data: bytes) -> Path:
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(data)
    return path


@given(TEXT, st.integers(4, 40))
def test_blocks_of_a_text_file_are_the_file(tmp_path_factory, text, block_bytes):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    assert "".join(read(path, block_bytes)) == text


def test_blocks_end_at_the_first_line_end_after_their_size(tmp_path):
    lines = [f"line {i:03d} of ünïcode\n" for i in range(40)]
    (tmp_path / "a.txt").write_text("".join(lines), encoding="utf-8")
    size = len(lines[0].encode())
    found = read(tmp_path / "a.txt", 2 * size - 1)
    assert found == ["".join(lines[i : i + 2]) for i in range(0, 40, 2)]


def test_lines_without_bounds_are_gathered_into_blocks():
    assert list(sources.blocks(["ab", "c", "def", "g"], 5)) == ["ab\nc\n", "def\ng\n"]
    assert list(sources.blocks(["ab", "c", "d"], 3)) == ["ab\n", "c\nd\n"]


@pytest.mark.parametrize("kind", ["text", "jsonl", "parquet"])
@pytest.mark.parametrize("codec", ["", ".gz", ".zst"])
def test_formats_and_codecs_hold_the_same_documents(tmp_path, kind, codec):
    texts = [f"document {i}\nwith ☃ and two lines\n" for i in range(30)]
    plain = tmp_path / {"text": "a.txt", "jsonl": "a.jsonl", "parquet": "a.parquet"}[kind]
    if kind == "text":
        plain.write_text("".join(texts), encoding="utf-8")
    elif kind == "jsonl":
        rows = (json.dumps({"id": i, "text": text}) for i, text in enumerate(texts))
        plain.write_text("\n".join(rows) + "\n\n", encoding="utf-8")
    else:
        pq.write_table(pa.table({"id": range(30), "text": texts}), plain)
    path = plain.with_name(plain.name + codec)
    if codec == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif codec == ".zst":
        zst(path, plain.read_bytes())
    block = len(texts[0].encode())
    assert "".join(read(path, block)) == "".join(texts)
    if kind != "text":
        assert read(path, block) == texts


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_reads_every_type_of_text(tmp_path, type_):
    pq.write_table(pa.table({"body": pa.array(["a", "b", "a"], type_)}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", column="body") == ["a", "b", "a"]


def test_globs_are_read_in_sorted_order_and_format_overrides_the_ending(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.log").write_text(name)
    assert read(tmp_path / "*.log", format="text") == ["a", "b", "c"]


def test_a_byte_order_mark_and_empty_documents_are_left_out(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfabc")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text": ""}\n{"text": "x"}\n')
    assert read(tmp_path / "a.txt") == ["abc"]
    assert read(tmp_path / "b.jsonl") == ["x"]


def test_a_compressed_file_of_several_members_is_read_whole(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert read(tmp_path / "a.txt.gz", 4) == ["one\n", "two\n"]


FAULTS = {
    "empty.txt": (b"", "empty.txt: is empty"),
    "binary.txt": (b"one\ntwo\nth\0ree\n", "binary.txt:3: holds a NUL byte"),
    "latin.txt": ("one\ntwo\ncaf\xe9 noir\n".encode("latin-1"), "latin.txt:3: is not UTF-8 (byte 0xe9)"),
    "cut.txt": ("one\ntwo ☃".encode()[:-1], "cut.txt:2: is not UTF-8"),
    "bad.jsonl": (b'{"text": "a"}\n\n{"text": \n', "bad.jsonl:3: is no JSON"),
    "list.jsonl": (b'["a"]\n', "list.jsonl:1: is no JSON object"),
    "key.jsonl": (b'{"text": "a"}\n{"body": "b"}\n', "key.jsonl:2: lacks the key 'text' (it has 'body')"),
    "type.jsonl": (b'{"text": 3}\n', "type.jsonl:1: 'text' holds int"),
    "null.jsonl": (b'{"text": null}\n', "null.jsonl:1: 'text' holds NoneType"),
    "surrogate.jsonl": (b'{"text": "\\ud800"}\n', "surrogate.jsonl:1: 'text' holds the lone surrogate"),
    "hollow.jsonl": (b'{"text": ""}\n', "hollow.jsonl: holds no text"),
    "latin.jsonl": (b'{"text": "a"}\n{"text": "\xe9"}\n', "latin.jsonl:2: is not UTF-8"),
    "torn.parquet": (b"PAR1 and no footer", "torn.parquet: cannot be read as parquet"),
    "torn.txt.gz": (gzip.compress(bytes(range(65, 90)) * 9)[:-9], "torn.txt.gz: cannot be read"),
    "plain.txt.zst": (b"not compressed at all", "plain.txt.zst: cannot be read"),
    "notes.docx": (b"x", "notes.docx: the ending '.docx' says nothing of its format"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named_by_file_and_line(tmp_path, name):
    data, message = FAULTS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_the_line_is_right_far_into_a_file(tmp_path):
    lines = [b"a line of text\n"] * 1000
    lines[776] = b"a line of t\xffxt\n"
    (tmp_path / "a.txt").write_bytes(b"".join(lines))
    with pytest.raises(CorpusError, match=r"a\.txt:777: is not UTF-8"):
        read(tmp_path / "a.txt", 100)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"body": ["a"]}, r"a\.parquet: lacks the column 'text' \(it has 'body'\)"),
        ({"text": [1]}, r"a\.parquet: the column 'text' is int64, expected string"),
        ({"text": ["a", None]}, r"a\.parquet:2: 'text' holds NoneType"),
    ],
)
def test_parquet_faults_name_the_column(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=message):
        read(tmp_path / "a.parquet")


def test_provenance_lists_files_with_their_sizes(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    assert sources.provenance([{"files": str(tmp_path / "*.txt")}]) == [
        {"file": str(tmp_path / "a.txt"), "bytes": 3}
    ]
