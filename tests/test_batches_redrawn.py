"""Resamples of all fronts of a model at once."""

import numpy as np
import pytest
from claim_data import FRONT

from pipeline.batches.redrawn import redrawn
from pipeline.claims.claim import Evidence
from pipeline.claims.kaplan2020.batches import over_fronts


def front(params, loss, noise=0.0, critical=3e5, tokens=1e9):
    steps = (tokens / critical + tokens / np.array(FRONT)) * np.exp(noise)
    return {"params": params, "loss": loss, "critical_batch": critical, "tokens_min": tokens,
            "batch_tokens": list(FRONT), "steps": steps.tolist()}  # fmt: skip


def test_exact_fronts_are_found_again_on_every_draw():
    logs, level = redrawn([front(1e6, 4.0), front(1e8, 3.0, critical=9e5)], 50, 0.9, 0)
    assert logs.shape == (50, 2)
    assert np.exp(logs) == pytest.approx(np.tile([3e5, 9e5], (50, 1)), rel=1e-6)
    assert level > 0.98  # 2 degrees of freedom: Student's t, of half of the variance


def test_losses_of_one_model_are_drawn_together_and_models_apart():
    """A front that was measured twice tells no more than once; of another model it is new."""
    noise = 0.05 * np.array([1.0, -1.0, -1.0, 1.0])
    rows = [front(1e6, 4.0, noise), front(1e6, 3.9, noise), front(1e8, 4.0, noise)]
    logs, _ = redrawn(rows, 200, 0.9, 0)
    assert logs[:, 0] == pytest.approx(logs[:, 1])
    assert logs[:, 0].std() > 0.01
    assert abs(np.corrcoef(logs[:, 0], logs[:, 2])[0, 1]) < 0.3


def test_more_losses_of_the_same_trainings_make_no_interval_narrower():
    noise = 0.05 * np.array([1.0, -1.0, -1.0, 1.0])

    def width(losses):
        rows = [row | {"tokens": 1.0} for row in (front(1e6, loss, noise) for loss in losses)]
        found = over_fronts(Evidence({}), lambda logs: float(logs.mean()), rows)
        return found.high - found.low

    assert width([4.0] * 8) == pytest.approx(width([4.0]))
    assert width([4.0]) > 0.05
