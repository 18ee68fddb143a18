"""Budgets in every unit become the same FLOP; impossible ones are refused with a cure."""

import math

import pytest

from pipeline.planning.budget import GPUS, Machine, Unit, flops, speed

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


def test_speed_from_utilisation_and_from_measured_tokens():
    assert speed(989e12, 0.4, None, None) == pytest.approx(3.956e14)
    # 10,000 tokens/s of a model of 6.66e9 parameters: 6 N each.
    assert speed(None, None, 1e4, 6.66e9) == pytest.approx(3.996e14)
    assert speed(989e12, None, None, None) is None


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ((None, 0.4, None, None), "--gpu or --peak-flops"),
        ((1e15, 1.4, None, None), "at most 1"),
        ((None, None, 1e4, None), "--measured-params"),
        ((1e15, 0.4, 1e4, 1e9), "give one"),
    ],
)
def test_half_a_speed_is_refused(given, cure):
    with pytest.raises(ValueError, match=cure):
        speed(*given)


@pytest.mark.parametrize(
    ("unit", "machine", "cure"),
    [
        (Unit.GPU_HOURS, Machine(), "how fast is a GPU"),
        (Unit.MONEY, Machine(), "how fast is a GPU"),
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
