"""The synthetic language: its entropy rate is the one it is said to have."""

import numpy as np
import pytest

from pipeline.corpus import CorpusError, synthetic


def transition_matrix(language) -> np.ndarray:
    """Next-context probabilities, contexts counted as numbers in base ``symbols``."""
    contexts, symbols = language.continuations.shape
    matrix = np.zeros((contexts, contexts))
    for context in range(contexts):
        for rank, symbol in enumerate(language.continuations[context].tolist()):
            matrix[context, (context * symbols + symbol) % contexts] += language.probabilities[rank]
    return matrix


@pytest.mark.parametrize(("symbols", "order", "zipf"), [(7, 1, 1.0), (5, 2, 0.7), (3, 3, 1.5)])
def test_the_entropy_rate_is_that_of_the_stationary_distribution(symbols, order, zipf):
    language = synthetic.language(symbols, order, zipf, seed=4)
    matrix = transition_matrix(language)
    values, vectors = np.linalg.eig(matrix.T)
    stationary = np.real(vectors[:, np.argmin(abs(values - 1))])
    stationary /= stationary.sum()
    assert np.allclose(stationary @ matrix, stationary)
    logs = np.log(np.where(matrix > 0, matrix, 1))
    rate = -(stationary[:, None] * matrix * logs).sum()
    assert rate == pytest.approx(language.entropy_rate, rel=1e-9)


def test_uniform_weights_give_the_logarithm_of_the_alphabet():
    assert synthetic.language(8, 1, 1e-12, 0).entropy_rate == pytest.approx(np.log(8))


def test_the_text_follows_the_language():
    language = synthetic.language(6, 2, 1.0, seed=1)
    text = synthetic.sampled(language, 300_000, seed=1).astype(np.int64)
    context = text[:-2] * 6 + text[1:-1]
    ranks = np.argsort(language.continuations, axis=1)[context, text[2:]]
    counts = np.bincount(ranks, minlength=6)
    expected = language.probabilities * len(ranks)
    # Chi-squared with 5 degrees of freedom: 20.5 is exceeded once in a thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 20.5
    # Given the context, the code length of the text is the entropy rate, within five errors.
    lengths = -np.log(language.probabilities[ranks])
    assert abs(lengths.mean() - language.entropy_rate) < 5 * lengths.std() / len(ranks) ** 0.5


def test_shorter_contexts_tell_less_but_something():
    language = synthetic.language(16, 2, 1.2, seed=0)
    text = synthetic.sampled(language, 200_000, seed=0).astype(np.int64)

    def entropy(keys: np.ndarray) -> float:
        p = np.unique(keys, return_counts=True)[1] / len(keys)
        return float(-(p * np.log(p)).sum())

    unigram = entropy(text)
    bigram = entropy(text[:-1] * 16 + text[1:]) - unigram
    assert language.entropy_rate + 0.1 < bigram < unigram - 0.01 < np.log(16) - 0.1


def test_a_seed_gives_one_text_and_a_longer_text_begins_with_the_shorter():
    language = synthetic.language(5, 1, 1.0, seed=3)
    text = synthetic.sampled(language, 3_000, seed=3)
    assert np.array_equal(text, synthetic.sampled(language, 3_000, seed=3))
    assert np.array_equal(text, synthetic.sampled(language, 5_000, seed=3)[:3_000])
    assert not np.array_equal(text, synthetic.sampled(language, 3_000, seed=4))
    assert set(np.unique(text)) == set(range(5))
    assert synthetic.sampled(synthetic.language(5, 1, 1.0, seed=-1), 10, seed=-1).shape == (10,)


def test_an_alphabet_too_large_for_its_order_is_refused():
    with pytest.raises(CorpusError, match=r"synthetic.symbols: 4096 with synthetic.order: 2"):
        synthetic.language(4096, 2, 1.0, 0)


def test_the_tokenizer_writes_and_reads_symbols():
    tokenizer = synthetic.tokenizer(300)
    ids = [0, 299, 17, 17, 5]
    text = tokenizer.decode(ids)
    assert tokenizer.encode(text).ids == ids
    assert len(text.encode()) == synthetic.BYTES_PER_TOKEN * len(ids)
    assert tokenizer.get_vocab_size() == 300


def test_pieces_are_cut_in_order_and_a_fraction_is_a_prefix():
    text = np.arange(1000, dtype=np.uint16)
    definition = {"validation_bytes": 100, "test_bytes": 30, "fraction": 0.5}
    found = {piece.split: piece for piece in synthetic.pieces(text, definition)}
    assert found["validation"].tokens.tolist() == list(range(34))
    assert found["test"].tokens.tolist() == list(range(34, 44))
    assert found["train"].tokens.tolist() == list(range(44, 44 + 478))
    assert found["train"].bytes == 3 * 478
