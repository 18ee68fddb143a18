import pytest
from test_cells_parts import alone, cell

from pipeline.cells import durations


def test_a_step_takes_its_flop_and_its_layers():
    one, longer = cell(1_024_000), cell(2_048_000)
    for precision, (rate, layer) in {"bf16": (1.3e11, 1.25e-3), "fp32": (4.5e10, 2.2e-3)}.items():
        told = durations.seconds(one, 100, precision)
        flops = one.flops_exact * 100 / one.steps
        assert told == pytest.approx(flops / rate + 100 * one.n_layer * layer)
        assert durations.seconds(longer, 100, precision) == pytest.approx(told)


def test_layers_take_their_time_each_time_they_are_applied():
    recurrent = cell(1_024_000, family="recurrent", reuse=3)
    flops = recurrent.flops_exact * 100 / recurrent.steps
    more = 100 * 3 * recurrent.n_layer * 2.2e-3 + flops / 4.5e10
    assert durations.seconds(recurrent, 100, "fp32") == pytest.approx(more)


def test_a_trunk_is_gone_through_once_and_every_branch_by_itself():
    short, long = cell(1_000_000), cell(2_000_000)
    assert list(durations.stages([long, short])) == [
        (long, long.cooldown_steps), (short, short.cooldown_steps), (long, long.stable_steps),
    ]  # fmt: skip
    lone = alone(1_000_000)
    assert list(durations.stages([lone])) == [(lone, lone.steps)]
