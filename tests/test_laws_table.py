"""The documentation of the laws that is made from the registry."""

import re

from pipeline.laws import LAWS, law
from pipeline.laws.table import markdown


def test_every_law_is_offered_once_and_its_link_leads_to_its_section():
    text = markdown()
    links = re.findall(r"\[`(\w+)`\]\(#([^)]+)\)", text)
    assert sorted(name for name, _ in links) == sorted(LAWS)
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    # GitHub's rule: lower case, punctuation dropped, spaces to hyphens.
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {anchor for _, anchor in links} == anchors
    assert len(anchors) == len(headings) == len(LAWS)


def test_published_values_stand_beside_the_parameters():
    text = markdown()
    for name in LAWS:
        for parameter in law(name).parameters:
            if parameter.published is not None:
                value, paper = parameter.published
                assert f"| {value:g}, {paper} |" in text


def test_rows_have_as_many_cells_as_their_heads():
    for line in markdown().splitlines():
        if line.startswith("|"):
            assert line.count("|") in (5, 7), line
