"""The rules that judge claims, at their edges."""

from __future__ import annotations

import claim_data
import numpy as np
import pytest

from pipeline.claims.claim import Claim, Evidence, Measured
from pipeline.claims.rules import FARTHEST, AtLeast, AtMost, Near, Within, judge
from pipeline.compare import comparison
from pipeline.findings.data import Data


# The rules' edges, on a claim of 1 (Near, Within), at most 3 or at least 3.
def claim(rule, **paper: float) -> Claim:
    return Claim("key", "It is.", "eq. 1", "it", {}, lambda _: measured(1), rule, **paper)


def measured(value: float, low: float | None = None, high: float | None = None, **more) -> Measured:
    return Measured(value, low, high, 0.9, 5, **more)


@pytest.mark.parametrize(
    ("rule", "paper", "found", "verdict"),
    [
        (Near(0.1), {"paper": 1}, (1.1, 1.1, 1.1), "reproduced"),
        (Near(0.1), {"paper": 1}, (1.11, 1.11, 1.11), "differs"),
        (Near(0.1), {"paper": 1}, (0.89, 0.89, 0.89), "differs"),
        (Near(0.1), {"paper": 1}, (1.09, 0.99, 1.48), "reproduced"),
        (Near(0.1), {"paper": 1}, (1.09, 0.99, 1.49), "out_of_reach"),
        (Near(0.1), {"paper": 1}, (1.3, 1.09, 1.6), "out_of_reach"),
        (Near(0.1), {"paper": 1}, (1.3, 1.11, 1.6), "differs"),
        (Near(0.1), {"paper": 1}, (1.3, 0.5, 1.99), "out_of_reach"),
        (Near(0.1), {"paper": 1}, (1.0, -0.1, 1.5), "out_of_reach"),
        (Near(0.1), {"paper": 1}, (1.0, 1.2, 1.3), "out_of_reach"),
        (Near(0.1), {"paper": 1}, (1.2, 0.95, 1.05), "out_of_reach"),
        (Near(0.1), {"paper": 1}, (30.0, 10.0, 90.0), "differs"),
        (Near(0.1), {"paper": 0.077}, (0.053, 0.046, 0.0772), "out_of_reach"),
        (Near(0.1), {"paper": 0.71, "low": 0.681}, (0.577, 0.472, 0.623), "out_of_reach"),
        (Near(0.1), {"paper": 20, "low": 0}, (5.0, 0.1, 19.0), "reproduced"),
        (Near(0.1), {"low": 0.7, "high": 1.0}, (0.64, 0.6, 0.65), "reproduced"),
        (Near(0.1), {"low": 0.7, "high": 1.0}, (0.61, 0.6, 0.62), "differs"),
        (Within(10), {"paper": 1}, (9.9, 9.9, 9.9), "reproduced"),
        (Within(10), {"paper": 1}, (10.1, 10.1, 10.1), "differs"),
        (Within(10), {"paper": 1}, (0.05, 0.01, 0.09), "differs"),
        (Within(10), {"paper": 1}, (1.0, 0.09, 8.9), "reproduced"),
        (Within(10), {"paper": 1}, (0.05, 0.01, 0.9), "out_of_reach"),
        (Within(10), {"paper": 1}, (1.0, 0.09, 9.1), "out_of_reach"),
        (AtMost(), {"high": 3}, (3.0, 3.0, 3.0), "reproduced"),
        (AtMost(), {"high": 3}, (3.1, 3.1, 3.1), "differs"),
        (AtMost(), {"high": 3}, (2.9, 2.5, 3.1), "out_of_reach"),
        (AtMost(), {"high": 3}, (3.5, 3.1, 4.0), "differs"),
        (AtMost(), {"high": 3}, (2.9, 3.1, 4.0), "out_of_reach"),
        (AtMost(), {"high": 3}, (3.1, 2.0, 2.9), "out_of_reach"),
        (AtMost(), {"high": 3}, (2.5, 2.0, 3.0), "reproduced"),
        (AtLeast(), {"low": 3}, (3.0, 3.0, 3.0), "reproduced"),
        (AtLeast(), {"low": 3}, (2.9, 2.9, 2.9), "differs"),
        (AtLeast(), {"low": 3}, (3.1, 2.9, 3.5), "out_of_reach"),
        (AtLeast(), {"low": 3}, (2.9, 3.1, 3.5), "out_of_reach"),
        (AtLeast(), {"low": 3}, (2.5, 2.0, 2.9), "differs"),
    ],
)
def test_rules_judge_by_the_interval(rule, paper, found, verdict):
    judged = judge(claim(rule, **paper), measured(*found))
    assert judged.verdict == verdict
    assert f"{found[0]:.3g}" in judged.reason
    assert judged.reason.endswith(".")
    assert not judged.reason.endswith("..")


