"""What a session measures of its own process."""

import resource
from types import SimpleNamespace

import pytest
import torch

from pipeline.training import session


@pytest.mark.parametrize(("platform", "expected"), [("linux", 5 * 1024), ("darwin", 5)])
def test_peak_memory_is_in_bytes_on_every_system(monkeypatch, platform, expected):
    monkeypatch.setattr(session, "sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=5))
    assert session._peak_memory(torch.device("cpu")) == expected
