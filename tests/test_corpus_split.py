"""The order of a corpus: disjoint splits, nested subsets, the same each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import split

DOCUMENTS = [f"document {i}\n" + "word " * (i % 17) for i in range(2000)]


def order(folder, documents=DOCUMENTS, seed=0, fraction=1.0, deduplicate=True):
    return list(split.Order(documents, folder / "s", seed, fraction, deduplicate).documents())


def splits(documents, validation, test):
    found = {"validation": [], "test": [], "train": []}
    sizes = {"validation": validation, "test": test}
    for name, text in split.assigned(documents, sizes, len, split.shortened):
        found[name].append(text)
    return found


def test_every_document_comes_once_in_another_order(tmp_path):
    found = order(tmp_path)
    texts = [text.encode() for text in DOCUMENTS]
    assert sorted(found) == sorted(texts)
    assert found != texts


def test_the_order_is_that_of_the_ranks_whatever_the_reading_order(tmp_path, monkeypatch):
    found = order(tmp_path)
    assert found == sorted(found, key=lambda text: split.rank(text, 0))
    monkeypatch.setattr(split, "BUFFERED", 1000)
    assert order(tmp_path / "again", DOCUMENTS[::-1]) == found
    assert order(tmp_path / "seed", seed=1) != found


def test_a_fraction_is_a_prefix_and_about_that_share(tmp_path):
    whole = order(tmp_path / "1")
    for fraction in (0.5, 0.25, 0.01):
        part = order(tmp_path / str(fraction), fraction=fraction)
        assert part == whole[: len(part)]
        # Binomial: five standard deviations.
        n = len(whole)
        assert abs(len(part) - fraction * n) < 5 * (n * fraction * (1 - fraction)) ** 0.5


def test_ranks_are_uniform():
    ranks = np.array([split.rank(text.encode(), 3) for text in DOCUMENTS]) / 2.0**64
    counts = np.histogram(ranks, bins=20, range=(0, 1))[0]
    # Chi-squared with 19 degrees of freedom: 43.8 is exceeded once in a thousand.
    assert ((counts - 100.0) ** 2 / 100).sum() < 43.8


def test_prefixes_are_drawn_from_the_whole_text(tmp_path):
    numbers = [int(text.split()[1]) for text in order(tmp_path)][:200]
    # The mean of 200 of 2000 equally likely numbers, five standard errors.
    assert abs(np.mean(numbers) - 999.5) < 5 * 577.4 * (0.9 / 200) ** 0.5


def test_repeated_documents_come_once_unless_they_are_wanted(tmp_path):
    documents = [*DOCUMENTS[:50], *DOCUMENTS[20:70], *DOCUMENTS[:10]]
    assert sorted(order(tmp_path / "a", documents)) == sorted(t.encode() for t in DOCUMENTS[:70])
    kept = order(tmp_path / "b", documents, deduplicate=False)
    assert sorted(kept) == sorted(t.encode() for t in documents)
    first = kept.index(DOCUMENTS[0].encode())
    assert kept.index(DOCUMENTS[0].encode(), first + 1) != first + 1  # copies are scattered


def test_repeated_passages_do_not_depend_on_the_fraction(tmp_path):
    poem = "".join(f"verse {i}\n" for i in range(8))
    documents = [f"title {i}\n{poem}end {i}\n" for i in range(60)]
    whole = order(tmp_path / "1", documents)
    part = order(tmp_path / "2", documents, fraction=0.4)
    assert part == whole[: len(part)]
    assert sum(poem.encode() in text for text in whole) == 1
    assert len(whole) == 60


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 300), st.integers(0, 300))
def test_held_out_splits_get_their_bytes_and_nothing_twice(sizes, validation, test):
    documents = [bytes([97 + i % 26]) * (size - 1) + b"\n" for i, size in enumerate(sizes)]
    found = splits(documents, validation, test)
    total = sum(sizes)
    held = {name: sum(map(len, texts)) for name, texts in found.items()}
    assert held["validation"] == min(validation, total)
    if found["train"]:
        assert held["test"] == test
    # Each kept text is a document, or the cut end of a held-out split.
    kept = found["validation"] + found["test"] + found["train"]
    assert all(document.startswith(text) for text, document in zip(kept, documents, strict=False))
    assert found["train"] == documents[len(kept) - len(found["train"]) : len(kept)]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (b"one\ntwo\nthree\n", 9, b"one\ntwo\n"),
        (b"one\ntwo\n", 8, b"one\ntwo\n"),
        (b"no line end", 4, b"no l"),
        ("a☃b".encode(), 3, b"a"),
        ("☃".encode(), 2, b""),
    ],
)
def test_held_out_text_is_cut_at_a_line_end_or_a_character(text, size, expected):
    assert split.shortened(text, size) == expected
