"""Records of living jobs: what one process writes, another finds."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_submitit.registry import KEPT, Record, Registry, job_key


def record(key="k", job_id="12_3", tag="fold-1", **fields):
    known = {"rule": "fold", "targets": ("fold:n=1", "1.txt"), "cluster": "slurm", "host": "login"}
    return Record(key, job_id, tag, **{**known, **fields})


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "submitit")


def test_another_process_finds_a_record(registry, tmp_path):
    registry.add(record(earlier=2))
    assert Registry(tmp_path / "submitit").find("k") == record(earlier=2)
    assert list(Registry(tmp_path / "submitit")) == [record(earlier=2)]


def test_a_job_has_one_record(registry):
    registry.add(record())
    registry.add(record(job_id="13"))
    assert [found.job_id for found in registry] == ["13"]


def test_what_is_removed_is_gone(registry):
    registry.add(record())
    registry.remove("k")
    registry.remove("k")
    assert registry.find("k") is None
    assert list(registry) == []


def test_why_a_job_ended_is_told_once_to_the_next(registry):
    registry.add(record())
    registry.remove("k", "cancelled")
    assert registry.cause("k") == "cancelled"
    assert registry.cause("k") == ""
    registry.remove("other")
    assert registry.cause("other") == ""


def test_a_refused_submission_leaves_nothing(registry):
    folder = registry.open("fold-1", ["k"])
    registry.discard("fold-1")
    assert not folder.exists()
    assert registry.unclosed() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "k"}', '{"targets": 1}'])
def test_an_unreadable_record_is_none(registry, content):
    registry.add(record("other"))
    (registry.jobs / "k.json").write_text(content)
    assert registry.find("k") is None
    assert [found.key for found in registry] == ["other"]


def test_an_open_submission_is_told_from_a_closed_one(registry, tmp_path):
    registry.open("fold-1", ["k"])
    registry.open("fold-2", ["l"])
    registry.close("fold-2")
    assert Registry(tmp_path / "submitit").unclosed() == ["fold-1"]


def test_a_tag_is_used_once(registry):
    registry.open("fold-1", ["k"])
    with pytest.raises(FileExistsError):
        registry.open("fold-1", ["l"])


def test_sweeping_keeps_what_is_young_or_alive(registry):
    for tag in ("old", "alive", "young"):
        registry.open(tag, [])
    registry.add(record(tag="alive"))
    past = time.time() - KEPT - 60
    for tag in ("old", "alive"):
        os.utime(registry.submissions / tag, (past, past))
    registry.sweep()
    assert sorted(path.name for path in registry.submissions.iterdir()) == ["alive", "young"]


TARGETS = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), unique=True,
                   min_size=1, max_size=4)  # fmt: skip


@given(TARGETS, TARGETS, st.randoms())
def test_keys_differ_with_the_outputs_and_not_with_their_order(first, second, random):
    assert job_key(first) == job_key(random.sample(first, len(first)))
    assert (job_key(first) == job_key(second)) == (sorted(first) == sorted(second))
