"""The replication's page says which experiment serves which claim and figure, as the registries do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from test_claims_rules import claim, measured

from pipeline import contracts
from pipeline.claims import rules, tables
from pipeline.claims.claim import Evidence
from pipeline.compare import claims, compared
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


def ladder(scale: str) -> list[float]:
    """N of the ladder of sizes, 12 n_layer d_model^2, in order."""
    sizes = study(scale)["experiments"]["sizes"]["grid"]["sizes"]
    return sorted(12 * size["n_layer"] * size["d_model"] ** 2 for size in sizes)


@pytest.mark.parametrize("scale", ["laptop", "gpu", "paper"])
def test_the_page_tells_the_range_of_each_ladder(scale):
    (row,) = (
        line
        for line in PAGE.read_text().splitlines()
        if line.startswith(f"| `studies/kaplan-{scale}")
    )
    ends = re.search(r"([\d.]+)([kMB]?) to ([\d.]+)([kMB]?) parameters", row)
    units = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9}
    told = [float(ends[i]) * units[ends[i + 1]] for i in (1, 3)]
    sizes = ladder(scale)
    assert told == pytest.approx([sizes[0], sizes[-1]], rel=0.06)


def test_the_laptop_is_as_much_smaller_as_its_pages_tell():
    assert 1e3 < ladder("paper")[-1] / ladder("laptop")[-1] < 1e4
    tokens = [study(scale)["experiments"]["sizes"]["grid"] for scale in ("paper", "laptop")]
    assert 1e3 < float(tokens[0]["unique_tokens"]) / max(map(float, tokens[1]["tokens"])) < 1e4
    for page in (ROOT / "README.md", ROOT / "studies" / "kaplan-laptop.yaml"):
        told = " ".join(page.read_text().replace("\n# ", " ").split())
        assert "thousands of times smaller in N and in D" in told


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


def test_the_page_holds_what_was_measured_of_every_claim():
    """The committed table has a line for each claim, in their order; contexts are too short for one."""
    lines = PAGE.read_text().split(tables.MEASURED)[1].strip().splitlines()[2:]
    assert [line.split("`")[1] for line in lines] == [one.key for one in claims("kaplan2020")]
    lacking = [line.split("`")[1] for line in lines if "not measured" in line]
    assert lacking == ["lstm_plateau"]


def test_a_comparison_becomes_the_table_between_its_marks():
    one = replace(claim(rules.Near(0.1), paper=0.076), measure=lambda _: measured(0.05, 0.04, 0.06))
    row = dict.fromkeys(contracts.COMPARISON.names) | compared(one, Evidence({}, 0, 0.9, 0))
    page = f"before\n{tables.MEASURED}\nold\n{tables.MEASURED}\nafter"
    made = tables.measured(page, [row])
    assert made.startswith("before")
    assert made.endswith("after")
    assert "old" not in made
    assert "| `key` | it | 0.076 | 0.050 [0.040, 0.060] | 5 |  |  | differs |" in made
    assert "| in the paper | measured [90 % interval] | runs |" in made
    with pytest.raises(ValueError, match="lacks two lines <!-- measured"):
        tables.measured("# A page\n", [row])


def test_a_rule_without_words_and_a_page_without_marks_are_refused():
    with pytest.raises(TypeError, match="key: the rule"):
        tables.rule(claim(lambda one, found: rules.judge(one, found), paper=1))
    with pytest.raises(ValueError, match="lacks two lines <!-- experiments"):
        tables.made("# A page\n", study("laptop"))
    assert measured(1.0).ends == (1.0, 1.0)
