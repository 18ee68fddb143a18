"""Claims on studies made up from the paper's own laws, and from others."""

from __future__ import annotations

from dataclasses import replace

import claim_data
import numpy as np
import pytest
from claim_data import OTHER, Truth

from pipeline import compare, kaplan2020
from pipeline.claims import PAPERS
from pipeline.claims.claim import Evidence
from pipeline.claims.kaplan2020.allocation import crossed
from pipeline.compare import claims, comparison
from pipeline.findings.kaplan2020.positions import misfit
from pipeline.kaplan2020 import PAPER, PF_DAY, BatchLaw, StepsLaw, Trend

# What the paper's own constants give, where that is not what the paper prints: eq. 1.7 and 1.8 on
# the constants of table 3 and 5, B.5, B.16 and B.17 on those of table 3.
BY_LAW = {
    "params_by_law": 0.681, "batch_by_law": 0.250, "steps_by_law": 0.069, "tokens_by_law": 0.319,
    "alpha_C_min": 0.0525, "wrong_size": 20.4, "overfit_tokens": 1.065, "overfit_exponent": 0.738,
    "converged_excess": 10.1, "fewer_steps": 45.3, "doubling": 13.5, "eightfold": 4.64,
    "compute_for_loss": 20.9, "C_c_min": 1.61e8,
}  # fmt: skip
# Claims about an order, a limit or a factor: what the made-up study holds of them.
HELD = {
    "aspect": 1.0, "ff_ratio": 1.0, "heads": 1.0, "lstm_worse": 8.0, "transfer_training": 0.0,
    "transfer_depth": 0.0, "short_contexts": -1.0, "schedules": 0.02,
    "early_stopping": 1.0, "noise_scale": 1.5, "batch_of_sizes": 1.0, "seeds": 1.0,
}  # fmt: skip
# The frontier's own exponents follow the law and not table 6; the crossing lies far out.
PF_DAYS = {"params_at_pf_day", "batch_at_pf_day", "steps_at_pf_day", "tokens_at_pf_day"}
CROSSING = {"contradiction", "contradiction_params", "contradiction_tokens", "contradiction_loss"}
ALONG = {"params_along", "batch_along", "steps_along", "tokens_along", *PF_DAYS, *CROSSING}
NAIVE = "params_naive"  # without a correction for the batch size
TOO_FEW = {"sample_order"}  # ten pairs of sizes cannot tell nine of ten from all
KEYS = [claim.key for claim in claims("kaplan2020")]


def compared(truth: Truth) -> dict[str, dict]:
    return {row["claim"]: row for row in comparison("kaplan2020", claim_data.study(truth))}


def one(key: str, found: Evidence) -> dict:
    (claim,) = (claim for claim in claims("kaplan2020") if claim.key == key)
    return compare.compared(claim, found)


@pytest.fixture(scope="module")
def paper():
    return compared(Truth())


@pytest.fixture(scope="module")
def other():
    return compared(OTHER)


def test_claims_have_keys_of_their_own_and_read_what_is_declared():
    assert len(KEYS) == len(set(KEYS)) > 40
    reads = PAPERS["kaplan2020"].reads
    for claim in claims("kaplan2020"):
        assert claim.statement.endswith("."), claim.key
        assert claim.source, claim.key
        for experiment, laws in claim.needs.items():
            assert set(laws) <= set(reads[experiment].also), claim.key
        assert claim.allowed[0] <= claim.allowed[1] if claim.paper else True


@pytest.mark.parametrize("key", [key for key in KEYS if key not in ALONG | TOO_FEW | {NAIVE}])
def test_a_study_of_the_papers_laws_reproduces_its_claims(paper, key):
    row = paper[key]
    assert row["verdict"] == "reproduced", row["reason"]
    expected = BY_LAW.get(key, HELD.get(key, row["paper"]))
    if expected is not None and key != "sample_efficiency":
        assert row["value"] == pytest.approx(expected, rel=5e-3, abs=1e-9)


