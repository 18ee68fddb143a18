"""The pooled noise scale against a covariance known in closed form, and its interval."""

import numpy as np
import pytest
import torch
from rows import CURVE

from pipeline.batches.fronts import drawn
from pipeline.batches.noise_scale import noise_scale, summed
from pipeline.batches.traces import Trace
from pipeline.training.noise import estimates

OPTIONS = drawn(400, 0.9, 0)
SMALL, LARGE, WIDTH = 2, 16, 20


def linear(rng, rows, sigma=2.0):
    """Estimates (rows, 2) of |G|^2 and tr Sigma in a linear model, and the true values.

    y = x w* + e with x and e normal: at w* + d the gradient of (y - x w)^2 / 2 is x (x d - e), of
    expectation d and covariance (|d|^2 + s^2) 1 + d d'.
    """
    d = np.full(WIDTH, 1 / np.sqrt(WIDTH))
    x = rng.normal(size=(rows, LARGE, WIDTH))
    each = x * (x @ d - sigma * rng.normal(size=(rows, LARGE)))[..., None]
    small, large = (np.square(each[:, :n].mean(1)).sum(1) for n in (SMALL, LARGE))
    found = estimates(torch.tensor(small), torch.tensor(large), SMALL, LARGE).numpy().T
    return found, (1.0, (1 + sigma**2) * WIDTH + 1)


def trace(found, losses=None):
    """A run whose rows after the first hold these estimates; all at one loss without ``losses``."""
    losses = np.full(len(found) + 1, 3.0) if losses is None else losses
    rows = [CURVE | {"step": 0, "val_loss": losses[0]}]
    for step, (loss, (squared, variance)) in enumerate(zip(losses[1:], found, strict=True), 1):
        rows.append(CURVE | {"step": step, "val_loss": loss, "grad_squared": squared,
                             "grad_variance": variance})  # fmt: skip
    return Trace({"cell": "a"}, rows)


def test_sums_go_to_the_truth_where_ratios_of_rows_do_not():
    found, (squared, variance) = linear(np.random.default_rng(0), 30_000)
    pooled = noise_scale([trace(part) for part in np.split(found, 30)], 3.0, OPTIONS)
    error = found.std(0) / np.sqrt(len(found)) / (squared, variance)
    assert np.hypot(*error) < 0.06
    assert pooled.value == pytest.approx(variance / squared, rel=3 * np.hypot(*error))
    low, high = pooled.interval
    assert low < variance / squared < high < 1.3 * low
    ratios = found[:, 1] / found[:, 0]
    positive = ratios[found[:, 0] > 0]
    assert len(positive) < 0.7 * len(ratios)
    assert np.median(positive) < 0.5 * variance / squared  # as rows by themselves would have it
    assert abs(np.mean(ratios) / (variance / squared) - 1) > 0.5


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, inside = np.random.default_rng(1), []
    for seed in range(100):
        found, (squared, variance) = linear(rng, 480, sigma=1.0)
        runs = [trace(part) for part in np.split(found, 12)]
        low, high = noise_scale(runs, 3.0, drawn(200, 0.9, seed)).interval
        inside.append(low < variance / squared < high)
    assert 0.8 < np.mean(inside) < 0.97


def test_rows_count_whose_steps_came_to_the_loss():
    losses = [5.0, 4.0, 3.07, 3.05, 3.0, 2.93, 2.9]
    run = trace([(1.0, 10.0), (2.0, 20.0), (4.0, 40.0), (8.0, 80.0), (16.0, 160.0), (32.0, 320.0)],
                losses)  # fmt: skip
    assert summed(run, 3.5) == (2.0, 20.0)  # the steps from 4.0 to 3.07 passed it
    assert summed(run, 3.0) == (28.0, 280.0)  # 2 % are 0.06
    assert summed(run, 2.0) == (0.0, 0.0)
    assert noise_scale([run, run, run], 2.0, OPTIONS) == (None, None)


def test_what_was_not_measured_or_is_all_noise_has_no_scale():
    bare = Trace({"cell": "b"}, [CURVE, CURVE | {"step": 20}])
    assert noise_scale([bare], 5.0, OPTIONS) == (None, None)
    assert noise_scale([trace([(-1.0, 9.0)])] * 4, 3.0, OPTIONS) == (None, None)


def test_two_runs_have_a_value_and_no_interval():
    run = trace([(2.0, 30.0)])
    assert noise_scale([run, trace([(1.0, 30.0)])], 3.0, OPTIONS) == (20.0, None)
    value, ends = noise_scale([run] * 3, 3.0, OPTIONS)
    assert (value, ends) == (15.0, (15.0, 15.0))
    assert noise_scale([run] * 3, 3.0, drawn(0, 0.9, 0)).interval is None
