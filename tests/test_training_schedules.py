"""Schedules at the points where their values are known."""

import math

import pytest
from training_data import cell

from pipeline.training.schedules import SCHEDULES, is_evaluated, lr_factor, lr_sum

RUN = {"steps": 100, "warmup_steps": 10, "cooldown_steps": 20}


def factors(**changes):
    made = cell(**{**RUN, **changes})
    return [lr_factor(made, step) for step in range(made.steps)]


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_warmup_is_linear_and_ends_at_the_peak(schedule):
    assert factors(schedule=schedule, final_lr=0.1)[:11] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0]
    )


def test_wsd_is_flat_then_falls_in_a_line():
    found = factors()
    assert set(found[10:81]) == {1.0}
    assert found[80:] == pytest.approx([1 - k / 20 for k in range(20)])
    assert factors(final_lr=0.5)[90] == pytest.approx(0.75)


def test_linear_and_cosine_reach_half_way_at_half_time():
    assert factors(schedule="linear")[55] == pytest.approx(0.5)
    assert factors(schedule="cosine")[55] == pytest.approx(0.5)
    assert factors(schedule="cosine", final_lr=0.1)[55] == pytest.approx(0.55)
    # A quarter of the way down, cosine is at (1 + cos(pi / 3)) / 2 = 3 / 4 after a third.
    assert factors(schedule="cosine")[40] == pytest.approx(0.75)


def test_powers_decay_faster_and_slower_than_a_line():
    line = factors(schedule="linear", final_lr=0.1)
    assert factors(schedule="polynomial", final_lr=0.1) == pytest.approx(line)
    # Half way down at power 2 a quarter of the fall is left, at power 1/2 its square root.
    assert factors(schedule="polynomial", schedule_power=2.0)[55] == pytest.approx(0.25)
    assert factors(schedule="polynomial", schedule_power=0.5)[55] == pytest.approx(math.sqrt(0.5))
    assert factors(schedule="exponential", final_lr=0.01)[55] == pytest.approx(0.1)


def test_inverse_square_root_halves_in_four_times_the_steps():
    found = factors(schedule="inverse_sqrt")
    assert found[40] == pytest.approx(0.5)  # four times the warmup's ten
    assert found[90] == pytest.approx(1 / 3)
    assert factors(schedule="inverse_sqrt", final_lr=0.2)[40] == pytest.approx(0.6)


def test_the_sum_of_rates_against_closed_forms():
    # Warmup 0.1 + ... + 1.0 = 5.5; then ninety steps.
    made = {**RUN, "lr": 0.5}
    sums = {
        "constant": 90.0, "linear": 45.5, "cosine": 45.5, "wsd": 70 + 10.5,
        "exponential": 0.99 / (1 - 0.01 ** (1 / 90)),
    }  # fmt: skip
    for schedule, expected in sums.items():
        final = {"exponential": 0.01}.get(schedule, 0.0)
        one = cell(**made, schedule=schedule, final_lr=final)
        assert lr_sum(one, 100) == pytest.approx(0.5 * (5.5 + expected))
        assert lr_sum(one, 10) == pytest.approx(0.5 * 5.5)


def test_constant_stays():
    assert set(factors(schedule="constant", cooldown_steps=0)[10:]) == {1.0}


def test_a_trunk_does_not_depend_on_how_far_its_cells_go():
    short, long = factors(), factors(steps=200, cooldown_steps=40)
    assert short[:80] == long[:80]


def test_no_update_is_spent_at_rate_zero():
    for schedule in set(SCHEDULES) - {"exponential"}:
        assert min(factors(schedule=schedule)) > 0


def test_evaluations_at_powers_of_two_after_the_warmup_and_at_the_end():
    made = cell(**RUN)
    assert [s for s in range(1, 101) if is_evaluated(made, s)] == [16, 32, 64, 100]
    twice = cell(**RUN, evaluations_per_octave=2)
    assert [s for s in range(1, 101) if is_evaluated(twice, s)] == [11, 16, 23, 32, 45, 64, 91, 100]


def test_without_warmup_the_first_step_is_evaluated():
    made = cell(steps=5, warmup_steps=0, cooldown_steps=1)
    assert [s for s in range(1, 6) if is_evaluated(made, s)] == [1, 2, 4, 5]
