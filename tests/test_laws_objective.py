"""The objective's derivatives, and what an asymmetric one leaves on either side of a law."""

import numpy as np
import pytest
from law_data import runs

from pipeline.laws import law
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import LEAST_ABSOLUTE, LEAST_SQUARES, Objective

RESIDUALS = np.array([-0.05, -0.012, -0.004, 0.003, 0.008, 0.06])


def line(count):
    """Runs of a power law with five per cent of noise."""
    n = np.geomspace(1e6, 1e9, count)
    noise = np.exp(0.05 * np.random.default_rng(8).standard_normal(count))
    return runs(n, np.full(count, 1e10), (8.8e13 / n) ** 0.076 * noise)


def residuals(asymmetry, delta, count=200):
    """Log observed - log predicted of the fit of an asymmetric objective."""
    data = line(count)
    options = Options(Objective(delta, asymmetry), bootstraps=0, profile=False)
    return np.log(data.loss) - np.log(fit(law("power_params"), data, options).predicted)


@pytest.mark.parametrize("asymmetry", [0.5, 0.3, 0.9])
@pytest.mark.parametrize("delta", [0.01, LEAST_SQUARES])
def test_slope_and_bend_are_those_of_differences(asymmetry, delta):
    of, step = Objective(delta, asymmetry), 1e-6
    ahead, behind = RESIDUALS + step, RESIDUALS - step
    slope = (of.cost(ahead) - of.cost(behind)) / (2 * step)
    np.testing.assert_allclose(of.slope(RESIDUALS), slope, rtol=1e-6)
    bend = (of.slope(ahead) - of.slope(behind)) / (2 * step)
    np.testing.assert_allclose(of.bend(RESIDUALS), bend, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("asymmetry", [0.5, 0.3, 0.9])
def test_the_solver_sees_the_same_objective(asymmetry):
    of, weights = Objective(0.01, asymmetry), np.linspace(0.5, 2, 6)
    cost, slope, bend, above = of.parts(RESIDUALS, weights)
    assert cost == pytest.approx((weights * of.cost(RESIDUALS)).sum(), rel=1e-12)
    np.testing.assert_allclose(slope, weights * of.slope(RESIDUALS), rtol=1e-12)
    np.testing.assert_allclose(bend, weights * of.bend(RESIDUALS), rtol=1e-12)
    np.testing.assert_allclose(above * RESIDUALS, slope, rtol=1e-12)


@pytest.mark.parametrize("asymmetry", [0.1, 0.5, 0.9])
def test_a_small_delta_gives_a_quantile(asymmetry):
    """Of 200 runs and a line: at most q on one side, at most 1 - q on the other (Koenker 1978)."""
    residual = residuals(asymmetry, LEAST_ABSOLUTE)
    on_it = np.abs(residual) < 1e-5
    assert on_it.sum() == 2  # as many as parameters
    below, above = (residual[~on_it] < 0).sum(), (residual[~on_it] > 0).sum()
    assert below <= 200 * asymmetry <= below + 2
    assert above <= 200 * (1 - asymmetry) <= above + 2


@pytest.mark.parametrize("asymmetry", [0.2, 0.5, 0.8])
def test_a_large_delta_gives_an_expectile(asymmetry):
    """Where q times the sum above is 1 - q times that below (Newey and Powell 1987)."""
    residual = residuals(asymmetry, LEAST_SQUARES)
    above, below = residual[residual > 0].sum(), -residual[residual < 0].sum()
    assert asymmetry * above == pytest.approx((1 - asymmetry) * below, rel=1e-6)
