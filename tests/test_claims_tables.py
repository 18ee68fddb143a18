"""The replication's page says which experiment serves which claim and figure, as the registries do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from test_claims import claim, measured

from pipeline.claims import rules, tables
from pipeline.compare import claims
from pipeline.figures.kaplan2020 import FIGURES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "kaplan2020.md"


def study(scale: str) -> dict:
    return yaml.safe_load((ROOT / "studies" / f"kaplan-{scale}.yaml").read_text())


def test_the_page_holds_the_tables_of_the_registries():
    page = PAGE.read_text()
    assert tables.made(page, study("laptop")) == page, "run `make docs`"
    for one in claims("kaplan2020"):
        assert f"| `{one.key}` |" in page
    for figure in FIGURES:
        assert f"`{figure}`" in page
    for name in study("laptop")["experiments"]:
        assert f"| {name} |" in page


@pytest.mark.parametrize("scale", ["laptop", "gpu", "paper"])
def test_every_scale_has_what_every_claim_needs(scale):
    own = study(scale)["experiments"]
    fitted = {name: (one.get("fit") or {}).get("laws", []) for name, one in own.items()}
    for one in claims("kaplan2020"):
        assert rules.missing(one, fitted) is None, one.key


@pytest.mark.parametrize(
    ("rule", "paper", "words"),
    [
        (rules.Near(0.1), {"paper": 0.076}, "0.076, ± 10 %"),
        (rules.Near(0.1), {"paper": 20, "low": 0}, "0 to 20, ± 10 %"),
        (rules.Within(3), {"paper": 1}, "1, up to a factor of 3"),
        (rules.AtMost(), {"high": 0.05}, "at most 0.05"),
        (rules.AtLeast(), {"low": 0.9}, "at least 0.9"),
    ],
)
def test_rules_in_words(rule, paper, words):
    assert tables.rule(claim(rule, **paper)) == words


def test_a_rule_without_words_and_a_page_without_marks_are_refused():
    with pytest.raises(TypeError, match="key: the rule"):
        tables.rule(claim(lambda one, found: rules.judge(one, found), paper=1))
    with pytest.raises(ValueError, match="lacks two lines <!-- experiments"):
        tables.made("# A page\n", study("laptop"))
    assert measured(1.0).ends == (1.0, 1.0)
