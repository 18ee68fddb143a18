from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from project import TINY

from pipeline import config, experiments
from pipeline.config import ConfigError

ROOT = Path(__file__).parents[1]
SCAN = {"batches": [64, 128, 256, 512]}


def given(**own: Any) -> dict[str, Any]:
    """The tiny study with experiments."""
    return {**TINY, "study": "pair", "experiments": own}


def resolved(tmp_path, **own: Any) -> dict[str, experiments.Experiment]:
    (tmp_path / "texts").mkdir(exist_ok=True)
    for name in ("train", "other"):
        (tmp_path / "texts" / f"{name}.txt").write_text("a\n" * 200)
    return experiments.resolved(given(**own), tmp_path / "results")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_one_study_is_its_own_experiment():
    assert list(config.experiments(TINY)) == ["tiny"]
    assert config.experiments(TINY)["tiny"] == config.complete(TINY)


def test_an_experiment_overlays_the_config_key_by_key():
    found = config.experiments(given(
        same={},
        longer={"grid": {"tokens": [20480, 40960]}},
        alone={"evaluation": None, "model": {"context": 32}},
    ))  # fmt: skip
    assert list(found) == ["pair/same", "pair/longer", "pair/alone"]
    same, longer, alone = found.values()
    assert {**same, "study": "tiny"} == config.complete(TINY)
    assert longer["grid"]["tokens"] == [20480, 40960]
    assert longer["grid"]["sizes"] == TINY["grid"]["sizes"]
    assert alone["model"]["context"] == 32
    assert alone["evaluation"]["corpora"] == []


def test_experiments_share_cells_and_texts(tmp_path):
    found = resolved(tmp_path, one={}, two={"grid": {"tokens": [15360, 20480, 40960]}})
    one, two = (set(e.study.by_key) for e in found.values())
    assert (len(one), len(two), len(one & two)) == (6, 6, 4)
    assert set(experiments.cells(found.values())) == one | two
    assert len(experiments.corpora(found.values())) == 1
    assert [text.name for text in experiments.texts(found.values()).values()] == ["other"]
    assert found["pair/one"].study.card["study"] == "pair/one"


def test_figures_know_the_experiments_that_draw_them(tmp_path):
    found = resolved(tmp_path, one={"figures": ["floor", "plan"]}, two={"figures": ["plan"]})
    assert experiments.figures(found) == {"floor": ["pair/one"], "plan": ["pair/one", "pair/two"]}


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, "experiments: {} holds none"),
        ({"A": {}}, "'A' is no name of an experiment"),
        ({"a": {"experiments": {}}}, "experiments.a.experiments: {} is a key of the whole config"),
        (
            {
                "a": {"critical_batch": {"of": "b"}},
                "b": {"grid": SCAN, "critical_batch": {"measure": True},
                      "fit": {"laws": ["critical_batch"]}, "corpus": {"block_bytes": 2048}},
            },
            "a.critical_batch.of: 'b' trains on another text",
        ),
        ({"a": {"grd": {}}}, "experiments.a: grd: {} is an unknown key; did you mean 'grid'?"),
        ({"a": {"fit": {"laws": ["chinchila"]}}}, "experiments.a: fit.laws[0]: 'chinchila'"),
        ({"a": {}, "b": {"training": {"device": "auto"}}}, "differs between experiments"),
        (
            {"a": {"critical_batch": {"of": "b"}}, "b": {}},
            "a.critical_batch.of: 'b' is no experiment that fits the law critical_batch; add an "
            "experiment b with critical_batch.measure and that law, or leave out critical_batch.of",
        ),
        (
            {
                "a": {"critical_batch": {"of": "c"}},
                "b": {"grid": SCAN, "critical_batch": {"measure": True},
                      "fit": {"laws": ["critical_batch"]}},
            },
            "a.critical_batch.of: 'c' is no experiment that fits the law critical_batch; choose from b",
        ),
        (
            {
                "a": {"critical_batch": {"of": "b", "measure": True}, "grid": SCAN},
                "b": {"grid": SCAN, "critical_batch": {"measure": True},
                      "fit": {"laws": ["critical_batch"]}},
            },
            "a.critical_batch.of: 'b' is given beside measure",
        ),
    ],
)  # fmt: skip
def test_experiments_that_make_no_sense_are_refused(tmp_path, own, message):
    with pytest.raises(ConfigError) as refused:
        resolved(tmp_path, **own)
    assert message in str(refused.value)


