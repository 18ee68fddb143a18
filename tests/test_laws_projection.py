"""The solver of fits against variable projection, which shares no code with it."""

from __future__ import annotations

import runpy

import numpy as np
import pytest
from law_data import ROOT, Published, drawn, published, toy

from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective

SOLVER = runpy.run_path(str(ROOT / "benchmarks" / "projection.py"))
NAMES = ("E", "A", "alpha", "B", "beta")


def projected(runs: Runs | Published, delta: float) -> tuple[float, dict[str, float]]:
    """The objective and the parameters by variable projection from two starts."""
    log_inputs = np.log(np.stack([runs.params, runs.tokens]))
    centre = log_inputs.mean(1)
    ends = [
        SOLVER["solved"](log_inputs - centre[:, None], runs.loss, delta, np.array(start))
        for start in ((0.2, 0.6), (0.6, 0.2))
    ]
    (alpha, beta), best = min(ends, key=lambda end: end[1].objective)
    e, a, b = best.linear
    scales = a * np.exp(alpha * centre[0]), b * np.exp(beta * centre[1])
    return best.objective, dict(zip(NAMES, (e, scales[0], alpha, scales[1], beta)))


@pytest.mark.parametrize("delta", [1e-3, 1e-2, 1e3])
@pytest.mark.parametrize("seed", [0, 1])
def test_variable_projection_reaches_the_optimum_of_a_fit(delta, seed):
    runs = drawn("chinchilla", 0.01, seed)
    objective, values = projected(runs, delta)
    ours = fit(law("chinchilla"), runs, Options(Objective(delta), bootstraps=0, profile=False))
    assert ours.objective == pytest.approx(objective, rel=1e-9)
    for name, value in values.items():
        assert ours.values[name] == pytest.approx(value, rel=1e-5), name


def test_where_the_best_floor_is_none_both_say_so():
    objective, values = projected(toy(), 0.01)
    ours = fit(law("chinchilla"), toy(), Options(Objective(0.01), bootstraps=0, profile=False))
    assert values["E"] == ours.values["E"] == 0.0
    assert ours.objective == pytest.approx(objective, rel=1e-9)
    assert ours.values["beta"] == pytest.approx(values["beta"], rel=1e-5)


def test_published_runs_have_one_optimum_by_both():
    table = published("besiroglu_chinchilla.csv", {"used_in_fit": "True"})
    columns = {"params": table.params, "tokens": table.tokens, "loss": table.loss}
    runs = Runs(tuple(map(str, range(len(table.loss)))), columns)
    objective, values = projected(table, 1e-3)
    ours = fit(law("chinchilla"), runs, Options(Objective(1e-3), bootstraps=0, profile=False))
    assert ours.objective == pytest.approx(objective, rel=1e-9)
    for name, value in values.items():
        assert ours.values[name] == pytest.approx(value, rel=1e-5), name
