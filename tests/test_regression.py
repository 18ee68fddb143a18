"""Polynomial regression against closed forms, independent features and plain linear algebra."""

import json

import numpy as np
import pytest

from pipeline import config, contracts, conventions, fit, regress
from pipeline.config import ConfigError
from pipeline.regression import regressor, theory
from pipeline.regression.definition import TERMS, Regression
from pipeline.study import design, fitted

ALPHA = 0.75
STUDY = {"study": "poly", "regression": {"sizes": [8, 64], "samples": [16, "1e4"]}}


def features(points, size):
    """The design matrix (D, N), from numpy's Chebyshev polynomials."""
    x = np.cos(2 * np.pi * points / regressor.GRID)
    found = np.polynomial.chebyshev.chebvander(x, size - 1)
    return found * regressor.NORM[:size]


def test_of_the_variance_a_power_lies_beyond_each_degree():
    spectrum = regressor.spectrum(ALPHA)
    assert spectrum.sum() == pytest.approx(1.0, abs=1e-12)
    for size in (1, 7, 1000, TERMS // 2):
        assert spectrum[size:].sum() == pytest.approx(size**-ALPHA, rel=1e-9)


def test_the_target_is_the_sum_of_its_polynomials_and_has_unit_variance():
    of = regressor.target(ALPHA, 3)
    points = np.array([0, 1, 5000, regressor.GRID // 3])
    direct = features(points, TERMS) @ of.coefficients
    assert of.values[points] == pytest.approx(direct, abs=1e-6)
    assert (of.values**2).mean() == pytest.approx(1.0, rel=1e-9)  # Parseval
    assert not np.array_equal(of.coefficients, regressor.target(ALPHA, 4).coefficients)


@pytest.mark.parametrize("solve", [regressor.least_squares, regressor.kernel_regression])
@pytest.mark.parametrize(("size", "samples"), [(12, 40), (40, 12)])
def test_both_ways_solve_the_ridge_problem(solve, size, samples):
    random = np.random.default_rng(1)
    points = random.integers(regressor.GRID, size=samples)
    y, expected = random.normal(size=samples), random.uniform(0.1, 1.0, size)
    # The same problem as ordinary least squares with rows added for the penalty.
    rows = np.vstack([features(points, size), np.diag(np.sqrt(0.3 / expected))])
    direct = np.linalg.lstsq(rows, np.r_[y, np.zeros(size)], rcond=None)[0]
    assert solve(points, y, expected, 0.3) == pytest.approx(direct, abs=1e-9)


def test_the_error_is_that_on_every_input():
    """By the sum over coefficients and by the mean over the whole circle."""
    of, size, samples, seed = regressor.target(ALPHA, 0), 20, 100, 0
    random = np.random.default_rng([seed, 1, size, samples])
    points = random.integers(regressor.GRID, size=samples)
    expected = regressor.prior(ALPHA, size)
    ridge = size**-ALPHA
    found = regressor.least_squares(points, of.values[points], expected, ridge)
    everywhere = regressor.on_circle(found * regressor.NORM[:size])
    error = ((everywhere - of.values) ** 2).mean()
    assert regressor.excess_error(of, ALPHA, 0.0, size, samples, seed) == pytest.approx(error)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize(("size", "samples"), [(64, 128), (128, 64)])
def test_the_closed_form_holds_for_independent_features(size, samples, noise):
    """Gaussian features have the error of the formula, here over 150 draws."""
    expected, variance = regressor.prior(ALPHA, size), regressor.spectrum(ALPHA)[:size]
    beyond = size**-ALPHA
    errors = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        x = random.normal(size=(samples, size))
        truth = random.choice([-1.0, 1.0], size) * np.sqrt(variance)
        y = x @ truth + np.sqrt(beyond + noise**2) * random.normal(size=samples)
        gram = x.T @ x + np.diag((beyond + noise**2) / expected)
        errors.append(((np.linalg.solve(gram, x.T @ y) - truth) ** 2).sum() + beyond)
    spread = np.std(errors) / len(errors) ** 0.5
    told = theory.learning_curve(ALPHA, noise, size, samples)
    assert spread < 0.02 * told
    assert np.mean(errors) == pytest.approx(told, abs=4 * spread)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_with_the_targets_own_prior_the_error_is_samples_times_kappa(noise):
    """An identity of the formula: E = D kappa where prior and target agree and noise counts."""
    size, samples = 200, 90
    expected = regressor.prior(ALPHA, size)
    ridge = size**-ALPHA + noise**2
    kappa = (theory.learning_curve(ALPHA, noise, size, samples) + noise**2) / samples
    assert (expected / (expected + kappa)).sum() + ridge / kappa == pytest.approx(samples, rel=0.02)


def test_with_plentiful_data_the_error_is_the_variance_beyond():
    of = regressor.target(ALPHA, 0)
    for size in (8, 64):
        error = regressor.excess_error(of, ALPHA, 0.0, size, 2**19, 0)
        assert error == pytest.approx(size**-ALPHA, rel=2 * size / 2**19 + 1e-4)
        assert error > size**-ALPHA


@pytest.mark.parametrize(("noise", "samples"), [(0.0, (2**9, 2**11)), (4.0, (2**15, 2**17))])
def test_the_exponent_of_samples_is_that_of_the_closed_form(noise, samples):
    few, many = (theory.learning_curve(ALPHA, noise, TERMS // 2, count) for count in samples)
    slope = np.log(few / many) / np.log(samples[1] / samples[0])
    assert slope == pytest.approx(theory.exponent_of_samples(ALPHA, noise), abs=0.01)


def test_the_prefactor_in_samples_is_known_too():
    """kappa of an unlimited power-law spectrum, by the integral of 1 / (1 + u^a)."""
    a, samples = 1 + ALPHA, 1024
    integral = np.pi / (a * np.sin(np.pi / a))
    told = ALPHA * integral**a * samples**-ALPHA
    assert theory.learning_curve(ALPHA, 0.0, TERMS // 2, samples) == pytest.approx(told, rel=0.02)


def test_polynomials_of_random_points_follow_it_within_their_known_excess():
    """They err more than independent features do, by a factor that settles near 1.16."""
    errors = [
        regressor.excess_error(regressor.target(ALPHA, s), ALPHA, 0.0, TERMS // 2, 512, s)
        for s in range(6)
    ]
    ratio = np.mean(errors) / theory.learning_curve(ALPHA, 0.0, TERMS // 2, 512)
    assert 1.05 < ratio < 1.3


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The stage's tables of a small regression."""
    folder = tmp_path_factory.mktemp("regression")
    of = Regression(ALPHA, 0.0, (16, 32, 64, 128), (64, 2**17), 64, 2)
    (folder / "definition.json").write_text(json.dumps(of.card))
    command = [str(folder / "definition.json"), "--study", "poly", "--out", str(folder)]
    assert regress.main(command) == 0
    return folder


def test_runs_carry_their_terms_seeds_and_provenance(tables):
    runs = contracts.read(tables / "runs.parquet", contracts.RUNS).to_pylist()
    assert len(runs) == 2 * (4 + 3)  # N = 128 with D = 64 is solved, too, as a kernel
    assert len({run["cell"] for run in runs}) == len(runs)
    assert {run["family"] for run in runs} == {"polynomial", "kernel"}
    assert {run["seed"] for run in runs} == {0, 1}
    assert json.loads(runs[0]["provenance"])["definition"]["exponent"] == ALPHA
    terms = conventions.Terms.of_table(tables / "runs.parquet")
    assert terms == conventions.Terms(
        "excess test error", "", "share of variance", "training samples"
    )


def test_the_same_seed_gives_the_same_errors(tables):
    of = Regression.from_card(json.loads((tables / "definition.json").read_text()))
    again = {row["cell"]: row["loss"] for row in regress.runs(of, "poly")}
    runs = contracts.read(tables / "runs.parquet", contracts.RUNS).to_pylist()
    assert {run["cell"]: run["loss"] for run in runs} == again


def test_a_fit_finds_the_exponent_and_tells_the_unit(tables, tmp_path):
    command = [
        "--law",
        "power_params",
        "--runs",
        str(tables / "runs.parquet"),
        "--bootstraps",
        "20",
    ]
    assert fit.main([*command, "--out", str(tmp_path)]) == 0
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["convention"]["loss"] == "share of variance"
    assert conventions.of_card(card["convention"]).card == card["convention"]
    known = contracts.read(tables / "known.parquet", contracts.KNOWN).to_pylist()
    exact = {(row["law"], row["parameter"]): row["value"] for row in known}
    assert card["parameters"]["alpha_N"]["value"] == pytest.approx(
        exact["power_params", "alpha_N"], abs=1e-3
    )
    assert card["parameters"]["Nc"]["value"] == pytest.approx(exact["power_params", "Nc"], abs=0.01)


def test_a_config_becomes_pairs_and_a_definition(tmp_path):
    found = design.study(config.complete(STUDY | {"fit": {"laws": ["power_tokens"]}}))
    assert found.regression
    assert list(found.regression.pairs) == [(8, 16), (8, 10000), (64, 16), (64, 10000)]
    assert Regression.from_card(json.loads(json.dumps(found.regression.card))) == found.regression
    design.write_definitions(found, tmp_path)
    written = json.loads((tmp_path / "poly" / "regression" / "definition.json").read_text())
    assert Regression.from_card(written) == found.regression


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regression": {"sizes": [8, 8], "samples": [9]}}, r"sizes\[1\]: 8 is given twice"),
        ({"regression": {"sizes": [1], "samples": [9]}}, r"sizes\[0\]: 1 is no whole number from 2"),
        ({"regression": {"sizes": [8], "samples": [9.5]}}, r"samples\[0\]: 9.5 is no whole number"),
        ({"regression": {"sizes": [8], "samples": [9], "largest_system": 4}}, "raise it to 8"),
        ({"fit": {"loss": "bits_per_byte"}}, r"fit\.loss: 'bits_per_byte' is of text"),
        ({"corpus": {"name": "v", "sources": [{"package": "poetry"}]}}, "corpus: .*study of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        design.study(config.complete(STUDY | changes))


def test_laws_of_what_a_regression_lacks_are_refused():
    study = design.study(config.complete(STUDY | {"fit": {"laws": ["critical_batch"]}}))
    with pytest.raises(ConfigError, match="which a regression does not have"):
        fitted.laws(study)
