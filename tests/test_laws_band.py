"""Predictions and bands from stored parameters and replicates."""

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn, toy

from pipeline import fit as fit_stage
from pipeline.contracts import ContractError
from pipeline.conventions import Convention
from pipeline.laws import law
from pipeline.laws.band import band, optimum_bands, read
from pipeline.laws.estimate import Options, fit

OPTIONS = Options(bootstraps=200, starts=64)


@pytest.fixture
def folder(tmp_path):
    """A stored fit of the measured runs."""
    found = fit(law("kaplan"), toy(), OPTIONS)
    fit_stage.write(found, found.runs, Convention(), tmp_path)
    return tmp_path


def test_band_of_a_power_law_with_known_replicates():
    """With k alone varying, log L has the percentiles of k."""
    k = np.linspace(1.0, 1.2, 101)
    replicates = {"Nc": np.exp(k / 0.1), "alpha_N": np.full(101, 0.1)}
    values = {"Nc": np.exp(11.0), "alpha_N": 0.1}
    got = band(law("power_params"), values, replicates, {"params": np.array([1.0, 1e6])}, 0.9)
    drop = 1e6**-0.1
    np.testing.assert_allclose(got.low, [np.exp(1.01), np.exp(1.01) * drop], rtol=1e-9)
    np.testing.assert_allclose(got.mid, [np.exp(1.1), np.exp(1.1) * drop], rtol=1e-9)
    np.testing.assert_allclose(got.high, [np.exp(1.19), np.exp(1.19) * drop], rtol=1e-9)


def test_band_is_the_same_in_chunks(monkeypatch):
    found = fit(law("kaplan"), toy(), OPTIONS)
    inputs = {"params": np.geomspace(1e3, 1e8, 17), "tokens": np.array([1e6])}
    whole = band(law("kaplan"), found.values, found.replicates, inputs, 0.9)
    monkeypatch.setattr("pipeline.laws.band.CHUNK", 900)
    parts = band(law("kaplan"), found.values, found.replicates, inputs, 0.9)
    np.testing.assert_array_equal(whole.low, parts.low)
    assert (whole.low < whole.mid).all()
    assert (whole.mid < whole.high).all()


def test_band_without_replicates_is_the_line_alone():
    empty = {name: np.empty(0) for name in TRUTH["kaplan"]}
    inputs = {"params": np.array([1e8]), "tokens": np.array([1e10])}
    got = band(law("kaplan"), TRUTH["kaplan"], empty, inputs, 0.9)
    assert np.isfinite(got.mid).all()
    assert np.isnan([*got.low, *got.high]).all()


def test_bands_widen_with_extrapolation():
    found = fit(law("chinchilla"), drawn("chinchilla", 0.01, 0), OPTIONS)
    budgets = np.array([1e20, 1e22, 1e25])
    bands = optimum_bands(law("chinchilla"), found.values, found.replicates, budgets, 0.9)
    assert set(bands) == {"params", "tokens", "loss"}
    widths = np.log(bands["params"].high / bands["params"].low)
    assert (np.diff(widths) > 0).all()
    best = law("chinchilla").optimum(arrays(dict(found.values)), budgets)
    np.testing.assert_allclose(bands["loss"].mid, best.loss)


def test_stored_fit_predicts_what_was_fitted(folder):
    stored = read(folder)
    found = fit(law("kaplan"), toy(), OPTIONS)
    runs = toy()
    np.testing.assert_allclose(
        stored.predict(params=runs.params, tokens=runs.tokens), found.predicted, rtol=1e-9
    )
    got = stored.band(params=runs.params, tokens=runs.tokens)
    assert (got.low <= got.mid).all()
    assert (got.mid <= got.high).all()
    assert stored.points == 28
    assert stored.level == 0.9


def test_one_variable_splits_no_budget(tmp_path):
    found = fit(law("power_tokens"), toy(), OPTIONS)
    fit_stage.write(found, found.runs, Convention(), tmp_path)
    with pytest.raises(TypeError, match="one variable"):
        read(tmp_path).optimum(np.array([1e15]))


@pytest.mark.parametrize("text", ["", "{}", '{"law": "nobody"}', "[]"])
def test_broken_card_is_refused_by_name(folder, text):
    (folder / "card.json").write_text(text)
    with pytest.raises(ContractError, match=r"card\.json: not a readable fit card"):
        read(folder)


def test_missing_parameter_is_refused_by_name(folder):
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"law": "kaplan"', '"law": "chinchilla"'))
    with pytest.raises(ContractError, match="lacks the parameter 'E' of chinchilla"):
        read(folder)
