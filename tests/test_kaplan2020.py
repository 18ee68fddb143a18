"""The algebra of Kaplan et al. 2020 against the numbers it prints and direct minimisation."""

import numpy as np
import pytest
from scipy import optimize

from pipeline.kaplan2020 import (
    PAPER,
    PF_DAY,
    BatchLaw,
    Power,
    StepsLaw,
    Trend,
    compute_exponent,
    convergence,
    crossing,
    earliest_stop,
    excess_of_size,
    fewest_steps,
    flops_to_loss,
    frontier,
    frontier_scale,
    growth,
    least_flops,
    loss_of_budget,
    params_of,
    relative_overfit,
    steps_of,
    tokens_against_overfit,
    tokens_at_steps,
    tokens_of,
)  # fmt: skip
from pipeline.laws import law

STEPS, BATCH, DATA = PAPER.steps, PAPER.batch, PAPER.data


@pytest.mark.parametrize(("alpha_n", "want"), [(0.076, 0.0520), (0.077, 0.0525)])
def test_compute_exponent_of_the_printed_exponents(alpha_n, want):
    steps = StepsLaw(STEPS.Nc, alpha_n, STEPS.Sc, STEPS.alpha_S)
    assert compute_exponent(steps, BATCH) == pytest.approx(want, abs=5e-5)


def test_growth_of_size_batch_and_steps():
    found = growth(STEPS, BATCH)
    assert found.params == pytest.approx(0.681, abs=5e-4)  # table 6 measures 0.73
    assert sum(found) == pytest.approx(1.0, rel=1e-14)
    assert found.tokens == pytest.approx(1 - found.params, rel=1e-14)
    times = found.times(1e9)
    assert times.params * times.batch * times.steps == pytest.approx(1e9, rel=1e-12)


@pytest.mark.parametrize(("loss", "want"), [(2, 7.4e6), (2.5, 2.55e6), (3, 1.07e6), (4, 2.7e5)])
def test_critical_batch_with_the_constant_of_eq_1_4(loss, want):
    assert BatchLaw(2e8, 0.21).at(loss) == pytest.approx(want, rel=0.01)


def test_critical_batch_doubles_for_a_loss_lower_by_an_eighth():
    assert BATCH.at(0.87) / BATCH.at(1.0) == pytest.approx(1.94, abs=0.005)


def test_frontier_at_one_pf_day():
    assert frontier_scale(STEPS, BATCH) == pytest.approx(1.39e28, rel=5e-3)
    assert frontier_scale(STEPS, BATCH) / PF_DAY == pytest.approx(1.61e8, rel=5e-3)
    best = frontier(STEPS, BATCH, PF_DAY)
    assert best.loss == pytest.approx(2.694, abs=5e-4)
    assert best.params == pytest.approx(5.84e8, rel=1e-3)
    assert best.steps == pytest.approx(1.32e4, rel=5e-3)
    assert 6 * best.params * best.batch * best.steps == pytest.approx(PF_DAY, rel=1e-12)
    assert STEPS.at(best.params, best.steps) == pytest.approx(best.loss, rel=1e-12)
    ratio = STEPS.alpha_N / STEPS.alpha_S  # eq. B.5
    assert best.loss == pytest.approx((1 + ratio) * STEPS.unlimited(best.params), rel=1e-12)


