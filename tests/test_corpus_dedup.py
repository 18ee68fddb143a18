"""Repeats, against a plain second implementation with sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import dedup

LINES = st.lists(st.sampled_from("abcdef"), max_size=40)


def folded(line: str) -> str:
    return "".join(c for c in line.lower() if c.isalnum())


def plain_repeats(documents: list[list[str]]) -> list[list[str]]:
    """Documents without repeated windows, by remembering every window as a tuple."""
    seen, kept = set(), []
    for lines in documents:
        content = [i for i, line in enumerate(lines) if folded(line)]
        drop = set()
        for start in range(len(content) - 3):
            places = content[start : start + 4]
            window = tuple(folded(lines[i]) for i in places)
            if window in seen:
                drop.update(places)
            seen.add(window)
        own, last = [], False
        for i, line in enumerate(lines):
            last = i in drop if folded(line) else last
            if not last:
                own.append(line)
        kept.append([] if drop and drop.issuperset(content) else own)
    return kept


def deduplicated(documents: list[bytes], folder) -> list[bytes]:
    windows, places = dedup.Repeats(folder), []
    for text in documents:
        lines = dedup.content_lines(text)
        places.append((len(windows), len(lines)))
        windows.add(dedup.window_hashes(lines), len(lines))
    flags = windows.resolve()
    return [
        dedup.without_repeats(text, flags[first : first + count])
        for text, (first, count) in zip(documents, places, strict=True)
    ]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "C", " c.", "d!", "", "--"]), max_size=30), max_size=6
    )
)
def test_dropped_lines_are_those_of_windows_seen_before(tmp_path_factory, documents):
    texts = ["".join(f"{line}\n" for line in lines).encode() for lines in documents]
    expected = ["".join(f"{x}\n" for x in lines).encode() for lines in plain_repeats(documents)]
    assert deduplicated(texts, tmp_path_factory.mktemp("d") / "w") == expected


def test_editions_that_differ_in_case_and_punctuation_repeat_one_another(tmp_path):
    first = b"O Captain! my Captain!\nour fearful trip is done,\nThe ship\nhas weathered\nmore\n"
    second = (
        b"new\nO CAPTAIN, my captain\n  our fearful trip is done\n\nThe ship;\nhas weathered\nold\n"
    )
    assert deduplicated([first, second], tmp_path / "w") == [first, b"new\nold\n"]


def test_carriage_returns_and_missing_line_ends_are_kept(tmp_path):
    texts = [b"a\r\nb\r\nc\r\nd\r\ne", b"x\ry\r\nA\nB\nC\nD\nz"]
    assert deduplicated(texts, tmp_path / "w") == [texts[0], b"x\ry\r\nz"]


def test_three_common_lines_are_no_repeat(tmp_path):
    texts = [b"a\nb\nc\nd\n", b"a\nb\nc\ne\n"]
    assert deduplicated(texts, tmp_path / "w") == texts


@pytest.mark.parametrize("buffered", [7, 1 << 20])
def test_flags_equal_those_of_a_set(tmp_path, monkeypatch, buffered):
    monkeypatch.setattr(dedup, "BUFFERED", buffered)
    random = np.random.default_rng(0)
    values = random.integers(0, 300, 1000).astype(np.uint64) * np.uint64(2**55 + 12345)
    found = dedup.Repeats(tmp_path / "r")
    expected, seen, start = [], set(), 0
    while start < len(values):
        count = int(random.integers(0, 30))
        hashes = values[start : start + count]
        found.add(hashes, len(hashes) + 3)
        for value in hashes.tolist():
            expected.append(value in seen)
            seen.add(value)
        expected += [False] * 3
        start += count
    assert len(found) == len(expected)
    assert found.resolve().tolist() == expected


def test_hashes_are_the_same_on_every_machine():
    lines = [b"shall i compare", b"thee to a", b"summers", b"day", b"thou"]
    hashes = dedup.window_hashes(lines)
    assert hashes.tolist() == [4408317958956678323, 16272158157350708057]
    # The order of a window's lines matters, and so does each line.
    assert len({*hashes.tolist(), *dedup.window_hashes(lines[::-1]).tolist()}) == 4
