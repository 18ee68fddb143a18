"""What provenance says of this machine, and where there is no git."""

import json
import re
import resource
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pipeline import provenance


def test_the_time_is_utc():
    assert datetime.fromisoformat(provenance.now()).utcoffset() == timedelta(0)


def test_packages_are_those_in_use():
    found = provenance.packages()
    assert found["torch"] == torch.__version__
    assert {"python", "numpy", "pyarrow"} <= set(found)


def test_the_commit_is_a_digest_or_unknown(monkeypatch, tmp_path):
    commit, _ = provenance.git_commit.__wrapped__()
    assert re.fullmatch("[0-9a-f]{40}|unknown", commit)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_commit.__wrapped__() == ("unknown", False)


def test_a_copy_tells_the_commit_that_it_was_made_of(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    origin = {"folder": "/where/it/was", "git_commit": "0" * 40, "git_dirty": True}
    (tmp_path / "ORIGIN.json").write_text(json.dumps(origin))
    assert provenance.git_commit.__wrapped__() == ("0" * 40, True)


def test_the_machine_has_names():
    assert provenance.host()
    assert provenance.processor()


def test_the_peak_of_memory_is_that_of_the_process_and_not_of_who_started_it():
    held = bytearray(300 * 2**20)  # written, so that it is resident
    code = "from pipeline import provenance; print(provenance.peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 2**20 < int(done.stdout) < 150 * 2**20 < len(held) < provenance.peak_memory()


@pytest.mark.parametrize(("platform", "expected"), [("linux", 5 * 1024), ("darwin", 5)])
def test_without_proc_the_peak_of_memory_is_in_bytes_on_every_system(
    monkeypatch, platform, expected
):
    monkeypatch.setattr(provenance, "Path", lambda _: Path("/nowhere"))
    monkeypatch.setattr(provenance, "sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=5))
    assert provenance.peak_memory() == expected
