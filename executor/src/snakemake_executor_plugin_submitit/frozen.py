"""A copy of the workflow as it was when Snakemake started, for the jobs to run.

Jobs wait in a queue for hours; what is edited meanwhile must not reach some of them and not
others. The copy is named by a digest of its content, so that unchanged code is copied once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError

IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".snakemake")


@dataclass(frozen=True)
class Frozen:
    """The copy in ``folder`` of files that were under ``root``."""

    root: Path
    folder: Path

    def path(self, original: str | Path) -> Path | None:
        """Where the copy of a file lies; None where it is not among the copied."""
        with_root = Path(original).absolute()
        if not with_root.is_relative_to(self.root):
            return None
        copied = self.folder / with_root.relative_to(self.root)
        return copied if copied.exists() else None

    def environment(self) -> dict[str, str]:
        """Variables under which Python imports from the copy, before anything else."""
        paths = [str(self.folder), os.environ.get("PYTHONPATH", "")]
        return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}


def freeze_workflow(
    names: Collection[str], snakefile: str | Path, configs: Iterable[str | Path], store: Path
) -> Frozen | None:
    """A copy of what the user names, under the current folder, and of the config files.

    None where nothing is named. Raises WorkflowError where the Snakefile is not among it.
    """
    if not names:
        return None
    root = Path.cwd()
    absolute = [Path(path).absolute() for path in configs]
    inside = {str(path.relative_to(root)) for path in absolute if path.is_relative_to(root)}
    frozen = freeze({*names, *inside}, root, store)
    if frozen.path(snakefile) is None:
        raise WorkflowError(
            f"--submitit-freeze: {' '.join(names)!r} lacks the Snakefile "
            f"{os.path.relpath(snakefile)}; add it"
        )
    return frozen


def freeze(names: Iterable[str], root: Path, store: Path) -> Frozen:
    """Copy files and folders, named relative to ``root``, into ``store``/<digest>.

    ORIGIN.json in the copy says where it comes from: folder, git commit, and whether files
    differed from the commit. Raises WorkflowError where a name is missing or not under root.
    """
    root, files = root.resolve(), {}
    for name in names:
        if not (root / name).exists() or not (root / name).resolve().is_relative_to(root):
            raise WorkflowError(
                f"--submitit-freeze: {name!r} is no file or folder under {root}; correct it"
            )
        for path in _files(root / name):
            files[path.relative_to(root).as_posix()] = path
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    origin = {"folder": str(root), **_commit(root)}
    digest.update(json.dumps(origin, sort_keys=True).encode())
    folder = store / digest.hexdigest()[:16]
    if not folder.exists():
        building = store / f".{folder.name}.{os.getpid()}"
        building.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, building / name)
        (building / "ORIGIN.json").write_text(json.dumps(origin, indent=1) + "\n")
        try:
            building.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(building)
    return Frozen(root, folder.resolve())


def _files(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files under a path. Links are followed, but neither to nothing nor in circles."""
    if path.is_file():
        yield path
    elif path.is_dir() and path.resolve() not in above:
        names = [entry.name for entry in path.iterdir()]
        for name in set(names) - IGNORED(str(path), names):
            yield from _files(path / name, above | {path.resolve()})


def _commit(root: Path) -> dict[str, object]:
    def output(*command: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, check=True,
            timeout=20,
        ).stdout.strip()  # fmt: skip

    try:
        dirty = bool(output("status", "--porcelain", "-uno"))
        return {"git_commit": output("rev-parse", "HEAD"), "git_dirty": dirty}
    except (OSError, subprocess.SubprocessError):
        return {}
