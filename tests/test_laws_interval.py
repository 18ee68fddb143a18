"""Percentiles of bootstrap samples."""

import numpy as np
import pytest

from pipeline.laws.interval import around, interval


def test_interval_is_central_and_per_column():
    samples = np.stack([np.arange(101.0), 2 * np.arange(101.0)], axis=1)
    low, high = interval(samples, 0.9)
    np.testing.assert_allclose(low, [5, 10])
    np.testing.assert_allclose(high, [95, 190])


def test_interval_needs_defined_samples():
    samples = np.tile(np.arange(100.0)[:, None], 2)
    samples[:6, 1] = np.nan  # more than the 5 % beyond one end
    low, high = interval(samples, 0.9)
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(interval(samples[:9], 0.9)[0]).all()


def test_infinite_samples_are_undefined():
    samples = np.arange(100.0)[:, None]
    samples[97:] = np.inf  # within the 5 % beyond one end
    low, high = interval(samples, 0.9)
    np.testing.assert_allclose([low[0], high[0]], [0.05 * 96, 0.95 * 96])


def test_one_number_has_an_interval_where_enough_of_its_samples_are_defined():
    assert around(np.arange(101.0), 0.9) == pytest.approx((5, 95))
    assert around([], 0.9) == (None, None)
    assert around(np.full(50, np.nan), 0.9) == (None, None)
    assert around(np.full(50, np.inf), 0.9) == (None, None)
