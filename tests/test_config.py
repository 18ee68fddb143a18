import json
import math
import re
from pathlib import Path

import pytest
import yaml

from pipeline import config
from pipeline.config import ConfigError
from pipeline.config.schema import schema

ROOT = Path(__file__).parents[1]
SMALL = {
    "study": "small",
    "corpus": {"name": "verse", "sources": [{"package": "poetry"}]},
    "grid": {"sizes": [1e4], "tokens": [1e6]},
}


def changed(path, value):
    """SMALL with the value at ``path`` replaced."""
    copy = json.loads(json.dumps(SMALL))
    place = copy
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    place[path[-1]] = value
    return copy


def test_defaults_fill_in_at_every_depth():
    full = config.complete(SMALL)
    assert full["training"]["schedule"]["name"] == "wsd"
    assert full["corpus"]["sources"][0]["format"] == "auto"
    assert full["grid"]["seeds"] == [0]
    assert "synthetic" not in full["corpus"]["sources"][0]
    assert SMALL == {**SMALL}
    assert "training" not in SMALL


def test_completing_twice_changes_nothing():
    full = config.complete(SMALL)
    assert config.complete(full) == full


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("grids",), 3, r"grids: 3 is an unknown key; did you mean 'grid'"),
        (("grid", "token"), [1], r"grid\.token: .* unknown key; did you mean 'tokens'"),
        (("study",), 5, r"study: 5 is not of type string"),
        (("study",), "a/b", r"study: 'a/b' is not written in the expected form: a lower-case letter, then"),
        (("grid", "sizes"), [{"n_layers": 2}], r"sizes\[0\]\.n_layers: 2 .*mean 'n_layer'"),
        (("grid", "sizes"), [], r"grid\.sizes: \[\] breaks the limit minItems 1"),
        (("grid", "sizes"), ["many"], r"grid\.sizes\[0\]: 'many' is not"),
        (("grid", "tokens"), 5, r"grid\.tokens: 5 is not of type array"),
        (("corpus", "sources", 0, "package"), "poetri", r"did you mean 'poetry'"),
        (("corpus", "fraction"), 2, r"corpus\.fraction: 2 breaks the limit maximum 1"),
        (("training", "schedule", "name"), "cosin", r"did you mean 'cosine'"),
        (("training", "clip"), True, r"training\.clip: True is not of type number"),
        (("fit", "level"), 1, r"fit\.level: 1 breaks the limit exclusiveMaximum 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_key_value_and_cure(path, value, message):
    with pytest.raises(ConfigError, match=message):
        config.complete(changed(path, value))


def test_a_misspelt_required_key_is_named_as_such():
    misspelt = {**SMALL, "gird": SMALL["grid"]}
    del misspelt["grid"]
    with pytest.raises(ConfigError, match=r"gird: .* is an unknown key; did you mean 'grid'"):
        config.complete(misspelt)


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="config: .* lacks the key 'corpus'"):
        config.complete({"study": "a", "grid": {"sizes": [1]}})
    with pytest.raises(ConfigError, match="config: .* lacks the key 'grid'; add it, or runs"):
        config.complete({"study": "a", "corpus": SMALL["corpus"]})
    # What was written is listed, and no default beside it.
    with pytest.raises(ConfigError, match=r"^config: \['corpus', 'study'\] lacks the key 'grid'"):
        config.complete({"study": "a", "corpus": SMALL["corpus"]})
    with pytest.raises(ConfigError, match=r"^config: \['corpus', 'grid'\] lacks the key 'study'"):
        config.complete({key: SMALL[key] for key in ("corpus", "grid")})
    with pytest.raises(ConfigError, match=r"^corpus: \['name'\] lacks the key 'sources'"):
        config.complete({**SMALL, "corpus": {"name": "verse"}})
    runs = [{"name": "ours", "file": "ours.csv"}]
    assert config.complete({"study": "a", "runs": runs})["runs"][0]["duplicates"] == "refuse"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "path",
    [
        ("training", "learning_rate", "hidden"), ("training", "weight_decay"), ("model", "dropout"),
        ("exclude", "max_epochs"), ("grid", "sizes"),
    ],
)  # fmt: skip
def test_no_number_is_infinite_or_none(path, value):
    """No limit of the schema keeps these out: NaN breaks none."""
    given = changed(path, [value] if path[-1] == "sizes" else value)
    named = re.escape(".".join(path))
    with pytest.raises(ConfigError, match=rf"^{named}\S*: \S+ is not finite"):
        config.complete(given)
    own = {**SMALL, "experiments": {"a": {section: given[section] for section in path[:1]}}}
    with pytest.raises(ConfigError, match=rf"^experiments.a.{named}\S*: \S+ is not finite"):
        config.experiments(own)


