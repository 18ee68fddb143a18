"""Intervals of claims measured on runs, against normal theory."""

from __future__ import annotations

from dataclasses import replace

import claim_data
import numpy as np
import pytest
from scipy.stats import binom, f, norm, t

from pipeline.claims.claim import Evidence, UnmeasuredError
from pipeline.claims.kaplan2020 import transfer
from pipeline.claims.kaplan2020.families import apart, layers
from pipeline.claims.kaplan2020.shapes import aspects, heads, of_one_size, ratios
from pipeline.claims.kaplan2020.training import reasonable, seeds
from pipeline.claims.runs import baseline, longest
from pipeline.claims.samples import over_groups, over_rows, over_seeds, share, span
from pipeline.findings.data import Data

EVIDENCE = Evidence({}, bootstraps=4000, level=0.9)


def test_the_interval_of_a_mean_is_that_of_normal_theory():
    values = np.random.default_rng(0).normal(2.0, 0.5, 200)
    rows = [claim_data.run(1e5, value) for value in values]
    found = over_rows(EVIDENCE, lambda index: float(values[index].mean()), rows)
    reach = norm.ppf(0.95) * values.std() / np.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - reach, values.mean() + reach), abs=0.1 * reach
    )
    assert (found.runs, found.params) == (200, (1e5, 1e5))


def test_runs_that_err_together_are_drawn_together():
    """Four runs of each training have the interval of one of each, twice that of so many alone."""
    values = np.random.default_rng(4).normal(2.0, 0.5, 60)
    rows = [claim_data.run(1e5, value) for value in values]
    few = over_rows(EVIDENCE, lambda index: float(values[index].mean()), rows)
    four = np.tile(values, 4)
    mean = lambda index: float(four[index].mean())  # noqa: E731
    found = over_rows(EVIDENCE, mean, rows * 4, shared=list(range(60)) * 4)
    assert (found.low, found.high) == pytest.approx((few.low, few.high))
    assert found.runs == 240
    apart = over_rows(EVIDENCE, mean, rows * 4)
    assert (found.high - found.low) / (apart.high - apart.low) == pytest.approx(2, abs=0.1)


def test_runs_that_branch_off_one_training_are_no_more_evidence_than_it():
    """A fourfold copy of every run on its own trunk changes neither value nor interval."""
    data = claim_data.sizes(claim_data.Truth())
    noise = np.random.default_rng(5)
    scored = [
        row | {"loss": row["loss"] * (1 + 0.02 * noise.standard_normal())}
        for row in data.evaluations
    ]
    once = replace(data, evaluations=scored)
    copies = {
        name: [row | {"cell": f"{row['cell']}-{i}"} for row in rows for i in range(4)]
        for name, rows in (("evaluations", scored), ("text_curves", data.text_curves))
    }
    runs = [run | {"cell": f"{run['cell']}-{i}", "trunk": run["cell"]}
            for run in data.runs for i in range(4)]  # fmt: skip
    alone, branched = (
        transfer.training(Evidence({"sizes": one}, bootstraps=50))
        for one in (once, replace(once, runs=runs, **copies))
    )
    assert branched.value == pytest.approx(alone.value)
    assert (branched.low, branched.high) == pytest.approx((alone.low, alone.high))
    assert alone.low < alone.value < alone.high


@pytest.mark.parametrize(
    ("held", "runs", "low", "high"),
    [
        (8, 8, 0.05 ** (1 / 8), 1.0),  # of all: 1 - level in two parts, below
        (0, 8, 0.0, 1 - 0.05 ** (1 / 8)),
        (1, 2, 1 - 0.95**0.5, 0.95**0.5),  # P(at least one of two) = 1 - (1 - p)^2 = 0.05
    ],
)
def test_a_share_has_the_exact_binomial_interval(held, runs, low, high):
    rows = [claim_data.run(1e5, 3.0)] * runs
    found = share(EVIDENCE, [True] * held + [False] * (runs - held), rows, 0.9)
    assert (found.value, found.runs) == (held / runs, runs)
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize(("limit", "enough"), [(0.9, 29), (0.5, 5), (0.99, 299)])
def test_a_share_tells_how_many_runs_could_keep_to_its_limit(limit, enough):
    """0.05^(1/n), the interval below when it holds of all of n runs, passes the limit at n."""
    assert 0.05 ** (1 / enough) >= limit > 0.05 ** (1 / (enough - 1))
    rows = [claim_data.run(1e5, 3.0)] * 3
    assert share(EVIDENCE, [True] * 3, rows, limit).enough == enough


