"""Laws of repeated tokens, of few bits, and their limits."""

import numpy as np
import pytest
from law_data import TRUTH, arrays

from pipeline.laws import law
from pipeline.laws.repetition import gain, log_gain

SIZES, TOKENS = (
    g.ravel() for g in np.meshgrid(np.geomspace(1e6, 1e10, 5), np.geomspace(1e9, 1e12, 4))
)
PAPER = TRUTH["muennighoff"]


def chinchilla(truth):
    values = arrays({name: truth[name] for name in ("E", "A", "alpha", "B", "beta")})
    return law("chinchilla").predict(values, {"params": SIZES, "tokens": TOKENS})


def best_size(tokens):
    """The compute-optimal N of a number of tokens: G (G D)^(beta/alpha)."""
    g = (PAPER["alpha"] * PAPER["A"] / (PAPER["beta"] * PAPER["B"])) ** (
        1 / (PAPER["alpha"] + PAPER["beta"])
    )
    return g * (g * tokens) ** (PAPER["beta"] / PAPER["alpha"])


def test_muennighoff_as_it_is_printed():
    unique, n, d = 1e9, 1e9, 2e10
    data = unique * (1 + PAPER["Rd"] * (1 - np.exp(-(d / unique - 1) / PAPER["Rd"])))
    least = best_size(unique)
    assert least == pytest.approx(0.051 * unique, rel=0.02)  # the paper's N = 0.051 U
    size = least * (1 + PAPER["Rn"] * (1 - np.exp(-(n / least - 1) / PAPER["Rn"])))
    want = PAPER["E"] + PAPER["A"] / size ** PAPER["alpha"] + PAPER["B"] / data ** PAPER["beta"]
    inputs = {"params": np.array([n]), "tokens": np.array([d]), "unique_tokens": np.array([unique])}
    assert law("muennighoff").predict(arrays(PAPER), inputs)[0] == pytest.approx(want, rel=1e-13)


def test_one_epoch_of_a_size_below_the_best_is_chinchilla():
    got = law("muennighoff").predict(arrays(PAPER), {"params": SIZES, "tokens": TOKENS})
    below = best_size(TOKENS) > SIZES
    assert 5 < below.sum() < len(below)
    want = chinchilla(PAPER)
    np.testing.assert_allclose(got[below], want[below], rtol=1e-13)
    assert (got[~below] > want[~below]).all()


def test_everything_as_good_as_new_is_chinchilla():
    inputs = {"params": SIZES, "tokens": TOKENS, "unique_tokens": TOKENS / 50}
    got = law("muennighoff").predict(arrays(PAPER | {"Rd": 1e12, "Rn": 1e12}), inputs)
    np.testing.assert_allclose(got, chinchilla(PAPER), rtol=1e-8)


def test_four_epochs_are_about_as_good_as_fresh_tokens():
    """Muennighoff et al. 2023: up to four epochs change the loss hardly, forty add little more."""
    rate = np.log(PAPER["Rd"])
    assert np.exp(log_gain(rate, np.array(3.0))) / 4 > 0.92
    assert np.exp(log_gain(rate, np.array(39.0))) / 40 < 0.4
    size = {"params": np.array([1e9]), "tokens": np.array([8e10])}
    fresh, four, forty = (
        law("muennighoff").predict(arrays(PAPER | {"Rn": 1e12}), size | {"unique_tokens": u})[0]
        for u in (np.array([8e10]), np.array([2e10]), np.array([2e9]))
    )
    assert 0 < four / fresh - 1 < 0.005
    assert forty / fresh - 1 > 0.03


def test_repetition_ends_at_its_rate():
    rate = np.log(np.array([0.5, 5.0, 15.0]))
    np.testing.assert_allclose(np.exp(log_gain(rate, np.array(1e6))), 1 + np.exp(rate), rtol=1e-12)
    np.testing.assert_allclose(log_gain(rate, np.array(0.0)), 0.0, atol=0)


