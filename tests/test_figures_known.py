"""What is known exactly, in figures and on the page, and the terms of runs that are not of text."""

from __future__ import annotations

import importlib
from dataclasses import replace

import figure_data
import numpy as np
import pytest

from pipeline.figures import FIGURES, exponents, floor, frame, index
from pipeline.findings.data import Data

FLOOR, SLOPE = 1.9, 0.08
KNOWN = [
    {"law": law, "parameter": p, "value": value, "unit": unit, "reason": "by construction"}
    for law, p, value, unit in (
        ("power_params", "alpha_N", SLOPE, "1"),
        ("power_tokens", "alpha_D", 0.2, "1"), ("power_tokens", "Dc", 5e8, "tokens"),
        ("chinchilla", "E", FLOOR, "nats/token"), ("chinchilla", "E", 1.0, "bits/byte"),
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> figure_data.Paths:
    folder = tmp_path_factory.mktemp("known")
    return figure_data.write_study(folder, figure_data.runs(), known=KNOWN)


def loaded(name: str, paths: figure_data.Paths) -> Data:
    entry = FIGURES[name]
    given = paths.arguments(entry.tables, entry.takes_fits)
    return frame.data(name, frame.arguments(name, [*given, "--out", "unused.svg"]))


def dashed(name: str, data: Data) -> list:
    """The dark dashed lines of a figure's panels."""
    module = importlib.import_module(f"pipeline.figures.{name}")
    figure = frame.render(module.draw, data)
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    return [
        line for line in lines if line.get_linestyle() == "--" and line.get_color() == "#222222"
    ]


def test_a_known_slope_passes_through_the_middle_of_the_runs(paths):
    data = loaded("loss_vs_params", paths)
    (line,) = dashed("loss_vs_params", data)
    x, y = np.log(line.get_data())
    assert np.diff(y) / np.diff(x) == pytest.approx(-SLOPE, rel=1e-6)
    fit = data.fits["power_params"]
    middle = np.log([row["params"] for row in fit.points]).mean()
    fitted = np.log(fit.predict(params=np.exp([middle])))
    assert np.interp(middle, x, y) == pytest.approx(fitted[0], abs=1e-4)


def test_a_law_known_in_full_is_drawn_as_it_is(paths):
    (line,) = dashed("loss_vs_tokens", loaded("loss_vs_tokens", paths))
    x, y = line.get_data()
    assert y == pytest.approx((5e8 / x) ** 0.2)


def test_the_exact_floor_crosses_both_panels_in_the_unit_of_the_fit(paths):
    lines = dashed("floor", loaded("floor", paths))
    assert [list(line.get_ydata()) for line in lines] == [[FLOOR, FLOOR]] * 2


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (1.7, 2.0, "held"), (1.9, 1.9, "held"), (2.0, 2.4, "missed by 0.1"),
        (1.2, 1.85, "missed by 0.05"), (None, None, "off by 0.3"),
    ],
)  # fmt: skip
def test_intervals_are_told_to_hold_or_to_miss_the_exact_value(low, high, told, paths):
    data = loaded("floor", paths)
    fit = data.fits["chinchilla"]
    row = fit.parameters["E"] | {"value": 2.2, "low": low, "high": high, "status": "converged"}
    fits = {"chinchilla": replace(fit, parameters={**fit.parameters, "E": row})}
    figure = frame.render(floor.draw, replace(data, fits=fits))
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text().endswith(f"\nexact one {told}")
    exact = {"value": FLOOR}
    assert exponents.beside(row, exact, None) == f"1.9 exact, {told}"
    assert exponents.beside(None, exact, None) == "1.9 exact"
    assert exponents.beside(row, None, (0.076, "Kaplan")) == "0.076 (Kaplan)"


def test_the_page_sets_exact_values_beside_fitted_ones(paths):
    data = loaded("exponents", paths)
    rows = {(row["law"], row["symbol"]): row["exact"] for row in index.exponent_rows(data)}
    assert rows["chinchilla", "E"] == {"value": "1.9", "reason": "by construction"}
    assert rows["power_params", "&alpha;<sub>N</sub>"]["value"] == "0.08"
    assert rows["kaplan", "&alpha;<sub>N</sub>"] is None
    text = index.page("Known", data, [], {})
    assert "<th>exact</th>" in text
    assert 'title="by construction">1.9</td>' in text


def test_nothing_is_drawn_or_told_where_nothing_is_known(tmp_path):
    paths = figure_data.write_study(tmp_path, figure_data.runs(widths=(16, 32, 64)))
    data = loaded("loss_vs_params", paths)
    assert dashed("loss_vs_params", data) == []
    assert "<th>exact</th>" not in index.page("Unknown", data, [], {})


def test_terms_of_other_runs_come_from_the_fit_card(paths):
    data = loaded("loss_vs_tokens", paths)
    assert data.measured_label == "validation loss (nats/token)"
    assert data.tokens_label == "training tokens $D$"
    fit = data.fits["power_tokens"]
    told = {"loss": "error", "of": "", "unit": "share of variance", "tokens": "training samples"}
    fit.saved.card["convention"] |= {"loss": told["unit"], "terms": told}
    assert data.measured_label == "error (share of variance)"
    assert data.tokens_label == "training samples $D$"
    module = importlib.import_module("pipeline.figures.loss_vs_tokens")
    axes = frame.render(module.draw, data).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (data.tokens_label, data.measured_label)