@pytest.mark.parametrize("rule", [Near(0.1), Within(3)])
def test_a_wider_interval_never_reproduces_what_a_narrow_one_contradicts(rule):
    one = claim(rule, paper=1)
    for value in (0.2, 0.5, 0.89, 1.0, 1.11, 2.0, 5.0):
        verdicts = [
            judge(one, measured(value, value / wide, value * wide)).verdict
            for wide in np.geomspace(1, 100, 200)
        ]
        kinds = list(dict.fromkeys(verdicts))
        near = isinstance(rule, Near)
        right = 0.9 <= value <= 1.1 if near else 1 / 3 <= value <= 3
        assert kinds == ["reproduced" if right else "differs", "out_of_reach"], value


def test_what_is_too_wide_says_so_with_numbers():
    wide = judge(claim(Near(0.1), paper=0.077), measured(0.053, 0.046, 0.0772))
    assert wide.reason == (
        "Out of reach at this scale because 0.053 [0.046, 0.0772] lies below 0.0693 to 0.0847, the "
        "paper's 0.077 with 10 % to each side, but its interval reaches there: it is too wide to "
        "tell."
    )
    wide = judge(claim(Near(0.1), paper=1), measured(1.0, 0.8, 1.3))
    assert "a factor of 1.62 apart, more than 1.5: too wide to tell" in wide.reason


def test_three_seeds_cannot_tell_whether_spreads_are_alike_and_five_can():
    """Fisher's F: ends a factor of 19.0 apart of three seeds, 6.4 of five."""
    away = np.array([-1.0, 1.0, 0.2, -0.6, 0.5])
    verdicts = {}
    for count in (3, 5):
        rows = [
            claim_data.run(params, 3.0 + 0.01 * away[seed], seed=seed)
            for params in (1e4, 1e5) for seed in range(count)
        ]  # fmt: skip
        found = Evidence({"seeds": Data(runs=rows)})
        verdicts[count] = {row["claim"]: row for row in comparison("kaplan2020", found)}["seeds"]
    assert verdicts[3]["verdict"] == "out_of_reach"
    assert "a factor of 19 apart, more than 9" in verdicts[3]["reason"]
    assert verdicts[5]["verdict"] == "reproduced"


def test_whatever_the_rule_what_is_far_out_or_unknown_is_out_of_reach():
    right = claim(Near(), paper=1)
    assert judge(right, measured(1.0, 0.9, 1.1, beyond=FARTHEST)).verdict == "reproduced"
    assert judge(right, measured(1.0, 0.9, 1.1, beyond=1.1 * FARTHEST)).verdict == "out_of_reach"
    assert judge(right, measured(np.nan)).verdict == "out_of_reach"
    doubted = judge(right, measured(1.0, doubt="no minimum was found."))
    assert doubted.reason == "Out of reach at this scale because no minimum was found."


@pytest.mark.parametrize(
    ("rule", "paper"),
    [
        (Near(), {"paper": 1}),
        (Within(), {"paper": 1}),
        (AtMost(), {"high": 1}),
        (AtLeast(), {"low": 2}),
    ],
)
def test_a_value_without_an_interval_is_out_of_reach(rule, paper):
    judged = judge(claim(rule, **paper), measured(1.0))
    assert judged.verdict == "out_of_reach"
    assert judged.reason == (
        "Out of reach at this scale because these runs give 1 no interval, without which it cannot "
        "be judged."
    )


def test_a_claim_without_a_value_for_its_rule_is_refused():
    with pytest.raises(ValueError, match="key: the rule needs the paper's value"):
        judge(claim(Near(), high=1), measured(1.0, 0.9, 1.1))
