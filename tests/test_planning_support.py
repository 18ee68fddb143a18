"""Distance from the runs, and how it widens intervals."""

import math

import numpy as np
import pytest

from pipeline.planning.support import (
    Estimate,
    Reach,
    Span,
    Support,
    error_growth,
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


def predicted_one(factor, error, noise=None, compared=True):
    """A row of a backtest whose prediction is 1; ``noise`` is what its 90 % interval stands for."""
    ends = (
        (None, None)
        if noise is None
        else (math.exp(-1.6448536 * noise), math.exp(1.6448536 * noise))
    )
    return {
        "extrapolation": factor, "observed": math.exp(error), "predicted": 1.0, "low": ends[0],
        "high": ends[1], "level": 0.9, "compared": compared,
    }  # fmt: skip


def test_the_rate_recovers_an_error_that_grows_with_the_logarithm():
    """Errors drawn with standard deviation .01 ln f: the rate is the maximum-likelihood scale."""
    rng = np.random.default_rng(0)
    errors = 0.01 * math.log(10.0) * rng.standard_normal(4000)
    rows = [predicted_one(10.0, error) for error in errors]
    assert error_rate(rows) == pytest.approx(0.01, rel=0.05)
    assert error_growth(rows) == error_rate(rows)
    assert error_rate([rows[0] | {"extrapolation": 1.0}]) is None
    assert error_rate([rows[0] | {"predicted": math.nan}]) is None
    assert error_rate([]) is None


def test_noise_that_the_interval_holds_already_is_no_error_of_the_form():
    """Drawn noise of 2 and 4 %, stated as such, beside a form that errs by .01 ln f, or not."""
    rng = np.random.default_rng(1)
    factors, noise = np.tile([2.0, 30.0], 4000), np.repeat([0.02, 0.04], 4000)
    scatter = noise * rng.standard_normal(8000)
    for rate, least, most in ((0.01, 0.009, 0.011), (0.0, 0.0, 0.003)):
        wrong = rate * np.log(factors) * rng.standard_normal(8000)
        rows = [predicted_one(f, e, s) for f, e, s in zip(factors, wrong + scatter, noise)]
        assert least <= error_rate(rows) <= most
        raw = math.sqrt(rate**2 + (noise**2).sum() / (np.log(factors) ** 2).sum())
        assert error_growth(rows) == pytest.approx(raw, rel=0.05)


def test_errors_smaller_than_the_noise_give_no_rate_below_zero():
    assert error_rate([predicted_one(10.0, 0.01, 0.05), predicted_one(10.0, -0.02, 0.05)]) == 0


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
    assert with_rivals(FOUND, 31.0, [], REACH, told=True) == FOUND


@pytest.mark.parametrize("limits", [(0.5, 10), (30, 10), (math.nan, 10)])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(ValueError, match="1 <= supported <= refused"):
        Reach(*limits)
