"""Small scripts that stand for the scheduler's commands, so that no test here needs SLURM."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a command of bash in front of all others; returns the file that counts its calls.

    A line of that file holds the arguments of one call.
    """
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, body: str) -> Path:
        script, calls = folder / name, folder / f"{name}.calls"
        calls.touch()
        script.write_text(f'#!/bin/bash\necho "$*" >> {calls}\n{body}\n')
        script.chmod(0o755)
        return calls

    return make