def test_derivatives_of_what_repetition_is_worth():
    rate, repeats = np.meshgrid(np.log([0.3, 5.0, 60.0]), [0.1, 2.0, 30.0])
    found, h = gain(rate, repeats), 1e-5
    up, down = gain(rate + h, repeats), gain(rate - h, repeats)
    np.testing.assert_allclose(found.by_rate, (up.value - down.value) / (2 * h), atol=1e-9)
    np.testing.assert_allclose(
        found.by_rate_twice, (up.by_rate - down.by_rate) / (2 * h), atol=1e-9
    )
    up, down = gain(rate, repeats + h), gain(rate, repeats - h)
    slope = (up.value - down.value) / (2 * h)
    np.testing.assert_allclose(found.left, (1 + repeats) * slope, atol=1e-8)
    np.testing.assert_allclose(found.left_by_repeats, (up.left - down.left) / (2 * h), atol=1e-8)
    np.testing.assert_allclose(
        found.by_rate_by_repeats, (up.by_rate - down.by_rate) / (2 * h), atol=1e-8
    )


def test_penalty_is_added_to_chinchilla():
    truth = TRUTH["overfit_penalty"]
    unique = TOKENS / np.resize([1.0, 1.0 + 1e-12, 5.0, 40.0], len(TOKENS))
    got = law("overfit_penalty").predict(
        arrays(truth), {"params": SIZES, "tokens": TOKENS, "unique_tokens": unique}
    )
    repeats = np.where(TOKENS / unique > 1.001, TOKENS / unique - 1, 0.0)
    penalty = truth["P"] * repeats ** truth["delta"] * (SIZES / unique) ** truth["kappa"]
    np.testing.assert_allclose(got, chinchilla(truth) + penalty, rtol=1e-12)
    assert (penalty == 0).sum() == len(penalty) / 2


def test_bounded_as_it_is_printed():
    truth = TRUTH["bounded"]
    unique = TOKENS / 7
    got = law("bounded").predict(
        arrays(truth), {"params": SIZES, "tokens": TOKENS, "unique_tokens": unique}
    )
    h = (
        truth["a"] / SIZES ** truth["alpha"] + truth["b"] / TOKENS ** truth["beta"]
        + truth["c"] * SIZES ** truth["gamma"] / unique ** truth["delta"]
    )  # fmt: skip
    room = truth["L0"] - truth["E"]
    np.testing.assert_allclose(got, truth["E"] + room * h / (1 + h), rtol=1e-12)


def test_bounded_stays_between_its_ends():
    found, values = law("bounded"), arrays(TRUTH["bounded"])

    def loss(n, d, u):
        inputs = {"params": np.array([n]), "tokens": np.array([d]), "unique_tokens": np.array([u])}
        return found.predict(values, inputs)[0]

    assert loss(1e-9, 1e-9, 1e-9) == pytest.approx(TRUTH["bounded"]["L0"], rel=1e-3)
    assert loss(1e40, 1e80, 1e80) == pytest.approx(TRUTH["bounded"]["E"], rel=1e-5)


def test_many_bits_are_chinchilla_and_few_a_smaller_model():
    truth = TRUTH["precision"]
    inputs = {"params": SIZES, "tokens": TOKENS}
    got = law("precision").predict(arrays(truth), inputs)
    np.testing.assert_allclose(got, chinchilla(truth), rtol=1e-13)
    left = 1 - np.exp(-3.0 / truth["gamma"])
    few = law("precision").predict(arrays(truth), inputs | {"bits": np.full(len(SIZES), 3.0)})
    whole = law("precision").predict(arrays(truth), inputs | {"params": left * SIZES})
    np.testing.assert_allclose(few, whole, rtol=1e-13)


def test_rounding_as_it_is_printed():
    truth = TRUTH["post_precision"]
    got = law("post_precision").predict(
        arrays(truth), {"params": SIZES, "tokens": TOKENS, "rounded_bits": np.array(4.0)}
    )
    power = TOKENS ** truth["gamma_D"] / SIZES ** truth["gamma_N"]
    np.testing.assert_allclose(got, truth["C_T"] * power * np.exp(-4 / truth["gamma"]), rtol=1e-12)


def test_law_that_lacks_an_input_says_which():
    with pytest.raises(KeyError, match="post_precision needs rounded_bits"):
        law("post_precision").predict(
            arrays(TRUTH["post_precision"]), {"params": SIZES, "tokens": TOKENS}
        )
