"""A Markov language whose entropy rate is known exactly, beside which a fitted floor can be held.

After every context (the last ``order`` symbols) the next symbol has the same Zipf probabilities,
p_r proportional to r^-zipf, over an order of the symbols that belongs to that context. The
conditional entropy is therefore the same in every context, and the entropy rate, which is its
mean over the stationary distribution (Cover and Thomas, theorem 4.2.4), equals the entropy of
the Zipf distribution. The orders are drawn with the symbols' own Zipf weights, so frequent
symbols are frequent after most contexts and shorter contexts already tell something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from pipeline.config import number
from pipeline.corpus import CorpusError
from pipeline.corpus.shards import Piece

TABLE = 2**26  # most entries of the table of continuations
FIRST = 0x4E00  # symbol i is written as this character + i, three bytes of UTF-8
BYTES_PER_TOKEN = 3


@dataclass(frozen=True)
class Language:
    """``continuations[c, r]`` is the symbol of rank r after context c; shape (V^order, V)."""

    order: int
    probabilities: NDArray[np.float64]  # of the ranks, shape (V,)
    continuations: NDArray[np.uint16]

    @property
    def symbols(self) -> int:
        return len(self.probabilities)

    @property
    def entropy_rate(self) -> float:
        """Entropy rate in nats/token."""
        p = self.probabilities
        return float(-(p * np.log(p)).sum())


def language(symbols: int, order: int, zipf: float, seed: int) -> Language:
    """The language of a seed; raises CorpusError when its table would be too large."""
    contexts = symbols**order
    if contexts * symbols > TABLE:
        raise CorpusError(
            f"synthetic.symbols: {symbols} with synthetic.order: {order} needs a table of "
            f"symbols^(order + 1) = {contexts * symbols} entries, above {TABLE}; lower one of them"
        )
    weights = np.arange(1, symbols + 1, dtype=np.float64) ** -zipf
    probabilities = weights / weights.sum()
    random = np.random.default_rng([seed % 2**64, symbols, order])
    continuations = np.empty((contexts, symbols), dtype=np.uint16)
    rows = max(1, 2**20 // symbols)
    for start in range(0, contexts, rows):
        stop = min(start + rows, contexts)
        # Ranking by log weight + Gumbel noise draws an order without replacement by weight.
        scores = np.log(probabilities) + random.gumbel(size=(stop - start, symbols))
        continuations[start:stop] = np.argsort(-scores, axis=1)
    return Language(order, probabilities, continuations)


def sampled(language: Language, tokens: int, seed: int) -> NDArray[np.uint16]:
    """``tokens`` symbols of the language, after a start that is thrown away; shape (tokens,)."""
    symbols = language.symbols
    contexts = symbols**language.order
    table = language.continuations.reshape(-1).data
    random = np.random.default_rng([seed % 2**64, 1])
    cumulative = np.cumsum(language.probabilities)
    cumulative[-1] = 1.0
    found = np.empty(tokens, dtype=np.uint16)
    context = 0
    start = -64 * language.order
    for begin in range(start, tokens, 2**20):
        end = min(begin + 2**20, tokens)
        ranks = np.searchsorted(cumulative, random.random(end - begin), side="right")
        text = []
        for rank in ranks.tolist():
            symbol = table[context * symbols + rank]
            context = (context * symbols + symbol) % contexts
            text.append(symbol)
        found[max(begin, 0) : end] = text[max(0, -begin) :]
    return found


def tokenizer(symbols: int) -> Tokenizer:
    """A tokenizer that writes each symbol as one character."""
    vocab = {chr(FIRST + symbol): symbol for symbol in range(symbols)}
    found = Tokenizer(models.WordLevel(vocab=vocab, unk_token=chr(FIRST)))
    found.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    found.decoder = decoders.Fuse()
    return found


def corpus(config: Mapping[str, Any]) -> tuple[Language, NDArray[np.uint16]]:
    """The language of a source's ``synthetic`` settings and its text."""
    tokens = int(number("synthetic.tokens", config["tokens"]))
    found = language(config["symbols"], config["order"], config["zipf"], config["seed"])
    return found, sampled(found, tokens, config["seed"])


def pieces(text: NDArray[np.uint16], definition: Mapping[str, Any]) -> Iterator[Piece]:
    """The text cut into validation, test and the first ``fraction`` of the rest."""
    ends, start = [], 0
    for split in ("validation", "test"):
        count = -(-definition[f"{split}_bytes"] // BYTES_PER_TOKEN)
        ends.append((split, start, start + count))
        start += count
    rest = max(0, len(text) - start)
    ends.append(("train", start, start + int(definition["fraction"] * rest)))
    for split, first, last in ends:
        part = text[first:last]
        if len(part):
            yield Piece(split, part, 1, BYTES_PER_TOKEN * len(part))
