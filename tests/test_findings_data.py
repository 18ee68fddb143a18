"""What figures say in numbers: ticks, labels, estimates, goodness of fit, verdicts."""

from __future__ import annotations

import math
from pathlib import Path

import figure_data
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.figures import axes as scales
from pipeline.figures.marks import spaced
from pipeline.findings.data import estimate, fitted_law, number, verdict


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e12, 1e15, [1e12, 1e13, 1e14, 1e15]),
        (1.5e3, 4e5, [3e3, 1e4, 3e4, 1e5, 3e5]),
        (4.5e5, 4.4e6, [5e5, 1e6, 2e6]),
        (2.7, 4.2, [2.75, 3.0, 3.25, 3.5, 3.75, 4.0]),
        (3.61, 3.71, [3.62, 3.64, 3.66, 3.68, 3.7]),
    ],
)
def test_round_ticks(low, high, ticks):
    assert scales.RoundLog().tick_values(low, high) == pytest.approx(ticks)


@settings(max_examples=200, deadline=None)
@given(st.floats(-8, 20), st.floats(0.01, 18))
def test_any_log_axis_gets_a_few_ticks_inside_it(start, decades):
    low, high = 10.0**start, 10.0 ** (start + decades)
    ticks = scales.RoundLog().tick_values(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert list(ticks) == sorted(set(ticks))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 2.0), (1.0, math.inf), (2.0, 2.0)])
def test_an_axis_without_a_log_range_has_no_ticks(low, high):
    assert list(scales.RoundLog().tick_values(low, high)) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(12, "12"), (1536, "1.5k"), (98304, "98k"), (221184, "221k"), (393216, "393k"),
     (500736, "500k"), (999_999, "1M"), (2e6, "2M"), (1.2e9, "1.2B"), (3e12, "3T"), (0, "0")],
)  # fmt: skip
def test_counts(value, text):
    assert scales.count(value) == text


def test_powers_of_ten():
    assert scales.power_of_ten(1e16) == "$10^{16}$"
    assert scales.power_of_ten(3e16) == r"$3\!\times\!10^{16}$"
    assert scales.power_of_ten(1e3 * (1 - 1e-12)) == "$10^{3}$"


def test_plain_decimals_share_their_places():
    assert scales.PlainDecimals().format_ticks([2, 2.5, 3]) == ["2.0", "2.5", "3.0"]
    assert scales.PlainDecimals().format_ticks([2, 3, 10]) == ["2", "3", "10"]


def test_labels_are_moved_apart_as_little_as_possible():
    assert spaced([0.0, 0.5, 0.9], 0.2) == pytest.approx([0.0, 0.5, 0.9])
    # Three at one height: the middle one stays. A clash drags in the neighbour it runs into.
    assert spaced([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spaced([0.0, 0.05, 0.9], 0.1, (0.05, 0.95)) == pytest.approx([0.05, 0.15, 0.9])
    assert spaced([0.9, 0.95, 0.99], 0.1, (0.05, 0.95)) == pytest.approx([0.75, 0.85, 0.95])
    assert spaced([0.0, 0.0, 0.1, 0.8], 0.1) == pytest.approx([-1 / 15, 1 / 30, 2 / 15, 0.8])


def test_limits_leave_room_even_around_one_value():
    low, high = scales.padded([1e3, 1e5], 0.1)
    assert (low, high) == pytest.approx((10**2.8, 10**5.2))
    assert scales.padded([5.0])[0] < 5.0 < scales.padded([5.0])[1]
    assert scales.padded([math.nan, -1.0]) == (0.1, 10.0)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.0761, 0.0702, 0.0812), "$0.076$ [0.070, 0.081]"),
        ((0.5, 0.2, 0.9), "$0.50$ [0.20, 0.90]"),
        ((482.0, 380.0, 610.0), "$482$ [380, 610]"),
        ((8.8e13, 6e13, 1.2e14),
         r"$8.8\!\times\!10^{13}$ [$6.0\!\times\!10^{13}$, $1.2\!\times\!10^{14}$]"),
        ((0.076, None, None), "$0.076$"),
        ((0.1, 0.1, 0.1), "$0.1$ [$0.1$, $0.1$]"),
    ],
)  # fmt: skip
def test_estimates_are_rounded_to_their_interval(values, text):
    assert estimate(*values) == text


def test_a_small_miss_is_told_in_powers_of_ten():
    row = {"value": 3.36, "low": 3.339, "high": 3.371}
    assert verdict(row, 3.371 + 3e-5) == r"missed by $3\!\times\!10^{-5}$"
    assert verdict(row, 3.391) == "missed by 0.02"
    assert verdict(row, 3.35) == "held"


def test_numbers():
    assert number(1000.0) == "1000"
    assert number(0.0) == "0"
    assert number(math.nan) == r"\mathrm{unknown}"
    assert number(2e-5) == r"2.0\!\times\!10^{-5}"


@pytest.fixture
def fit(tmp_path):
    def made(name: str, few: bool = False):
        figure_data.write_fit(tmp_path / name, name, figure_data.runs(), few)
        return fitted_law(Path(tmp_path / name))

    return made


def test_r_squared_is_the_squared_correlation_of_a_linear_fit(fit):
    found = fit("power_params")
    x = np.log([row["params"] for row in found.points])
    y = np.log([row["observed"] for row in found.points])
    assert found.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=1e-9)


def test_bands_and_optima_come_from_the_stored_replicates(fit):
    found = fit("kaplan")
    grid = np.array([1e4, 1e5])
    low, high = found.band(params=grid, tokens=np.array([1e6, 1e6]))
    line = found.predict(params=grid, tokens=np.array([1e6, 1e6]))
    assert line == pytest.approx(figure_data.truth(grid, np.array([1e6, 1e6])))
    assert (low < line).all()
    assert (line < high).all()
    flops = np.array([1e12, 1e14])
    best = found.optimum(flops)
    assert 6 * best["params"].mid * best["tokens"].mid == pytest.approx(flops)
    assert fit("power_params").optimum(flops) == {}
    refused = fit("chinchilla", few=True)
    assert (refused.drawable, refused.has_intervals, refused.optimum(flops)) == (False, False, {})


def test_doubts_name_the_parameter_or_speak_for_the_whole_fit(fit):
    assert fit("chinchilla").doubts == [
        "$E$: No run comes near the floor: from 0 to 2.1 nats/token fit about as well."
    ]
    assert fit("kaplan", few=True).doubts == ["2 runs cannot determine 4 parameters; add runs."]
    assert fit("kaplan").doubts == []
