"""Farseer: its bent terms against quadrature, and coordinates at which floats would overflow."""

import warnings

import numpy as np
import pytest
from law_data import TRUTH, arrays
from scipy.integrate import quad

from pipeline.laws import law
from pipeline.laws.farseer import STRAIGHT, _powers


@pytest.mark.parametrize("z", [-20.0, -1.5, -STRAIGHT, -1e-9, 0.0, 0.1, 0.2999, 0.3001, 4.0])
def test_powers_are_integrals_of_an_exponential(z):
    u = 2.5  # (exp(p u) - 1)/p = u times the integral of exp(p u t) over t from 0 to 1
    found = _powers(np.array(z / u), np.array(u))
    for order, value in enumerate(found):
        known, _ = quad(lambda t, k=order: t**k * np.exp(z * t), 0, 1, epsabs=0, epsrel=1e-13)
        assert float(value) == pytest.approx(u ** (order + 1) * known, rel=1e-11)


def test_repeated_sizes_are_those_of_single_ones():
    u = np.repeat([-2.0, 0.5, 3.0], 4)
    p = np.array([[0.2], [-0.7]])
    for all_, one in zip(_powers(p, u), _powers(p, np.array([-2.0, 0.5, 3.0])), strict=True):
        np.testing.assert_array_equal(all_, np.repeat(one, 4, axis=-1))


def test_wild_coordinates_make_no_warning():
    """A backtest of 25 runs has replicates this far out; they are of no use, and no alarm."""
    form = law("farseer")
    theta = form.theta(arrays(TRUTH["farseer"]))
    wild = theta + np.array([0, 0, 0, 0, 0, 0, 1e4, 40.0, 900.0]) * np.array([[1.0], [-1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = form.values(form.shifted(wild, np.array([18.0, 0.0])))
        form.log_target(wild, np.log([[1e7, 1e9], [1e9, 1e11]]))
    assert np.isfinite(values["S"]).all()