def test_the_critical_batch_of_another_experiment_lets_laws_of_fewest_steps_be_fitted(tmp_path):
    scan = {"grid": SCAN, "critical_batch": {"measure": True}, "fit": {"laws": ["critical_batch"]}}
    found = resolved(
        tmp_path, a={"critical_batch": {"of": "b"}, "fit": {"laws": ["kaplan_steps"]}}, b=scan
    )
    assert found["pair/a"].fitted == ("kaplan_steps",)
    assert found["pair/a"].on_runs == []
    with pytest.raises(ConfigError, match="takes steps_min"):
        resolved(tmp_path, a={"fit": {"laws": ["kaplan_steps"]}}, b=scan)


def test_laws_of_the_datasets_tokens_plan_nothing(tmp_path):
    own = {"fit": {"laws": ["kaplan"], "tokens": "unique_tokens"}}
    found = resolved(tmp_path, seen={"fit": {"laws": ["kaplan"]}}, dataset=own)
    assert found["pair/seen"].surfaces == ["kaplan"]
    assert found["pair/dataset"].surfaces == found["pair/dataset"].read_by_plans == []
    assert found["pair/seen"].unplanned == ""
    assert found["pair/dataset"].unplanned.startswith("kaplan was fitted to the tokens of datasets")
    assert "fit.tokens: unique_tokens" in found["pair/dataset"].unplanned


def test_studies_without_a_plan_say_why(tmp_path):
    sizes = [
        {"n_layer": 1, "d_model": width, "n_head": 1, "family": "recurrent", "reuse": 2}
        for width in (8, 16)
    ]
    found = resolved(
        tmp_path, curve={"fit": {"laws": ["power_params"]}},
        again={"fit": {"laws": ["kaplan"]}, "grid": {"sizes": sizes}},
    )  # fmt: skip
    assert "fit.laws has no law of N and D" in found["pair/curve"].unplanned
    assert "(reuse)" in found["pair/again"].unplanned
    assert found["pair/curve"].surfaces == found["pair/again"].surfaces == []


def test_a_file_of_several_experiments_gives_one_by_name(tmp_path):
    path = ROOT / "studies" / "kaplan-laptop.yaml"
    assert config.load(f"{path}:seeds")["study"] == "kaplan-laptop/seeds"
    with pytest.raises(ConfigError, match="holds several experiments; name one, such as"):
        config.load(path)
    with pytest.raises(ConfigError, match="did you mean 'seeds'"):
        config.load(f"{path}:seed")


def test_the_fault_of_a_single_study_is_named_by_its_key_alone(tmp_path):
    config = {**TINY, "fit": {"laws": ["nonsense"]}}
    (tmp_path / "texts").mkdir()
    for name in ("train", "other"):
        (tmp_path / "texts" / f"{name}.txt").write_text("a\n" * 200)
    with pytest.raises(ConfigError, match=r"^fit.laws\[0\]"):
        experiments.resolved(config, tmp_path / "results")


def test_a_number_is_no_name_of_an_experiment():
    with pytest.raises(ConfigError, match="1 is no name of an experiment"):
        config.experiments({**TINY, "experiments": {1: {}}})


def test_no_study_takes_a_folder_that_belongs_to_all(tmp_path):
    with pytest.raises(ConfigError, match="is a folder of its own"):
        experiments.resolved({**given(a={}), "study": "cells"}, tmp_path / "results")


def test_what_a_replication_leaves_out_is_said(monkeypatch):
    monkeypatch.chdir(ROOT)
    whole = config.read("studies/kaplan-laptop.yaml")
    assert experiments.lacking(experiments.defined(whole)) == ""
    own = {name: one for name, one in whole["experiments"].items() if name != "lstm"}
    told = experiments.lacking(experiments.defined({**whole, "experiments": own}))
    assert "Claims of kaplan2020 that are measured in lstm are not compared" in told
    assert re.search(r"figures of kaplan2020, 1 of \d+ lack an .* not drawn: fig07_lstm\.$", told)
    alone = {"seeds": whole["experiments"]["seeds"]}
    told = experiments.lacking(experiments.defined({**whole, "experiments": alone}))
    assert all(name in told for name in ("sizes", "data", "schedules", "fig01_", "fig24_"))
    assert "seeds" not in told
    plain = {key: value for key, value in whole.items() if key != "replicates"}
    assert experiments.lacking(experiments.defined({**plain, "experiments": alone})) == ""
