"""Power laws of one variable: the least compute, and the runs that it is measured on."""

import numpy as np
import pytest
from law_data import arrays, runs

from pipeline.laws import law
from pipeline.laws.base import Runs

PF_DAY = 8.64e19  # FLOP


def test_loss_at_one_petaflop_day_of_least_compute():
    """Kaplan et al. 2020, eq. 1.3 with table 5: 3.1e8 PF-days and 0.050, so (3.1e8)^0.05 = 2.66."""
    values = arrays({"Cc_min": 3.1e8 * PF_DAY, "alpha_C_min": 0.050})
    loss = law("power_compute_min").predict(values, {"flops_min": np.array([PF_DAY])})
    assert loss[0] == pytest.approx(2.658, abs=5e-4)


def test_least_compute_has_a_frontier_of_its_own():
    """The second run beats none at its FLOP, but needs fewest of a small batch."""
    data = runs([1.0, 2.0, 3.0], [1.0] * 3, [3.0, 3.5, 2.5])
    data = Runs(data.cell, {**data.columns, "flops_min": np.array([5.0, 1.0, 9.0])})
    assert law("power_compute").select(data).mask.tolist() == [True, False, True]
    assert law("power_compute_min").select(data).mask.tolist() == [True, True, True]


def test_runs_without_least_compute_are_refused_by_name():
    with pytest.raises(KeyError, match="flops_min.*C_min.*params, tokens, flops, loss"):
        law("power_compute_min").select(runs([1.0], [1.0], [3.0]))


@pytest.mark.parametrize("name", ["power_params", "power_tokens", "power_compute_min"])
def test_loss_is_one_at_the_scale_and_falls_by_the_exponent(name):
    found = law(name)
    scale, exponent = (p.name for p in found.parameters)
    x = {found.inputs[0]: 1e12 * np.array([1.0, 0.5, 2.0])}
    got = found.predict(arrays({scale: 1e12, exponent: 0.076}), x)
    np.testing.assert_allclose(got, [1.0, 1 / 0.9487, 0.9487], rtol=1e-4)  # 2^-0.076 = 0.9487