def test_the_frontier_follows_the_laws_that_made_the_curves(paper):
    """Eq. 1.7, of which the envelope of eleven sizes is an independent measurement."""
    growth = kaplan2020.growth(PAPER.steps, PAPER.batch)
    law = {"params_along": growth.params, "batch_along": growth.batch,
           "steps_along": growth.steps, "tokens_along": growth.tokens}  # fmt: skip
    for key, value in law.items():
        row = paper[key]
        assert row["value"] == pytest.approx(value, abs=0.02)
        assert row["low"] < value < row["high"] or row["value"] == pytest.approx(value, abs=0.01)
    assert paper["params_along"]["verdict"] == "reproduced"
    assert paper["batch_along"]["verdict"] == "reproduced"


def test_a_pf_day_is_spent_as_the_laws_that_made_the_curves_say(paper):
    """Eq. B.9 and B.10: half of table 6's N, and twice its steps; D = 2 C_min / 6 N."""
    best = kaplan2020.frontier(PAPER.steps, PAPER.batch, PF_DAY)
    assert (best.params, best.steps) == pytest.approx((5.84e8, 1.32e4), rel=0.01)
    told = {"params": best.params, "steps": best.steps, "batch": best.batch,
            "tokens": 2 * PF_DAY / (6 * best.params)}  # fmt: skip
    for name, value in told.items():
        row = paper[f"{name}_at_pf_day"]
        assert row["value"] == pytest.approx(value, rel=0.25), name
        assert row["low"] < row["value"] < row["high"]
        assert row["verdict"] == "reproduced"


def test_the_naive_exponent_is_that_of_batches_far_above_the_critical_one():
    """S_min is then S = C / 6 N B: the least of a N^-alpha_N + b (N / C)^alpha_S is at
    N ~ C^(alpha_S / (alpha_N + alpha_S)).
    """
    sizes = claim_data.sizes(Truth(batch=BatchLaw(B=2.1, alpha_B=0.21)))
    row = one(NAIVE, Evidence({"sizes": sizes}))
    assert row["value"] == pytest.approx(0.76 / (0.077 + 0.76), abs=0.02)
    assert row["low"] < row["value"] < row["high"]


def test_the_frontier_of_other_laws_differs():
    steps = StepsLaw(Nc=6.5e13, alpha_N=0.077, Sc=2.1e3, alpha_S=0.3)
    rows = compared(Truth(steps=steps))
    growth = kaplan2020.growth(steps, PAPER.batch)
    assert rows["params_along"]["value"] == pytest.approx(growth.params, abs=0.03)
    assert rows["steps_along"]["verdict"] == "differs"
    assert rows["steps_along"]["value"] == pytest.approx(growth.steps, abs=0.03)


@pytest.mark.parametrize(
    "key",
    [
        k
        for k in KEYS
        if k
        not in ALONG | {NAIVE, "recurrent_compute", "sample_order", "sample_efficiency", "collapse"}
    ],
)
def test_a_study_of_other_laws_differs(other, key):
    assert other[key]["verdict"] == "differs", other[key]["reason"]


def test_recurrent_models_that_are_better_for_their_compute_differ():
    rows = compared(Truth(reused=2.0))
    assert rows["recurrent_compute"]["verdict"] == "differs"
    assert rows["recurrent_size"]["verdict"] == "reproduced"


def test_ten_pairs_of_sizes_in_order_are_too_few_and_thirty_are_enough(monkeypatch, paper):
    """All of n pairs leave 0.05^(1/n) possible at 90 %: 0.74 of ten, 0.905 of thirty."""
    row = paper["sample_order"]
    assert (row["value"], row["verdict"]) == (1.0, "out_of_reach")
    assert row["reason"] == (
        "Out of reach of this design, whatever the scale, because it counts 10 runs, and of fewer than "
        "29 the interval reaches below 0.9 even where the claim holds of all; here it is 1 [0.741, 1]."
    )
    assert (row["low"], row["high"]) == pytest.approx((0.05**0.1, 1.0))
    monkeypatch.setattr(claim_data, "SIZES", np.geomspace(1e4, 1e9, 31))
    more = one("sample_order", Evidence({"sizes": claim_data.sizes(Truth())}))
    assert (more["runs"], more["verdict"]) == (30, "reproduced")
    assert more["low"] == pytest.approx(0.05 ** (1 / 30))