def test_a_share_holds_the_truth_at_least_as_often_as_its_level():
    rows = [claim_data.run(1e5, 3.0)] * 12
    within = 0.0
    for held in range(13):
        found = share(EVIDENCE, [True] * held + [False] * (12 - held), rows, 0.9)
        within += binom.pmf(held, 12, 0.85) * (found.low <= 0.85 <= found.high)
    assert 0.9 <= within < 0.99


def test_the_scatter_of_seeds_gives_the_interval_of_a_difference():
    """Two groups of n seeds: the difference of their means has the deviation s sqrt(2 / n)."""
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 50))
    groups = [[claim_data.run(1e5, 3 + value) for value in own] for own in noise]
    found = over_seeds(EVIDENCE, groups, lambda means: float(means[1] - means[0]))
    pooled = np.sqrt((noise.var(1, ddof=1)).mean())
    reach = norm.ppf(0.95) * pooled * np.sqrt(2 / 50)
    middle = noise[1].mean() - noise[0].mean()
    assert found.value == pytest.approx(middle)
    assert (found.low, found.high) == pytest.approx(
        (middle - reach, middle + reach), abs=0.1 * reach
    )


def test_the_jackknife_of_a_geometric_mean_is_students_interval():
    """Groups of two alike runs: as if each were one."""
    logs = np.random.default_rng(3).normal(1.0, 0.2, 8)
    rows = [claim_data.run(1e4 * 2**i, 3.0, seed=seed) for i in range(8) for seed in (0, 1)]
    values = np.repeat(logs, 2)
    found = over_groups(EVIDENCE, lambda index: float(np.exp(values[index].mean())), rows, "params")
    reach = t.ppf(0.95, 7) * logs.std(ddof=1) / np.sqrt(8)
    assert found.value == pytest.approx(np.exp(logs.mean()))
    assert np.log([found.low, found.high]) == pytest.approx(logs.mean() + np.array([-reach, reach]))
    assert (found.runs, found.params) == (16, (1e4, 128e4))
    two = over_groups(EVIDENCE, lambda index: float(len(index)), rows[:4], "params")
    assert (two.value, two.low, two.high) == (4.0, None, None)


def test_single_seeds_have_no_interval():
    found = over_seeds(EVIDENCE, [[claim_data.run(1e5, 3.0)], [claim_data.run(1e5, 3.3)]], np.ptp)
    assert (found.low, found.high) == (None, None)
    assert found.value == pytest.approx(0.3)


