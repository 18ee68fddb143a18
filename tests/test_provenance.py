"""What provenance says of this machine, and where there is no git."""

import json
import re
from datetime import datetime, timedelta

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