def test_sizes_out_of_order_differ():
    row = compared(Truth(shuffled=True))["sample_order"]
    assert row["verdict"] == "differs"
    assert 0.3 < row["value"] < 0.7


def test_sample_efficiency_is_the_ratio_of_tokens_of_the_law(paper):
    """S to the last loss of the smallest model, by eq. 5.4 and 5.6 in closed form."""
    sizes = claim_data.SIZES
    loss = float(claim_data.loss_at(Truth(), sizes[0], claim_data.STEPS))
    fewest = [PAPER.steps.Sc * (loss - PAPER.steps.unlimited(n)) ** (-1 / PAPER.steps.alpha_S)
              for n in sizes]  # fmt: skip
    taken = np.array(fewest) * (1 + PAPER.batch.at(loss) / claim_data.BATCH)
    met = taken[taken > 50]  # steps; a curve that starts below the loss tells nothing
    row = paper["sample_efficiency"]
    assert row["value"] == pytest.approx(taken[0] / met.min(), rel=0.02)
    assert row["low"] < row["value"] < row["high"] < 2 * row["value"]


def test_sample_efficiency_of_few_sizes_is_out_of_reach():
    found = claim_data.study(Truth())
    small = [run for run in found["sizes"].runs if run["params"] < 1e6]
    few = replace(found["sizes"], runs=small)
    rows = comparison("kaplan2020", replace(found, experiments={"sizes": few}))
    (row,) = (row for row in rows if row["claim"] == "sample_efficiency")
    assert row["verdict"] == "out_of_reach"
    assert "span a factor of" in row["reason"]


def test_the_crossing_is_the_papers_with_the_papers_trends():
    """Table 6 gives 1.1e4 PF-days, eq. 6.7 ten times as much; lines that part never cross."""
    at = crossed(PAPER.compute, PAPER.tokens, Trend(1.44e9, 0.73))
    assert at.flops == pytest.approx(1.12e4, rel=0.05)
    assert at.loss == pytest.approx(1.67, rel=0.01)
    assert at.tokens == pytest.approx(2e10 * 1.12e4**0.27, rel=0.05)
    assert at.params * at.tokens == pytest.approx(at.flops * PF_DAY / 3)
    assert np.isinf(crossed(PAPER.compute, PAPER.tokens, Trend(1.3e9, 0.40)).flops)
    samples = crossed(PAPER.compute, PAPER.tokens, Trend(np.full(3, 1.44e9), np.full(3, 0.73)))
    assert samples.loss == pytest.approx(np.full(3, at.loss))


def test_the_crossing_far_beyond_the_runs_is_out_of_reach(paper):
    for key in CROSSING:
        assert paper[key]["verdict"] == "out_of_reach"
        assert "times beyond these runs" in paper[key]["reason"]
    assert paper["contradiction"]["value"] > 1e4
    product = paper["contradiction_params"]["value"] * paper["contradiction_tokens"]["value"]
    assert product == pytest.approx(paper["contradiction"]["value"] * PF_DAY / 3)  # D = 2 C / 6 N
    line = (PAPER.tokens.scale / paper["contradiction_tokens"]["value"]) ** PAPER.tokens.exponent
    assert paper["contradiction_loss"]["value"] == pytest.approx(line)


def test_what_fits_do_not_determine_is_out_of_reach():
    rows = compared(Truth(unsure=("kaplan_steps",)))
    for key in ("alpha_S", "converged_excess", "params_by_law"):
        assert rows[key]["verdict"] == "out_of_reach"
        assert "As it is" in rows[key]["reason"]
    assert rows["alpha_N"]["verdict"] == "reproduced"
    assert rows["early_stopping"]["verdict"] == "out_of_reach"
    rows = compared(Truth(unsure=("critical_batch",)))
    for key in ALONG:
        assert rows[key]["reason"].startswith("Out of reach at this scale because critical_batch, ")


