"""Tokenizers: sizes, ids known from elsewhere, faults."""

import json
from itertools import pairwise

import pytest
from tokenizers import Tokenizer, models

from pipeline.corpus import CorpusError, bpe

TEXT = ["the cat sat on the mat, the dog on the log; it's 1999!\n" * 3, "and so on and on\n"]


def merges(documents: list[str], count: int) -> list[tuple[str, str]]:
    """The merges of a byte pair encoding by the book, over words split at spaces."""
    words = [
        [*("Ġ" if i else ""), *word] for text in documents for i, word in enumerate(text.split(" "))
    ]
    found = []
    while len(found) < count:
        pairs: dict[tuple[str, str], int] = {}
        for word in words:
            for pair in pairwise(word):
                pairs[pair] = pairs.get(pair, 0) + 1
        best = max(pairs, key=lambda pair: pairs[pair])
        assert list(pairs.values()).count(pairs[best]) == 1, "the example must have no ties"
        found.append(best)
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1
    return found


def test_the_most_frequent_pairs_are_merged_first():
    text = "aab aab aab ab ab b aabc aabc aabc aabc"
    tokenizer = bpe.trained([text], 260)
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    assert [tuple(pair) for pair in found] == merges([text], 3)


@pytest.mark.parametrize("size", [257, 258, 280])
def test_the_vocabulary_has_exactly_its_size_and_ends_with_the_end_of_text(size):
    tokenizer = bpe.trained(TEXT, size)
    assert tokenizer.get_vocab_size() == bpe.vocabulary_size(tokenizer) == size
    assert bpe.end_of_text(tokenizer) == size - 1
    assert sorted(tokenizer.get_vocab().values()) == list(range(size))
    assert tokenizer.decode(tokenizer.encode("Grüße, ☃\0").ids) == "Grüße, ☃\0"


def test_training_gives_the_same_file_each_time():
    assert bpe.trained(TEXT, 280).to_str() == bpe.trained(iter(TEXT), 280).to_str()


def test_too_little_text_is_refused_with_the_size_it_reaches():
    with pytest.raises(CorpusError, match=r"vocab_size: 400 .* take at most (\d+)") as caught:
        bpe.trained(["abcabd"], 400)
    reached = int(str(caught.value).split("take at most ")[1].split(",")[0])
    assert bpe.vocabulary_size(bpe.trained(["abcabd"], reached)) == reached


def test_a_sample_is_cut_at_its_bytes():
    assert list(bpe.sample([b"abc", b"defg", b"h"], 5)) == ["abc", "de"]
    assert list(bpe.sample(["a☃".encode()], 3)) == ["a"]
    assert list(bpe.sample([b"abc"], 100)) == ["abc"]


def test_gpt2_gives_the_ids_that_are_known():
    tokenizer = bpe.gpt2()
    assert bpe.vocabulary_size(tokenizer) == 50257
    assert tokenizer.encode("hello world").ids == [31373, 995]
    assert tokenizer.encode("Hello world").ids == [15496, 995]
    assert bpe.end_of_text(tokenizer) == 50256


def test_an_existing_tokenizer_keeps_its_ids_but_not_its_truncation(tmp_path):
    tokenizer = bpe.trained(TEXT, 280)
    ids = tokenizer.encode(TEXT[0]).ids
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=1000)
    tokenizer.save(str(tmp_path / "t.json"))
    assert bpe.loaded(tmp_path / "t.json").encode(TEXT[0]).ids == ids


def test_unfit_files_are_refused_by_name(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(CorpusError, match=r"bad\.json: is no readable tokenizer\.json"):
        bpe.loaded(tmp_path / "bad.json")
    with pytest.raises(CorpusError, match=r"absent\.json: is no readable"):
        bpe.loaded(tmp_path / "absent.json")
    Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).save(str(tmp_path / "open.json"))
    with pytest.raises(CorpusError, match=r"open\.json: has no end-of-text token"):
        bpe.loaded(tmp_path / "open.json")