@pytest.mark.parametrize("flops", [1e-4 * PF_DAY, PF_DAY, 1e4 * PF_DAY])
def test_frontier_is_the_minimum_over_sizes(flops):
    best = frontier(STEPS, BATCH, flops)
    found = optimize.minimize_scalar(
        lambda log_n: float(loss_of_budget(STEPS, BATCH, np.exp(log_n), flops)),
        bounds=(np.log(best.params) - 3, np.log(best.params) + 3), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert found.fun == pytest.approx(best.loss, rel=1e-12)
    assert np.exp(found.x) == pytest.approx(best.params, rel=1e-5)


def test_loss_of_a_budget_solves_its_equation():
    params, flops = np.geomspace(1e3, 1e12, 10)[:, None], np.geomspace(1e12, 1e26, 8)
    loss = loss_of_budget(STEPS, BATCH, params, flops)
    pull = 6 * BATCH.B * STEPS.Sc * params / (loss ** (1 / BATCH.alpha_B) * flops)
    np.testing.assert_allclose(STEPS.unlimited(params) + pull**STEPS.alpha_S, loss, rtol=1e-12)
    np.testing.assert_allclose(
        flops_to_loss(STEPS, BATCH, params[-3:], loss[-3:]),
        np.broadcast_to(flops, (3, 8)), rtol=1e-9,
    )  # fmt: skip
    assert flops_to_loss(STEPS, BATCH, 1e6, 2.0) == np.inf


def test_price_of_another_size():
    small, large = (excess_of_size(STEPS, factor) for factor in (0.6, 2.2))
    assert small.flops == pytest.approx(1.165, abs=5e-4)
    assert large.flops == pytest.approx(1.204, abs=5e-4)
    assert large.steps == pytest.approx(0.547, abs=5e-4)
    assert excess_of_size(STEPS, 1.0).flops == 1.0
    assert excess_of_size(STEPS, 0.01).flops == np.inf


def test_price_of_another_size_is_that_of_the_loss():
    best = frontier(STEPS, BATCH, PF_DAY)
    for factor in (0.6, 2.2):
        flops = flops_to_loss(STEPS, BATCH, factor * best.params, best.loss)
        assert flops / PF_DAY == pytest.approx(excess_of_size(STEPS, factor).flops, rel=1e-10)


def test_training_to_convergence_against_stopping_early():
    found = convergence(STEPS, STEPS.alpha_N / STEPS.alpha_S, 0.02)
    assert found.params == pytest.approx(2.71, abs=5e-3)
    assert found.steps == pytest.approx(0.131, abs=5e-4)
    assert found.flops == pytest.approx(0.354, abs=5e-4)


def test_tokens_that_avoid_overfitting():
    """5e3 N^0.74 is that of a relative penalty of 0.02; an absolute one asks for three times it."""
    for params in (1e7, 1e8, 1e9):
        tokens = tokens_against_overfit(DATA, params, 0.02)
        assert relative_overfit(DATA, params, tokens) == pytest.approx(0.02, rel=1e-12)
    scale = 1e8**0.74
    assert tokens_against_overfit(DATA, 1e8, 0.02) / scale == pytest.approx(5.3e3, rel=0.01)
    absolute = tokens_against_overfit(DATA, 1e8, 0.02 / DATA.unlimited(1e8))
    assert absolute / scale == pytest.approx(1.5e4, rel=0.05)


def test_laws_are_those_of_the_registry():
    params, tokens, steps = np.array([1e6, 1e9]), np.array([1e8, 1e11]), np.array([1e3, 1e5])
    data = law("kaplan").predict(
        {k: np.asarray(v) for k, v in vars(DATA).items()}, {"params": params, "tokens": tokens}
    )
    np.testing.assert_allclose(DATA.at(params, tokens), data, rtol=1e-13)
    along = law("kaplan_steps").predict(
        {k: np.asarray(v) for k, v in vars(STEPS).items()}, {"params": params, "steps_min": steps}
    )
    np.testing.assert_allclose(STEPS.at(params, steps), along, rtol=1e-13)


def test_batches_trade_steps_for_tokens():
    loss, batch, steps = 3.0, 5e5, 1e4
    fewest = fewest_steps(BATCH, steps, batch, loss)
    tokens = tokens_at_steps(steps, fewest, BATCH.at(loss) * fewest)  # eq. 5.2
    assert tokens == pytest.approx(batch * steps, rel=1e-12)
    flops = 6e8 * tokens
    least = least_flops(BATCH, flops, batch, loss)
    assert least == pytest.approx(6e8 * BATCH.at(loss) * fewest, rel=1e-12)


def test_earliest_stop_undoes_the_learning_curve():
    stop = earliest_stop(STEPS, DATA, 1e8, 1e9)
    lost = DATA.at(1e8, 1e9) - DATA.unlimited(1e8)
    assert (STEPS.Sc / stop) ** STEPS.alpha_S == pytest.approx(lost, rel=1e-10)
    assert earliest_stop(STEPS, DATA, 1e8, 1e10) > stop
    assert earliest_stop(STEPS, DATA, 1e8, np.inf) == np.inf


def test_crossing_of_compute_and_data():
    """Eq. 6.8 prints 1e4 PF-days, 1e12 parameters and a loss of 1.7."""
    table = crossing(PAPER.compute, PAPER.tokens, PAPER.tokens_of, PAPER.params_of)
    assert table.flops / PF_DAY == pytest.approx(1.12e4, rel=5e-3)
    assert table.loss == pytest.approx(1.67, abs=5e-3)
    assert table.params == pytest.approx(1.2e12, rel=0.03)
    assert PAPER.tokens.at(table.tokens) == pytest.approx(table.loss, rel=1e-12)
    text = crossing(PAPER.compute, PAPER.tokens, Trend(4e10, 0.26), PAPER.params_of)
    assert text.flops / PF_DAY == pytest.approx(1.1e5, rel=0.05)
    assert text.loss == pytest.approx(1.49, abs=5e-3)


@pytest.mark.parametrize(("alpha", "want"), [(0.048, 2.9e5), (0.054, 2.2e4)])
def test_crossing_moves_tenfold_with_the_third_digit_of_the_exponent(alpha, want):
    one = PAPER.compute.at(PF_DAY)  # the loss at one PF-day stays
    compute = Power(PF_DAY * one ** (1 / alpha), alpha)
    found = crossing(compute, PAPER.tokens, Trend(4e10, 0.26), PAPER.params_of)
    assert found.flops / PF_DAY == pytest.approx(want, rel=0.05)


def test_the_best_run_is_a_power_law_of_compute():
    """Far from the PF-day that the factors stand for, the trends are the frontier itself."""
    params = params_of(STEPS, BATCH)
    tokens = tokens_of(params)
    for flops in (1e12, 1e26):
        best = frontier(STEPS, BATCH, flops)
        assert params.at(flops) == pytest.approx(best.params, rel=1e-10)
        assert steps_of(STEPS, BATCH).at(flops) == pytest.approx(best.steps, rel=1e-10)
        # At the critical batch a run has seen 2 S_min batches of it.
        assert tokens.at(flops) == pytest.approx(2 * best.steps * best.batch, rel=1e-10)
