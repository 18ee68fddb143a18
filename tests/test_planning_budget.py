"""Budgets in every unit become the same FLOP; impossible ones are refused with a cure."""

import math

import pytest

from pipeline.config import ConfigError, complete
from pipeline.planning import budget
from pipeline.planning.budget import GPUS, Machine, Unit, asked, flops, in_config, machine, option

MACHINE = Machine(speed=4e14, price=2.5, gpus=8)


def test_one_budget_in_four_units():
    """A PF-day is 1e15 FLOP/s for 86400 s; a GPU-hour here 4e14 FLOP/s for 3600 s."""
    hours = 8.64e19 / (4e14 * 3600)
    assert hours == pytest.approx(60)
    for unit, amount in (
        (Unit.FLOPS, 8.64e19),
        (Unit.PF_DAYS, 1),
        (Unit.GPU_HOURS, 60),
        (Unit.MONEY, 150),
    ):
        assert flops(unit, amount, MACHINE) == pytest.approx(8.64e19, rel=1e-12)


def given(**keys):
    """What a command line or a config tells of a machine."""
    return {"gpu": None, **dict.fromkeys(budget.MACHINE), "gpus": 1, **keys}


def test_speed_from_utilisation_and_from_measured_tokens():
    found = machine(given(gpu="h100", mfu=0.4, gpus=8, price_per_gpu_hour=2), option)
    assert found == Machine(pytest.approx(3.956e14), 2.0, 80e9, 8)
    own = machine(given(gpu="h100", peak_flops=1e15, gpu_memory="4e10", mfu=0.4), option)
    assert own == Machine(pytest.approx(4e14), None, 4e10, 1)
    # 10,000 tokens/s of a model of 6.66e9 parameters: 6 N each.
    measured = machine(given(tokens_per_second=1e4, measured_params=6.66e9), option)
    assert measured.speed == pytest.approx(3.996e14)
    assert machine(given(gpu="h100"), option) == Machine(None, None, 80e9, 1)


@pytest.mark.parametrize("spelled", [option, in_config])
@pytest.mark.parametrize(
    ("keys", "named", "cures"),
    [
        ({"mfu": 0.4}, "mfu", ["gpu", "peak_flops"]),
        ({"peak_flops": 1e15, "mfu": 1.4}, "mfu", []),
        ({"tokens_per_second": 1e4}, "tokens_per_second", ["measured_params"]),
        (
            {"peak_flops": 1e15, "mfu": 0.4, "tokens_per_second": 1e4, "measured_params": 1e9},
            "mfu", ["tokens_per_second"],
        ),
        ({"gpu_memory": -1}, "gpu_memory", []),
        ({"price_per_gpu_hour": 0}, "price_per_gpu_hour", []),
    ],
)  # fmt: skip
def test_half_a_machine_is_refused_in_the_words_that_it_was_given_in(keys, named, cures, spelled):
    with pytest.raises(ConfigError) as error:
        machine(given(**keys), spelled)
    key, _, rest = str(error.value).partition(": ")
    assert key == spelled(named)
    assert rest.startswith(str(keys[named]))
    assert all(spelled(cure) in rest for cure in cures)


@pytest.mark.parametrize(
    ("unit", "machine", "cure"),
    [
        (Unit.GPU_HOURS, Machine(), "--gpu-hours: 10.0 needs the speed of a GPU; add --mfu"),
        (Unit.MONEY, Machine(), "--money: 10.0 needs the speed of a GPU; add --mfu"),
        (Unit.MONEY, Machine(speed=1e15), "--price-per-gpu-hour"),
        (Unit.TARGET_LOSS, MACHINE, "solve for it"),
    ],
)
def test_what_cannot_be_turned_into_compute_is_refused(unit, machine, cure):
    with pytest.raises(ValueError, match=cure):
        flops(unit, 10.0, machine)


@pytest.mark.parametrize("amount", [0.0, -1.0, math.nan, math.inf])
def test_an_amount_is_positive(amount):
    with pytest.raises(ValueError, match="--pf-days"):
        flops(Unit.PF_DAYS, amount, MACHINE)


