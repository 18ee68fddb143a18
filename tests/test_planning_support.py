"""Distance from the runs, and how it widens intervals."""

import math

import numpy as np
import pytest

from pipeline.planning.support import (
    Estimate,
    Reach,
    Span,
    Support,
    error_rate,
    with_form_error,
    with_rivals,
)

SUPPORT = Support(Span(1e6, 1e9), Span(1e9, 1e11), Span(1e17, 2e20))
FOUND = Estimate(2.0, 1.9, 2.2)
REACH = Reach(30, 1000)


def test_factors_count_times_beyond_either_end():
    assert SUPPORT.factors(1e8, 1e10) == {"params": 1, "tokens": 1, "flops": 1}
    far = SUPPORT.factors(5e9, 5e8)
    assert far["params"] == pytest.approx(5)
    assert far["tokens"] == pytest.approx(2)
    assert far["flops"] == 1
    assert SUPPORT.factors(1e10, 1e12)["flops"] == pytest.approx(6e22 / 2e20)


def predicted_one(factor, error, compared=True):
    """A row of a backtest whose prediction is 1."""
    return {
        "extrapolation": factor, "observed": math.exp(error), "predicted": 1.0,
        "compared": compared,
    }  # fmt: skip


def test_the_rate_recovers_an_error_that_grows_with_the_logarithm():
    """Errors drawn with standard deviation .01 ln f: the rate is the maximum-likelihood scale."""
    rng = np.random.default_rng(0)
    errors = 0.01 * math.log(10.0) * rng.standard_normal(4000)
    rows = [predicted_one(10.0, error) for error in errors]
    assert error_rate(rows) == pytest.approx(0.01, rel=0.05)
    assert error_rate([rows[0] | {"extrapolation": 1.0}]) is None
    assert error_rate([rows[0] | {"predicted": math.nan}]) is None
    assert error_rate([]) is None


def test_noise_is_part_of_the_rate():
    """The root of sum(error^2) / sum((ln f)^2): a form that errs by .01 ln f, and 2 % of noise."""
    rng = np.random.default_rng(1)
    factors = np.tile([2.0, 30.0], 4000)
    errors = np.log(factors) * 0.01 * rng.standard_normal(8000) + 0.02 * rng.standard_normal(8000)
    rows = [predicted_one(f, e) for f, e in zip(factors, errors)]
    expected = math.sqrt(0.01**2 + 0.02**2 / (np.log(factors) ** 2).mean())
    assert error_rate(rows) == pytest.approx(expected, rel=0.03)


def test_only_compared_predictions_count_where_there_are_any():
    apart = [predicted_one(10.0, 0.5, compared=False), predicted_one(10.0, 0.02, compared=True)]
    assert error_rate(apart) == pytest.approx(0.02 / math.log(10.0))
    assert error_rate(apart[:1]) == pytest.approx(0.5 / math.log(10.0))


def test_form_error_adds_in_quadrature_at_the_level_of_the_interval():
    wide = with_form_error(FOUND, math.e, 0.02, 0.9)
    form = 1.6448536 * 0.02
    assert math.log(2.0 / wide.low) == pytest.approx(math.hypot(math.log(2 / 1.9), form), rel=1e-6)
    assert math.log(wide.high / 2.0) == pytest.approx(math.hypot(math.log(1.1), form), rel=1e-6)
    assert with_form_error(FOUND, 1.0, 0.02, 0.9) == FOUND
    assert with_form_error(FOUND, 50.0, None, 0.9) == FOUND


def test_it_grows_with_distance():
    widths = [np.ptp(with_form_error(FOUND, f, 0.01, 0.9)[1:]) for f in (2, 10, 100, 1000)]
    assert (np.diff(widths) > 0).all()


def test_rivals_count_only_beyond_the_supported_distance():
    assert with_rivals(FOUND, 30.0, [1.0, 9.0], REACH) == FOUND
    assert with_rivals(FOUND, 31.0, [1.0, 2.1, math.nan], REACH) == Estimate(2.0, 1.0, 2.2)


def test_one_law_alone_gives_no_interval_far_out():
    alone = with_rivals(FOUND, 31.0, [], REACH)
    assert alone.value == 2.0
    assert not alone.known
    assert with_rivals(FOUND, 31.0, [], REACH, told=True) == FOUND  # the backtest is in it


def test_no_interval_shrinks_for_a_backtest_or_a_rival():
    for factor in (3.0, 31.0, 500.0):
        for rivals in ([], [1.95], [1.0, 9.0]):
            for rate in (0.0, 0.01):
                wide = with_rivals(
                    with_form_error(FOUND, factor, rate, 0.9), factor, rivals, REACH, told=True
                )
                assert wide.low <= FOUND.low * (1 + 1e-12)
                assert wide.high >= FOUND.high * (1 - 1e-12)


def test_a_ratio_has_the_doubt_of_both():
    ratio = FOUND.over(Estimate(4.0, 3.0, 5.0))
    assert ratio.value == 0.5
    low = math.hypot(math.log(2 / 1.9), math.log(5 / 4))
    high = math.hypot(math.log(1.1), math.log(4 / 3))
    assert math.log(0.5 / ratio.low) == pytest.approx(low)
    assert math.log(ratio.high / 0.5) == pytest.approx(high)
    assert FOUND.over(Estimate(4.0)) == pytest.approx(FOUND.times(0.25))
    assert not Estimate(1.0).over(Estimate(2.0)).known


@pytest.mark.parametrize("limits", [(0.5, 10), (30, 10), (math.nan, 10)])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(ValueError, match="1 <= supported <= refused"):
        Reach(*limits)
