"""Seed noise from repeated designs, and the weights that follow from it."""

import numpy as np
import pytest
from law_data import TRUTH, arrays

from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.estimate import Options, fit
from pipeline.laws.weights import Weighting, repeats, weights


def table(noise, seeds, sizes=8, rng=None, **columns):
    """Runs of kaplan's law on sizes x 3 token counts x seeds; ``noise`` is a function of N."""
    n, d = (
        np.repeat(g.ravel(), seeds)
        for g in np.meshgrid(np.geomspace(1e6, 1e9, sizes), np.geomspace(1e9, 1e11, 3))
    )
    rng = rng or np.random.default_rng(0)
    clean = law("kaplan").predict(arrays(TRUTH["kaplan"]), {"params": n, "tokens": d})
    loss = clean * np.exp(noise(n) * rng.standard_normal(len(n)))
    every = {"params": n, "tokens": d, "flops": 6 * n * d, "loss": loss, **columns}
    return Runs(tuple(map(str, range(len(n)))), every)


def test_noise_is_the_pooled_deviation_within_designs():
    """Two designs by hand: squares .02^2/2 of two seeds and .03^2 * 2/3 ... of three."""
    loss = np.exp([1.0, 1.02, 0.5, 0.5, 0.53, 2.0])
    n, d = np.array([1e6, 1e6, 1e7, 1e7, 1e7, 1e8]), np.full(6, 1e9)
    found = repeats(Runs(tuple("abcdef"), {"params": n, "tokens": d, "loss": loss}), "loss")
    squares = 2 * 0.01**2 + (2 * 0.01**2 + 0.02**2)
    assert found.noise == pytest.approx(np.sqrt(squares / 3), rel=1e-9)
    assert found.freedom.tolist() == [1, 2]


def test_runs_count_by_the_inverse_variance_of_their_size():
    def noise(n):
        return 0.02 * (n / 1e6) ** -0.25

    data = table(noise, seeds=6)
    found = weights(Weighting.SEED_NOISE, data, "loss")
    assert found.value.mean() == pytest.approx(1, rel=1e-12)
    expected = noise(data.params) ** -2 / (noise(data.params) ** -2).mean()
    np.testing.assert_allclose(found.value, expected, rtol=0.4)  # of 15 freedoms at each size
    slope = np.polyfit(np.log(data.params), np.log(found.value), 1)[0]
    # The log of a variance from f freedoms scatters by sqrt(2/f): 0.037 for the slope here.
    assert slope == pytest.approx(0.5, abs=0.12)


def test_two_sizes_with_repeats_share_one_noise():
    data = table(lambda n: np.full(len(n), 0.01), seeds=4, sizes=2)
    found = weights(Weighting.SEED_NOISE, data, "loss")
    np.testing.assert_allclose(found.value, 1, rtol=1e-12)
    assert found.pooled == pytest.approx(0.01, rel=0.4)
    assert "pooled over 6 designs" in found.reason


def test_a_run_measured_badly_counts_less():
    data = table(lambda n: np.full(len(n), 0.01), seeds=4, sizes=2)
    poor = 0.05 * data.loss * (np.arange(24) == 5) + 1e-6
    found = weights(
        Weighting.SEED_NOISE, Runs(data.cell, {**data.columns, "loss_se": poor}), "loss"
    )
    pooled = repeats(data, "loss").noise
    assert found.value[5] / found.value[4] == pytest.approx((pooled / 0.05) ** 2, rel=1e-3)


def test_too_few_repeats_are_refused_with_the_cure():
    data = table(lambda n: np.full(len(n), 0.01), seeds=1)
    with pytest.raises(ValueError, match="have 0 repeats .* need 4; run more seeds"):
        weights(Weighting.SEED_NOISE, data, "loss")
    assert weights(Weighting.EQUAL, data, "loss").value.tolist() == [1.0] * 24
    assert np.isnan(weights(Weighting.EQUAL, data, "loss").pooled)


def test_weights_sharpen_a_fit_of_noisy_small_runs():
    """Over twenty tables the exponent's squared error is a good deal smaller with weights."""
    options = [Options(bootstraps=0, profile=False, starts=4, weighting=kind) for kind in Weighting]
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        data = table(lambda n: 0.03 * (n / 1e6) ** -0.35, seeds=3, rng=rng)
        errors.append([fit(law("kaplan"), data, o).values["alpha_D"] - 0.103 for o in options])
    equal, weighed = (np.array(errors) ** 2).mean(0)
    assert weighed < 0.7 * equal


def test_seeds_without_noise_are_refused_with_the_cure():
    data = table(lambda n: np.zeros(len(n)), seeds=3)
    with pytest.raises(ValueError, match="the 48 repeats .* same loss .* take --weights equal"):
        weights(Weighting.SEED_NOISE, data, "loss")
    assert weights(Weighting.EQUAL, data, "loss").pooled == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("error", [np.nan, np.inf, -0.01])
def test_a_standard_error_that_is_none_is_refused_by_cell(error):
    data = table(lambda n: np.full(len(n), 0.01), seeds=4, sizes=2)
    own = np.where(np.arange(24) == 5, error, 0.01)
    with pytest.raises(ValueError, match=f"cell 5 has loss_se {error}; give zero or a positive"):
        weights(Weighting.SEED_NOISE, Runs(data.cell, {**data.columns, "loss_se": own}), "loss")
