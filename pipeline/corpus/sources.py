"""From a config's sources to a stream of documents; faults are named by file and line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import config
from pipeline.corpus import CorpusError, catalog
from pipeline.corpus.definition import source_files
from pipeline.tasks import practice

CODECS = {".gz": "gzip", ".zst": "zstd"}
FORMATS = {".txt": "text", ".md": "text", ".jsonl": "jsonl", ".parquet": "parquet"}


def documents(sources: Iterable[Mapping[str, Any]], block_bytes: int) -> Iterator[str]:
    """Every document of ``sources`` in their order, as they are read: nothing is held.

    A text without document bounds (plain text, some of the catalog) comes as consecutive blocks
    that end at the first line end after ``block_bytes`` bytes. Empty documents are left out.
    Raises CorpusError naming file and line.
    """
    for index, source in enumerate(sources):
        if "package" in source:
            name = source["package"]
            found = catalog.texts(name)
            yield from found if catalog.CATALOG[name].bounded else blocks(found, block_bytes)
        elif "practice" in source:
            asked = source["practice"]
            yield from practice.documents(
                asked["tasks"], int(config.number("practice.bytes", asked["bytes"])), asked["seed"]
            )
        else:
            for path in source_files(source, f"sources[{index}]"):
                yield from file_documents(
                    Path(path), source.get("format", "auto"), source.get("column", "text"),
                    block_bytes,
                )  # fmt: skip


def blocks(lines: Iterable[str], block_bytes: int) -> Iterator[str]:
    """Lines without line ends, gathered into blocks of at least ``block_bytes`` characters."""
    block: list[str] = []
    held = 0
    for line in lines:
        block.append(line)
        held += len(line) + 1
        if held >= block_bytes:
            yield "\n".join(block) + "\n"
            block, held = [], 0
    if block:
        yield "\n".join(block) + "\n"


def file_documents(path: Path, format_: str, column: str, block_bytes: int) -> Iterator[str]:
    """Documents of one file; raises CorpusError where it is empty or breaks its format."""
    if path.stat().st_size == 0:
        raise CorpusError(f"{path}: is empty; remove it from the sources")
    kind = file_format(path, format_)
    count = 0
    try:
        with _opened(path) as stream:
            if kind == "text":
                found = _text(path, stream, block_bytes)
            elif kind == "jsonl":
                found = _jsonl(path, stream, column)
            else:
                found = _parquet(path, stream, column)
            for text in found:
                if text:
                    count += 1
                    yield text
    except pa.ArrowException as error:
        raise CorpusError(f"{path}: cannot be read as {kind}: {error}") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not count:
        raise CorpusError(f"{path}: holds no text; remove it from the sources")


def file_format(path: Path, format_: str) -> str:
    """text, jsonl or parquet: as configured, or by the file's ending."""
    if format_ != "auto":
        return format_
    ending = (path.with_suffix("") if path.suffix in CODECS else path).suffix.lower()
    if ending not in FORMATS:
        raise CorpusError(
            f"{path}: the ending {ending!r} says nothing of its format; set the source's format "
            f"to text, jsonl or parquet (known endings: {' '.join(FORMATS)}, then .gz or .zst)"
        )
    return FORMATS[ending]


def _opened(path: Path) -> BinaryIO:
    codec = CODECS.get(path.suffix)
    return io.BufferedReader(pa.input_stream(str(path), compression=codec), 1 << 20)


def _decoded(path: Path, data: bytes, line: int) -> str:
    """``data``, whose first line is number ``line`` of the file, as text."""
    if (position := data.find(b"\0")) >= 0:
        at = line + data.count(b"\n", 0, position)
        raise CorpusError(f"{path}:{at}: holds a NUL byte, so it is no text; give a text file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = line + data.count(b"\n", 0, error.start)
        raise CorpusError(
            f"{path}:{at}: is not UTF-8 (byte 0x{data[error.start]:02x}); convert the file, for "
            "example with iconv -t UTF-8"
        ) from error


def _whole_characters(data: bytes) -> int:
    """Length of ``data`` without the UTF-8 sequence that its end may cut."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            expected = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if expected > back else len(data)
        if byte < 0x80:
            break
    return len(data)


def _text(path: Path, stream: BinaryIO, block_bytes: int) -> Iterator[str]:
    line, carried = 1, b""
    while chunk := stream.read(block_bytes - len(carried)):
        # A line longer than a block is cut inside, else text without line ends would not stream.
        block = carried + chunk
        if not block.endswith(b"\n"):
            block += stream.readline(block_bytes)
        end = len(block) if block.endswith(b"\n") else _whole_characters(block)
        block, carried = block[:end], block[end:]
        text = _decoded(path, block, line)
        yield text.removeprefix("\ufeff") if line == 1 else text
        line += block.count(b"\n")
    if carried:
        yield _decoded(path, carried, line)


def _jsonl(path: Path, stream: BinaryIO, column: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        text = _decoded(path, line, number)
        if not text.strip():
            continue
        try:
            row = json.loads(text.removeprefix("\ufeff") if number == 1 else text)
        except ValueError as error:
            raise CorpusError(
                f"{path}:{number}: is no JSON ({error}); mend or remove the line"
            ) from error
        if not isinstance(row, dict):
            raise CorpusError(f"{path}:{number}: is no JSON object; write {{{column!r}: ...}}")
        if column not in row:
            raise CorpusError(
                f"{path}:{number}: lacks the key {column!r} (it has {_listed(row)}); set the "
                "source's column"
            )
        yield _checked(row[column], f"{path}:{number}", column)


def _checked(value: Any, place: str, column: str) -> str:
    if not isinstance(value, str):
        raise CorpusError(
            f"{place}: {column!r} holds {type(value).__name__}, expected text; set the source's "
            "column to the one with text, or remove the row"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"{place}: {column!r} holds the lone surrogate {value[error.start]!a}, which is no "
            "character; mend or remove the row"
        ) from error
    return value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"


def _parquet(path: Path, stream: BinaryIO, column: str) -> Iterator[str]:
    if path.suffix in CODECS:  # Parquet is read from its end, a compressed stream from its start
        table = pq.ParquetFile(pa.BufferReader(stream.read()))
    else:
        table = pq.ParquetFile(str(path))
    with table:
        schema = table.schema_arrow
        if column not in schema.names:
            raise CorpusError(
                f"{path}: lacks the column {column!r} (it has {_listed(schema.names)}); set the "
                "source's column"
            )
        type_ = schema.field(column).type
        plain = type_.value_type if pa.types.is_dictionary(type_) else type_
        if not (pa.types.is_string(plain) or pa.types.is_large_string(plain)):
            raise CorpusError(
                f"{path}: the column {column!r} is {type_}, expected string; set the source's "
                "column to the one with text"
            )
        row = 0
        for batch in table.iter_batches(batch_size=1024, columns=[column]):
            for value in batch.column(0).to_pylist():
                row += 1
                yield _checked(value, f"{path}:{row}", column)


def provenance(sources: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where each text comes from: a package with version and licence, or a file with its size."""
    found: list[dict[str, Any]] = []
    for index, source in enumerate(sources):
        if "package" in source:
            found.append(catalog.provenance(source["package"]))
        elif "synthetic" in source:
            found.append({"synthetic": dict(source["synthetic"])})
        elif "practice" in source:
            found.append({"practice": dict(source["practice"])})
        else:
            for path in source_files(source, f"sources[{index}]"):
                found.append({"file": path, "bytes": Path(path).stat().st_size})
    return found
