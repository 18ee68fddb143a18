"""Stored fits as laws of the paper's algebra, against what the fitted laws themselves predict."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.kaplan2020.fits import BUILT, best, resampled
from pipeline.laws import law
from pipeline.laws.band import SavedFit
from pipeline.laws.base import Kind

INPUTS = {"params": 3e7, "tokens": 2e9, "steps_min": 4e3, "loss": 3.1, "flops_min": 1e17}


def saved(name, count):
    """A fit whose parameters all differ, with ``count`` replicates about them."""
    form = law(name)
    values = {
        p.name: (2e9 if p.kind is Kind.SCALE else 0.1) * (1 + i)
        for i, p in enumerate(form.parameters)
    }
    spread = np.random.default_rng(count).lognormal(0, 0.01, (len(values), count))
    drawn = {key: value * row for (key, value), row in zip(values.items(), spread)}
    return SavedFit(form, values, drawn, 0.9, 20, {}, Path(name))


def at(built, fit):
    """What a law of the algebra says; its arguments stand in the order of the fit's inputs."""
    return built.at(*(INPUTS[key] for key in fit.law.inputs))


@pytest.mark.parametrize("name", BUILT)
def test_a_fit_as_a_law_says_what_the_fit_says(name):
    fit = saved(name, 7)
    inputs = {key: np.array([INPUTS[key]]) for key in fit.law.inputs}
    assert at(best(fit), fit) == pytest.approx(fit.predict(**inputs)[0], rel=1e-12)
    (drawn,) = resampled(fit)
    assert at(drawn, fit) == pytest.approx(fit.law.predict(fit.replicates, inputs)[:, 0], rel=1e-12)


def test_replicates_of_several_fits_go_in_pairs_as_far_as_all_have_some():
    many, few = saved("kaplan_steps", 9), saved("critical_batch", 4)
    steps, batch = resampled(many, few)
    assert list(steps.alpha_S) == list(many.replicates["alpha_S"][:4])
    assert list(batch.B) == list(few.replicates["B"])
    assert resampled(many, saved("critical_batch", 0)) is None