def test_what_follows_from_a_law_that_misses_a_size_is_out_of_reach():
    """One size of eleven, 3.85 % off: 1.16 % over all, which would pass."""
    rows = compared(Truth(missed=-0.0385))
    for key in ("alpha_N_steps", "alpha_S", "S_c", "converged_excess", "params_by_law"):
        assert rows[key]["verdict"] == "out_of_reach"
        assert rows[key]["reason"] == (
            "Out of reach at this scale because kaplan_steps misses the losses of the size 1e+09 by "
            "3.85 % (root mean square), more than the 2 % between seeds."
        )
    assert rows["early_stopping"]["verdict"] == "out_of_reach"
    assert rows["alpha_N"]["verdict"] == "reproduced"
    assert compared(Truth(missed=0.0199))["alpha_S"]["verdict"] == "reproduced"


def test_overfitting_that_does_not_collapse_differs_and_gives_no_exponents():
    rows = compared(Truth(overfit_noise=0.06))
    assert rows["collapse"]["verdict"] == "differs"
    for key in ("alpha_N_data", "alpha_D_data", "overfit_exponent", "overfit_tokens"):
        assert rows[key]["verdict"] == "out_of_reach"
        assert "kaplan misses the losses of the size " in rows[key]["reason"]


def test_short_contexts_cannot_show_a_plateau_beyond_a_hundred_tokens():
    found = claim_data.study(Truth())
    for data in (found["lstm"], found["sizes"]):
        for run in data.runs:
            run["context"] = 32
    row = {r["claim"]: r for r in comparison("kaplan2020", found)}["lstm_plateau"]
    assert (row["verdict"], row["runs"]) == ("not_measured", 0)
    assert row["reason"] == (
        "Not measured because contexts of 32 tokens end before or little after the 100 that it is about."
    )


@pytest.mark.parametrize("shorter", [True, False])
def test_short_contexts_and_lstms_stand_beside_transformers_of_as_many_tokens(shorter):
    """Four times the tokens lower the loss and all gains with position: such a run is no partner."""
    found = claim_data.study(Truth())
    sizes = found["sizes"]
    longer = [run | {"tokens": 4 * run["tokens"], "cell": "4x" + run["cell"]} for run in sizes.runs]
    curves = {
        "4x" + cell: [rows[-1] | {"loss_by_position": [0.9 * x for x in rows[-1]["loss_by_position"]]}]
        for cell, rows in sizes.curves.items()
    }  # fmt: skip
    runs = [*sizes.runs, *longer] if shorter else longer
    whole = {**found.experiments, "sizes": replace(sizes, runs=runs, curves=sizes.curves | curves)}
    for key, value in (("short_contexts", -1.0), ("lstm_plateau", 1.08 * 0.1)):
        row = one(key, replace(found, experiments=whole))
        if shorter:
            assert row["value"] == pytest.approx(value, rel=1e-4)
        else:
            assert row["verdict"] == "not_measured"
            assert row["reason"].endswith("as many tokens.")


def test_depth_changes_nothing_where_other_texts_follow_the_validation_loss_alone():
    """Deeper models that are 9 % better lie on the line of all sizes, whose slope is not one."""
    truth = Truth(offset_slope=0.4)
    found = claim_data.study(truth)
    shapes = found["shapes"]
    better = {run["cell"]: run["loss"] * (1.03 - 0.03 * np.log2(run["n_layer"]))
              for run in shapes.runs}  # fmt: skip
    moved = replace(
        shapes, runs=[run | {"loss": better[run["cell"]]} for run in shapes.runs],
        evaluations=[row | {"loss": claim_data.other_text(truth, better[row["cell"]], row["corpus"])}
                     for row in shapes.evaluations],
    )  # fmt: skip
    row = one("transfer_depth", replace(found, experiments={**found.experiments, "shapes": moved}))
    assert row["value"] == pytest.approx(0, abs=1e-9)
    assert row["verdict"] == "reproduced"
    elsewhere = [row | {"corpus": "speech"} for row in shapes.evaluations]
    other = {**found.experiments, "shapes": replace(shapes, evaluations=elsewhere)}
    told = one("transfer_depth", replace(found, experiments=other))["reason"]
    assert told == "Not measured because sizes and shapes were scored on no common text."


