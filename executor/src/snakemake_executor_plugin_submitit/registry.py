"""Records of submitted jobs on disk, so that another Snakemake process can take them up.

A submission is a folder, named by a tag that the scheduler knows, too (the job's comment):

    submissions/<tag>/submission.json     what is submitted, written before it is
    submissions/<tag>/<id>_*              submitit's files and the log of job <id>
    submissions/<tag>/outcome-<key>.json  written by the runner when a job has ended for good
    jobs/<key>.json                       the living job that makes the outputs behind the key
    causes/<key>                          why the last job of a key ended without success
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

KEPT = 14 * 86400.0  # seconds for which logs of ended submissions are kept


def job_key(targets: Iterable[str]) -> str:
    """The key of the job that makes these outputs (or that has this rule and wildcards)."""
    return hashlib.sha256("\n".join(sorted(targets)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """A Snakemake job under way as the job ``job_id`` of the scheduler."""

    key: str
    job_id: str
    tag: str
    rule: str
    targets: tuple[str, ...]
    cluster: str
    host: str  # that submitted it: local job ids are its process ids
    earlier: int = 0  # turns under other job ids
    recipe: str = ""  # digest of what it runs


class Registry:
    """The records under one folder."""

    def __init__(self, folder: Path):
        self.jobs, self.submissions = folder / "jobs", folder / "submissions"
        self.causes = folder / "causes"
        for path in (self.jobs, self.submissions):
            path.mkdir(parents=True, exist_ok=True)

    def open(self, tag: str, keys: Iterable[str]) -> Path:
        """The folder of a new submission; its jobs may be lost on the way to their records."""
        folder = self.submissions / tag
        folder.mkdir()
        _write(folder / "submission.json", {"tag": tag, "keys": list(keys), "begun": time.time()})
        return folder

    def close(self, tag: str) -> None:
        """All jobs of the submission have their records, or were never accepted."""
        (self.submissions / tag / "submission.json").unlink(missing_ok=True)

    def discard(self, tag: str) -> None:
        """The submission was refused: nothing of it is needed."""
        shutil.rmtree(self.submissions / tag, ignore_errors=True)

    def unclosed(self) -> list[str]:
        """Tags of submissions during which the process died."""
        return [path.parent.name for path in self.submissions.glob("*/submission.json")]

    def add(self, record: Record) -> None:
        _write(self.jobs / f"{record.key}.json", asdict(record))

    def find(self, key: str) -> Record | None:
        """The living job behind a key; None where there is none, or its record is unreadable."""
        return _read(self.jobs / f"{key}.json")

    def remove(self, key: str, cause: str = "") -> None:
        """The job is over. ``cause`` is kept for the next of this key, where it did not succeed."""
        (self.jobs / f"{key}.json").unlink(missing_ok=True)
        if cause:
            self.causes.mkdir(exist_ok=True)
            (self.causes / key).write_text(cause)

    def cause(self, key: str) -> str:
        """Why the last job of this key ended ("" where it is not known); told once."""
        try:
            found = (self.causes / key).read_text()
        except OSError:
            return ""
        (self.causes / key).unlink(missing_ok=True)
        return found

    def __iter__(self) -> Iterator[Record]:
        for path in sorted(self.jobs.glob("*.json")):
            record = _read(path)
            if record is not None:
                yield record

    def folder(self, record: Record) -> Path:
        return self.submissions / record.tag

    def sweep(self) -> None:
        """Delete old submissions that no record points to, and old lists of inputs."""
        for path in self.submissions.parent.glob("inputs/*.txt"):
            if path.stat().st_mtime < time.time() - KEPT:
                path.unlink(missing_ok=True)
        living = {record.tag for record in self}
        for folder in self.submissions.iterdir():
            with contextlib.suppress(OSError):
                if folder.name not in living and folder.stat().st_mtime < time.time() - KEPT:
                    shutil.rmtree(folder)


def _read(path: Path) -> Record | None:
    try:
        content = json.loads(path.read_text())
        return Record(**{**content, "targets": tuple(content["targets"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: Path, content: object) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1))
    temporary.replace(path)