@pytest.mark.parametrize("text", ["study: [", "- a\n", "\xff"])
def test_files_that_are_no_config(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        config.load(path)
    with pytest.raises(ConfigError, match=r"none\.yaml' cannot be read"):
        config.load(tmp_path / "none.yaml")


def test_a_key_given_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("study: a\nexperiments:\n  seeds: {}\n  data: {}\n  seeds: {title: x}\n")
    with pytest.raises(ConfigError) as refused:
        config.load(path)
    told = (
        "experiments.seeds: 'seeds' is a key of line 3 and again of line 5; leave one of them out"
    )
    assert str(refused.value) == told


def test_broken_yaml_is_refused_with_the_line_of_the_fault(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("study: a\ngrid:\n  tokens: [1]\n sizes: [2]\n")
    with pytest.raises(ConfigError, match=r"config\.yaml' is not valid YAML in line 4, column"):
        config.load(path)


@pytest.mark.parametrize("value", ["1e18", "1.0e+18", 1e18, 10**18])
def test_numbers_come_as_text_too(value):
    assert config.number("grid.budgets[0]", value) == 1e18


@pytest.mark.parametrize("value", ["x", None, "inf", float("nan")])
def test_what_is_no_number(value):
    with pytest.raises(ConfigError, match=r"grid\.budgets\[0\]"):
        config.number("grid.budgets[0]", value)


def test_choices_are_checked_and_default_to_all():
    assert config.choose("figures", None, ["a", "b"]) == ["a", "b"]
    assert config.choose("figures", ["b"], ["a", "b"]) == ["b"]
    with pytest.raises(ConfigError, match=r"fit\.laws\[1\]: 'kaplam' .*did you mean 'kaplan'"):
        config.choose("fit.laws", ["chinchilla", "kaplam"], ["kaplan", "chinchilla"])


def rules(rule, path):
    """Every rule of the schema with its path."""
    yield path, rule
    for key, value in rule.get("properties", {}).items():
        yield from rules(value, f"{path}.{key}")
    for value in (*rule.get("anyOf", ()), *([rule["items"]] if "items" in rule else ())):
        yield from rules(value, f"{path}[]")


def test_every_key_is_described_and_no_mapping_lets_unknown_keys_pass():
    whole = schema()
    known = {
        "$defs", "$id", "$ref", "$schema", "additionalProperties", "anyOf", "default",
        "description", "enum", "exclusiveMaximum", "exclusiveMinimum", "items", "maxItems",
        "maximum", "minItems", "minimum", "pattern", "properties", "required", "title", "type",
        "uniqueItems", "x-optional",
    }  # fmt: skip
    roots = [("config", whole), *whole["$defs"].items()]
    for path, rule in (found for root in roots for found in rules(root[1], root[0])):
        assert set(rule) <= known, path
        if rule.get("type") == "object":
            # Of a mapping whose keys are names of the user, the values are held to a form.
            assert rule["additionalProperties"] is False or "properties" not in rule, path
            assert rule["additionalProperties"] is not True, path
        for key, value in rule.get("properties", {}).items():
            assert "description" in value or "$ref" in value, f"{path}.{key}"


@pytest.mark.parametrize(
    "path", [ROOT / "config.yaml", *sorted((ROOT / "studies").glob("*.yaml"))], ids=lambda p: p.stem
)
def test_shipped_studies_are_valid(path):
    study = yaml.safe_load(path.read_text())["study"]
    assert all(name.partition("/")[0] == study for name in config.load_experiments(path))
