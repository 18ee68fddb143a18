"""Writing files so that a reader sees all of one or none. Standard library only."""

from __future__ import annotations

import glob
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

HOST = socket.gethostname()  # a file left by a killed process of another machine stays


class atomic:  # noqa: N801 - a context manager, used like a function
    """``with atomic(path) as temporary``: the file appears under ``path`` whole, or not at all."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.temporary = self.path.with_name(f".{self.path.name}.{HOST}-{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in self.path.parent.glob(f".{glob.escape(self.path.name)}.{HOST}-*.tmp"):
            if not _alive(int(left.name.rsplit("-", 1)[1].removesuffix(".tmp"))):
                left.unlink(missing_ok=True)
        return self.temporary

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        try:
            if error is None:
                with self.temporary.open("rb") as written:
                    os.fsync(written.fileno())
                self.temporary.replace(self.path)
                return
        except OSError as failure:
            error = failure
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"could not write {self.path}: {error.strerror or error}. Nothing was left half "
                "written; free some space or fix the permissions and run the same command again",
            ) from error


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, keys sorted, one trailing newline."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def copy(source: str | Path, target: str | Path) -> None:
    """Copy a file atomically."""
    with atomic(target) as temporary:
        temporary.write_bytes(Path(source).read_bytes())