def test_a_study_without_experiments_or_fits_measures_nothing():
    found = claim_data.study(Truth())
    few = replace(found, experiments={"sizes": replace(found["sizes"], fits={})})
    rows = {row["claim"]: row for row in comparison("kaplan2020", few)}
    assert rows["alpha_N"]["reason"] == "Not measured because sizes does not fit power_params."
    assert rows["alpha_D"]["reason"] == "Not measured because the study has no experiment data."
    assert {row["verdict"] for row in rows.values()} >= {"not_measured", "reproduced"}
    assert rows["alpha_D"]["runs"] == 0
    assert rows["position_power"]["verdict"] == "reproduced"


def test_a_row_tells_the_range_of_the_runs_behind_it(paper):
    row = paper["alpha_N"]
    assert (row["params_low"], row["params_high"]) == pytest.approx((1e4, 1e9))
    assert row["tokens_low"] == row["tokens_high"] == claim_data.BATCH * claim_data.STEPS
    assert row["runs"] == len(claim_data.SIZES)
    assert paper["early_stopping"]["experiments"] == "data, sizes, batches"


def test_the_longest_run_on_a_subset_was_not_stopped_whatever_its_best_step(paper):
    runs = claim_data.study(Truth())["data"].runs
    assert all(run["best_step"] < run["steps"] for run in runs)
    assert paper["early_stopping"]["runs"] == len(runs) - 1


def test_one_layer_and_odd_schedules_do_not_count():
    found = claim_data.study(Truth())
    worse = found["shapes"].runs[0] | {"n_layer": 1, "loss": 9.0, "cell": "shallow"}
    found["shapes"].runs.append(worse)
    rows = {row["claim"]: row for row in comparison("kaplan2020", found)}
    assert rows["aspect"]["verdict"] == rows["schedules"]["verdict"] == "reproduced"


def test_a_power_law_by_position_leaves_no_misfit_and_rising_losses_do():
    last = 2.0 ** np.arange(6)
    middle = np.sqrt(np.r_[1.0, last[:-1] + 1] * last)
    assert misfit((3 + 2 * middle**-0.7).tolist()) < 1e-6
    rising = np.array([3.0, 3.1, 3.2, 3.3, 3.4, 3.5])
    away = rising.mean() / rising - 1
    assert misfit(rising.tolist()) == pytest.approx((away**2).sum() / 3)  # six bins less three


def test_single_seeds_of_shapes_judge_nothing():
    found = claim_data.study(Truth())
    once = [run for run in found["shapes"].runs if run["seed"] == 0]
    few = replace(found["shapes"], runs=once)
    rows = comparison("kaplan2020", replace(found, experiments={"shapes": few}))
    assert {row["verdict"] for row in rows if row["claim"] in ("aspect", "ff_ratio", "heads")} == {
        "out_of_reach"
    }


def test_embeddings_have_an_interval_of_few_sizes(paper, other):
    """Seven sizes: nearly all draws with replacement hold fewer than the five that a bend needs."""
    for row in (paper["embeddings"], other["embeddings"]):
        assert row["low"] < row["value"] < row["high"]
    found = claim_data.study(Truth())
    seven = replace(found["depths"], runs=found["depths"].runs[:7])
    rows = comparison("kaplan2020", replace(found, experiments={"depths": seven}))
    (row,) = (row for row in rows if row["claim"] == "embeddings")
    assert row["low"] < row["value"] < row["high"]


def test_pf_days_are_the_papers():
    assert PF_DAY == 1e15 * 86400