def test_datasheet_peaks_are_dense():
    """With 2:4 sparsity NVIDIA prints twice these: 624, 1979 and 1979 TFLOP/s."""
    for name, sparse in (("a100", 624e12), ("h100", 1979e12), ("h200", 1979e12)):
        assert GPUS[name].peak == pytest.approx(sparse / 2, rel=1e-3)


def section(**changes):
    """The section ``plan`` of a study, complete."""
    source = {"name": "verse", "sources": [{"package": "poetry"}]}
    grid = {"sizes": [1e5], "tokens": [1e6]}
    return complete({"study": "small", "corpus": source, "grid": grid, "plan": changes})["plan"]


SPEED = {"mfu": 0.4, "peak_flops": "1e15"}


@pytest.mark.parametrize(
    ("keys", "unit", "flop"),
    [
        ({"budgets": ["1e20"]}, Unit.FLOPS, [1e20]),
        ({"pf_days": [1]}, Unit.PF_DAYS, [8.64e19]),
        # 4e14 FLOP/s for 3600 s, and 6 N D of 1e4 tokens a second for N = 1e9.
        ({"gpu_hours": [60], **SPEED}, Unit.GPU_HOURS, [8.64e19]),
        ({"gpu_hours": [1], "gpu": "h100", "mfu": 0.5}, Unit.GPU_HOURS, [3600 * 989e12 / 2]),
        (
            {"gpu_hours": [1], "tokens_per_second": 1e4, "measured_params": 1e9},
            Unit.GPU_HOURS, [2.16e17],
        ),
        ({"money": [150, 300], **SPEED, "price_per_gpu_hour": 2.5}, Unit.MONEY, [8.64e19, 1.728e20]),
        ({"target_loss": [2.5]}, Unit.TARGET_LOSS, []),
    ],
)  # fmt: skip
def test_a_study_asks_in_any_unit(keys, unit, flop):
    found = asked(section(**keys))
    assert found.unit is unit
    assert found.amounts == [float(amount) for amount in keys[unit.key]]
    assert found.flops == pytest.approx(flop, rel=1e-12)


def test_a_study_may_ask_nothing():
    assert asked(section()) is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"budgets": [1e15, -1]}, r"plan\.budgets\[1\]: -1 is not positive"),
        ({"budgets": [1e15], "money": [5]}, r"plan\.money: \[5\] stands beside plan\.budgets; keep one"),
        ({"pf_days": [1], "target_loss": [2]}, r"plan\.target_loss: \[2\] stands beside plan\.pf_days"),
        ({"target_loss": [0]}, r"plan\.target_loss\[0\]: 0 is not positive"),
        ({"gpu_hours": [5]}, r"plan\.gpu_hours: 5\.0 needs the speed of a GPU; add plan\.mfu"),
        ({"gpu_hours": [5], "gpu": "h100"}, r"plan\.gpu_hours: 5\.0 needs the speed"),
        ({"gpu_hours": [5], "mfu": 0.4}, r"plan\.mfu: 0\.4 has no peak; add .*plan\.gpu"),
        ({"mfu": 40, "gpu": "h100"}, r"plan\.mfu: 40\.0 is more than 1"),
        ({"money": [5], **SPEED}, r"plan\.money: 5\.0 needs the price of a GPU; add plan\.price_per"),
        ({"money": [5], "price_per_gpu_hour": 2}, r"plan\.money: 5\.0 needs the speed"),
        ({"tokens_per_second": 1e4}, r"plan\.tokens_per_second: .*; add plan\.measured_params"),
        ({"tokens_per_second": 1e4, "measured_params": 1e9, "mfu": 0.4}, r"plan\.mfu: .* keep one"),
        ({"price_per_gpu_hour": 0}, r"plan\.price_per_gpu_hour: 0 is not positive"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_planned_for_is_refused_by_key(keys, message):
    with pytest.raises(ConfigError, match=message):
        asked(section(**keys))
