"""Schedules at the points where their values are known."""

import pytest
from training_data import cell

from pipeline.training.schedules import is_evaluated, lr_factor

RUN = {"steps": 100, "warmup_steps": 10, "cooldown_steps": 20}


def factors(**changes):
    made = cell(**{**RUN, **changes})
    return [lr_factor(made, step) for step in range(made.steps)]


@pytest.mark.parametrize("schedule", ["wsd", "cosine", "linear", "constant"])
def test_warmup_is_linear_and_ends_at_the_peak(schedule):
    assert factors(schedule=schedule)[:11] == pytest.approx(
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


def test_constant_stays():
    assert set(factors(schedule="constant", cooldown_steps=0)[10:]) == {1.0}


def test_a_trunk_does_not_depend_on_how_far_its_cells_go():
    short, long = factors(), factors(steps=200, cooldown_steps=40)
    assert short[:80] == long[:80]


def test_no_update_is_spent_at_rate_zero():
    for schedule in ("wsd", "cosine", "linear", "constant"):
        assert min(factors(schedule=schedule)) > 0


def test_evaluations_at_powers_of_two_after_the_warmup_and_at_the_end():
    made = cell(**RUN)
    assert [s for s in range(1, 101) if is_evaluated(made, s)] == [16, 32, 64, 100]
    twice = cell(**RUN, evaluations_per_octave=2)
    assert [s for s in range(1, 101) if is_evaluated(twice, s)] == [11, 16, 23, 32, 45, 64, 91, 100]


def test_without_warmup_the_first_step_is_evaluated():
    made = cell(steps=5, warmup_steps=0, cooldown_steps=1)
    assert [s for s in range(1, 6) if is_evaluated(made, s)] == [1, 2, 4, 5]
