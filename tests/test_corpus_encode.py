"""Encoding: the ids are HF tokenizers' own, whatever the text."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from pipeline.corpus import bpe, encode

PROSE = [
    "It's the year 2024; they'll say “naïve” déjà vu.\n\n\tdef f(x):\r\n    return x  # ☃ 北京\n"
    * 4,
    "Thou art more lovely and more temperate:\nRough winds do shake the darling buds of May,\n" * 4,
]


@pytest.fixture(scope="module")
def trained():
    return bpe.trained(PROSE, 320)


@pytest.fixture(scope="module")
def gpt2():
    return bpe.gpt2()


@pytest.fixture(scope="module")
def pairs(trained, gpt2):
    """(our encoder, HF tokenizer that reads no special tokens from text)."""
    found = []
    for tokenizer in (trained, gpt2):
        reference = Tokenizer.from_str(tokenizer.to_str())
        reference.encode_special_tokens = True
        library = encode.encoder(tokenizer)
        assert library.name == "tiktoken"
        found.append((library, reference))
    return found


def check(pairs, text):
    for library, reference in pairs:
        assert library.encode([text])[0].tolist() == reference.encode(text).ids


@given(st.text(st.characters(codec="utf-8")))
def test_ids_of_any_text_are_those_of_hf(pairs, text):
    check(pairs, text)


@given(st.text(st.sampled_from(" \n\t\r\x0b\x0c\x85\u00a0\u2028\u3000\x00\x1f'sdmtlvre1a²٣.")))
def test_ids_around_white_space_and_control_characters_are_those_of_hf(pairs, text):
    check(pairs, text)


@pytest.mark.parametrize(
    "text",
    ["", " ", " " * 5000, "\n" * 5000 + "x", " \t" * 3000 + "x", "a" * 20000, "é" * 5000,
     "<|endoftext|>", "a <|endoftext|>b<|endof", "\0\0\x01", "'s 's'S 'll'LL", *PROSE],
)  # fmt: skip
def test_ids_of_edge_cases_are_those_of_hf(pairs, text):
    check(pairs, text)


def test_every_assigned_character_of_unicode_gets_the_ids_of_hf(pairs):
    library, reference = pairs[1]
    points = [c for c in (*range(0x33000), *range(0xE0000, 0xE0200)) if not 0xD800 <= c < 0xE000]
    texts = [
        "".join(f"a{chr(c)}b 1{chr(c)} {chr(c)}\n" for c in points[start : start + 64])
        for start in range(0, len(points), 64)
    ]
    expected = reference.encode_batch_fast(texts, add_special_tokens=False)
    for text, own, other in zip(texts, library.encode(texts), expected, strict=True):
        assert own.tolist() == other.ids, text


def test_white_space_too_long_for_the_pattern_is_still_encoded(pairs):
    check(pairs[:1], " " * 1_000_000 + "x")


def test_a_special_tokens_name_in_text_is_no_special_token(pairs, gpt2):
    library = pairs[1][0]
    assert bpe.end_of_text(gpt2) not in library.encode(["a<|endoftext|>b"])[0]


def test_the_byte_alphabet_is_that_of_hf(trained):
    alphabet = encode.byte_alphabet()
    assert set(alphabet) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(alphabet.values()) == list(range(256))
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for character in ("A", " ", "\n", "\0", "\x7f", "é", "☃", "\U0001f600"):
        written = split.pre_tokenize_str(character)[0][0]
        assert bytes(alphabet[c] for c in written) == character.encode()


def lowercase(tokenizer):
    tokenizer.normalizer = normalizers.Lowercase()


def prefix_space(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


def other_pattern(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def added_word(tokenizer):
    tokenizer.add_tokens(["lovely"])


@pytest.mark.parametrize("change", [lowercase, prefix_space, other_pattern, added_word])
def test_tokenizers_that_tiktoken_cannot_follow_are_left_to_hf(trained, change):
    tokenizer = Tokenizer.from_str(trained.to_str())
    change(tokenizer)
    library = encode.encoder(tokenizer)
    assert library.name == "tokenizers"
    found = library.encode(PROSE)
    assert [ids.tolist() for ids in found] == [tokenizer.encode(t).ids for t in PROSE]


def test_ids_out_of_the_order_of_merges_are_left_to_hf(trained):
    parts = json.loads(trained.to_str())
    vocab = parts["model"]["vocab"]
    last, first = "".join(parts["model"]["merges"][-1]), "".join(parts["model"]["merges"][0])
    vocab[last], vocab[first] = vocab[first], vocab[last]
    assert encode.encoder(Tokenizer.from_str(json.dumps(parts))).name == "tokenizers"


def test_a_token_that_its_own_text_does_not_reach_is_left_to_hf():
    alphabet = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    # "abc" is written as ab + c, but its own text merges bc first.
    merges = [("b", "c"), ("a", "b"), ("ab", "c")]
    vocab = alphabet | {"".join(pair): 256 + i for i, pair in enumerate(merges)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([bpe.END_OF_TEXT])
    library = encode.encoder(tokenizer)
    assert library.encode(["abc"])[0].tolist() == tokenizer.encode("abc").ids
    assert library.name == "tokenizers"


def test_the_dtype_is_the_smallest_that_holds_the_vocabulary():
    assert encode.dtype(65536) == np.uint16
    assert encode.dtype(65537) == np.uint32


@pytest.mark.parametrize("workers", [1, 3])
def test_documents_are_followed_by_the_end_of_text_in_their_order(trained, workers, monkeypatch):
    monkeypatch.setattr(encode, "BATCH_BYTES", 50)
    texts = [f"line {i} of verse\n" * random.Random(i).randint(1, 5) for i in range(60)]
    documents = [
        ("validation" if i < 7 else "train", text.encode()) for i, text in enumerate(texts)
    ]
    pieces = list(encode.encoded(documents, trained, encode.encoder(trained), workers))
    for split, own in (("validation", texts[:7]), ("train", texts[7:])):
        ids = np.concatenate([piece.tokens for piece in pieces if piece.split == split]).tolist()
        assert ids == [i for text in own for i in [*trained.encode(text).ids, 319]]
        mine = [piece for piece in pieces if piece.split == split]
        assert sum(piece.documents for piece in mine) == len(own)
        assert sum(piece.bytes for piece in mine) == sum(len(text.encode()) for text in own)


def test_no_more_work_is_taken_than_the_threads_can_hold():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    found = encode.mapped(lambda item: item * item, items(), 2)
    assert next(found) == 0
    assert len(taken) <= 5
    assert list(found) == [i * i for i in range(1, 100)]


def test_an_error_in_a_thread_is_raised():
    def fail(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(encode.mapped(fail, range(10), 2))


def test_bytes_of_tokens_add_up_to_the_text(trained):
    lengths = encode.token_bytes(trained)
    ids = np.array(trained.encode(PROSE[0]).ids)
    assert lengths[ids].sum() == len(PROSE[0].encode())
    assert lengths[319] == 0