def test_the_ratio_of_spreads_has_the_interval_of_fishers_f():
    """Where both spreads are alike in truth, the interval holds one in 90 % of samples."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        rows = [claim_data.run(n, 3 + 0.1 * rng.standard_normal(), seed=i)
                for n in (1e4, 1e5) for i in range(4)]  # fmt: skip
        found = seeds(Evidence({"seeds": Data(runs=rows)}, level=0.9))
        held += found.low < 1 < found.high
    assert held / 300 == pytest.approx(0.9, abs=0.05)
    assert found.high / found.low == pytest.approx(f.ppf(0.95, 3, 3))


def test_spans():
    assert span([{"params": None}, {"params": 3}, {"params": 2}], "params") == (2, 3)
    assert span([{"params": None}], "params") is None


def test_the_baseline_is_the_line_through_plain_transformers_alone():
    rows = [claim_data.run(n, claim_data.plain(n), 2e9) for n in np.geomspace(1e4, 1e7, 7)]
    odd = [claim_data.run(1e5, 9.0, 2e9, n_layer=1), claim_data.run(1e5, 9.0, 1e9),
           claim_data.run(1e5, 9.0, 2e9, context=8), claim_data.run(1e5, 9.0, 2e9, family="lstm")]  # fmt: skip
    evidence = Evidence({"depths": Data(runs=[*rows, *odd])})
    found = baseline(evidence, claim_data.run(1e6, 3.0, 2e9))
    assert found.runs == 7
    assert found.log_loss(3e5) == pytest.approx(np.log(claim_data.plain(3e5)), abs=1e-6)
    assert found.holds(1e7)
    assert not found.holds(2e7)
    with pytest.raises(UnmeasuredError, match="0 sizes of plain transformers saw 5e"):
        baseline(evidence, claim_data.run(1e6, 3.0, 5e9))
    with pytest.raises(UnmeasuredError, match="0 sizes of plain transformers of 8 layers saw 2e"):
        baseline(evidence, claim_data.run(1e6, 3.0, 2e9), 8)


def recurrent(noise: np.ndarray, depths: tuple[int, ...] = (2,)) -> Evidence:
    """Six transformers of each depth, the deeper ones a tenth better, and nine recurrent models."""
    plain = [
        claim_data.run(n, claim_data.plain(n) * (1 - 0.1 * (layers > 2)) * np.exp(noise[i]), 2e9,
                       n_layer=layers)
        for layers in depths for i, n in enumerate(np.geomspace(1e4, 1e8, 6))
    ]  # fmt: skip
    again = [
        claim_data.run(n, 0.98 * claim_data.plain(n), 2e9, family="recurrent", reuse=2, n_layer=2)
        for n in np.geomspace(1e5, 1e7, 9)
    ]
    return Evidence({"depths": Data(runs=plain), "recurrent": Data(runs=again)}, bootstraps=2000)


def test_recurrent_models_are_compared_with_transformers_of_their_depth():
    """Deeper transformers that are better say nothing of what using layers again does."""
    measure = apart("recurrent", lambda run: run["params"], layers)
    found = measure(recurrent(np.zeros(6), (2, 8)))
    assert (found.value, found.low, found.high) == pytest.approx((-2.0, -2.0, -2.0), abs=1e-4)
    with pytest.raises(UnmeasuredError, match="transformers of 2 layers"):
        measure(recurrent(np.zeros(6), (8,)))


def test_the_transformers_scatter_widens_the_interval_beside_them():
    """Least squares: the deviation of the trend's mean over the models is s |h|, h = X (Z'Z)^-1 Z'."""
    noise = np.array([0.01, -0.02, 0.0, 0.02, -0.01, 0.005])
    found = apart("recurrent", lambda run: run["params"], layers)(recurrent(noise))
    x = np.log(np.geomspace(1e4, 1e8, 6))
    design, at = np.vander(x, 3), np.vander(np.log(np.geomspace(1e5, 1e7, 9)), 3)
    residual = noise - design @ np.linalg.lstsq(design, noise)[0]
    scatter = np.sqrt((residual**2).sum() / 3)
    weights = np.linalg.pinv(design).T @ at.mean(0)
    trend = scatter * np.linalg.norm(weights)
    own = -at @ np.linalg.lstsq(design, noise)[0]
    reach = 100 * norm.ppf(0.95) * np.hypot(trend, own.std() / 3)
    assert found.high - found.low == pytest.approx(2 * reach, rel=0.1)
    assert reach > 0.5


def test_shapes_are_compared_one_property_at_a_time():
    runs = claim_data.shapes(claim_data.Truth()).runs
    assert {round(value, 2) for value in aspects(runs)} == {32.0, 4.0, 11.25, 1.71}
    assert set(ratios(runs)) == {1.0, 4.0, 8.0}
    assert set(heads(runs)) == {1, 4, 16}
    other = [claim_data.run(3e6, 2.0)]
    assert [len(group) for group in of_one_size([*runs, *other])] == [len(runs), 1]
    assert [run["params"] for run in longest([*other, *runs])] == [100_000, 3_000_000]


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True),
        ({"schedule": "constant"}, False),
        ({"schedule": "inverse_sqrt"}, False),
        ({"warmup_steps": 0}, False),
        ({"final_lr": 0.2}, False),
        ({"lr_sum": 0.3}, False),
    ],
)
def test_reasonable_schedules_warm_up_decay_and_sum_to_enough(changed, counts):
    run = {"schedule": "cosine", "warmup_steps": 30, "final_lr": 0.0, "lr_sum": 0.5, **changed}
    assert reasonable(run, 1.0) is counts
