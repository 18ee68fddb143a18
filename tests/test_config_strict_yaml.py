"""Keys that stand twice in a mapping are refused; all else reads as YAML's own reader has it."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import strict_yaml
from pipeline.config.strict_yaml import RepeatedKeyError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "place", "lines"),
    [
        ("study: a\ntitle: x\nstudy: b\n", "study", (1, 3)),
        ("study: a\n'study': b\n", "study", (1, 2)),
        ("a:\n  b:\n    seeds: [0]\n    c: 1\n    seeds: [1]\n", "a.b.seeds", (3, 5)),
        ("a:\n- x: 1\n- {x: 1, y: 2, x: 3}\n", "a[1].x", (3, 3)),
        ("base: &base\n  x: 1\n  x: 2\nother: *base\n", "base.x", (2, 3)),
    ],
)
def test_a_key_that_stands_twice_is_told_with_both_lines(text, place, lines):
    with pytest.raises(RepeatedKeyError) as refused:
        strict_yaml.load(text)
    assert (refused.value.place, refused.value.lines) == (place, lines)


@pytest.mark.parametrize(
    "text",
    [
        "", "3", "- 1\n- a: 2\n- a: 3\n", "a: {b: 1}\nc: {b: 1}\n", "1: a\n'1': b\n",
        "base: &base {x: 1, y: 2}\nown:\n  <<: *base\n  x: 3\nagain: *base\n",
        "a: &a {x: 1}\nb: &b {y: 1}\nc:\n  <<: *a\n  <<: *b\n",
    ],
)  # fmt: skip
def test_all_else_is_read_as_yaml_reads_it(text):
    assert strict_yaml.load(text) == yaml.safe_load(text)


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_studies_are_read_as_yaml_reads_them(path):
    text = path.read_text()
    assert strict_yaml.load(text) == yaml.safe_load(text)


def test_what_is_no_yaml_is_left_to_yaml_to_tell():
    with pytest.raises(yaml.YAMLError, match="line 2"):
        strict_yaml.load("a: 1\n b: 2\n")
