import json

import pytest
from rows import RUN, write_cell

from pipeline import aggregate, contracts

RULES = {
    "min_steps": 5,
    "min_layers": 2,
    "min_tokens": 1000,
    "min_params": 100,
    "max_epochs": 4,
    "min_context": 4,
    "families": ["lstm"],
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"status": "diverged", "loss": None, "steps": 1}, "diverged"),
        ({"steps": 4}, "too_few_steps"),
        ({"n_layer": 1}, "too_few_layers"),
        ({"tokens": 999}, "too_few_tokens"),
        ({"params": 99}, "too_few_params"),
        ({"unique_tokens": 2000}, "too_many_epochs"),
        ({"family": "lstm"}, "other_family"),
        ({"family": "recurrent"}, None),
        ({"context": 3}, "short_context"),
        ({"unique_tokens": 2560}, None),
    ],
)
def test_a_run_is_left_out_with_a_reason(change, reason):
    assert aggregate.exclusion({**RUN, **change}, RULES) == reason


def aggregated(tmp_path, keys, exclude=RULES, imports=(), further=()):
    """Run the command on these cells and imports; its exit status."""
    card = {
        "study": "toy", "title": "", "cells": keys, "imports": list(imports), "exclude": exclude,
    }  # fmt: skip
    (tmp_path / "design.json").write_text(json.dumps(card))
    return aggregate.main(
        [
            str(tmp_path / "design.json"),
            "--cells",
            str(tmp_path),
            "--out",
            str(tmp_path / "toy"),
            *further,
        ]
    )


def test_every_cell_stays_in_the_tables(tmp_path):
    write_cell(tmp_path, "a")
    write_cell(tmp_path, "b", steps=1)
    write_cell(tmp_path, "c", status="diverged", loss=None, loss_se=None, bits_per_byte=None)
    assert aggregated(tmp_path, ["a", "b", "c"]) == 0
    runs = contracts.read(tmp_path / "toy" / "runs.parquet", contracts.RUNS).to_pylist()
    assert [run["cell"] for run in runs] == ["a", "b", "c"]
    assert [run["included"] for run in runs] == [True, False, False]
    assert [run["exclusion"] for run in runs] == [None, "too_few_steps", "diverged"]
    of_run = [name for name in RUN if name != "tasks"]
    assert {key: runs[0][key] for key in of_run} == {
        **{key: RUN[key] for key in of_run},
        "cell": "a",
    }
    curves = contracts.read(tmp_path / "toy" / "curves.parquet", contracts.CURVES).to_pylist()
    assert [row["cell"] for row in curves] == ["a", "b", "c"]
    along = contracts.read(tmp_path / "toy" / "text_curves.parquet", contracts.TEXT_CURVES)
    assert along.to_pylist()[0] == {
        "cell": "a", "step": 10, "tokens": 10240, "flops": 2.4e8, "val_loss": 5.0,
        "corpus": "other", "loss": 5.5, "loss_se": 0.01, "bits_per_byte": 3.5,
    }  # fmt: skip
    assert along["cell"].to_pylist() == ["a", "b", "c"]
    asked = contracts.read(tmp_path / "toy" / "task_curves.parquet", contracts.TASK_CURVES)
    assert asked.to_pylist()[0] == {
        "cell": "a", "step": 10, "tokens": 10240, "flops": 2.4e8, "val_loss": 5.0,
        "task": "quiz", "error": 0.25, "error_se": 0.03, "chance": 0.75, "items": 200,
    }  # fmt: skip
    assert asked["cell"].to_pylist() == ["a", "b", "c"]
    tasks = contracts.read(tmp_path / "toy" / "tasks.parquet", contracts.TASKS).to_pylist()
    assert tasks[0] == {"cell": "a", "task": "quiz", "error": 0.25, "error_se": 0.03}
    assert [row["cell"] for row in tasks] == ["a", "b", "c"]
    texts = contracts.read(tmp_path / "toy" / "evaluations.parquet", contracts.EVALUATIONS)
    assert texts["cell"].to_pylist() == ["a", "b", "c"]


def test_a_regression_keeps_its_terms_and_tells_what_is_known(tmp_path):
    terms = {"loss": {"name": "error", "unit": "share"}}
    row = dict.fromkeys(contracts.RUNS.names) | {
        "study": "toy", "source": "regression", "cell": "a", "params": 200, "tokens": 2000,
        "flops_6nd": 2.4e6, "loss": 0.5, "status": "finished", "included": True,
    }  # fmt: skip
    place = tmp_path / "regression"
    rows = [row, {**row, "cell": "b", "tokens": 20}]
    contracts.write(place / "runs.parquet", rows, contracts.told(contracts.RUNS, terms))
    fact = {"law": "kaplan", "parameter": "Nc", "value": 1.0, "unit": "1", "reason": "so"}
    contracts.write(place / "known.parquet", [fact], contracts.KNOWN)
    assert aggregated(tmp_path, [], further=["--regression", str(place)]) == 0
    runs = contracts.read(tmp_path / "toy" / "runs.parquet", contracts.RUNS)
    assert runs["exclusion"].to_pylist() == [None, "too_few_tokens"]
    assert runs.schema.field("loss").metadata[b"unit"] == b"share"
    assert runs.schema.field("tokens").metadata == contracts.RUNS.field("tokens").metadata
    known = contracts.read(tmp_path / "toy" / "known.parquet", contracts.KNOWN).to_pylist()
    assert known == [fact]


def test_of_a_study_of_text_nothing_is_known(tmp_path):
    write_cell(tmp_path, "a")
    assert aggregated(tmp_path, ["a"]) == 0
    assert len(contracts.read(tmp_path / "toy" / "known.parquet", contracts.KNOWN)) == 0


@pytest.mark.parametrize("column", ["recipe", "data_sha256", "precision"])
def test_recipes_and_data_are_not_mixed(tmp_path, capsys, column):
    write_cell(tmp_path, "a")
    write_cell(
        tmp_path, "b", **{column: {"recipe": 2, "data_sha256": "bb", "precision": "bf16"}[column]}
    )
    assert aggregated(tmp_path, ["a", "b"]) == 2
    assert f"cells of different {column}" in capsys.readouterr().err
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("name", ["run", "curve", "evaluation"])
def test_a_truncated_or_missing_file_is_named(tmp_path, capsys, name):
    write_cell(tmp_path, "a")
    path = tmp_path / "a" / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert aggregated(tmp_path, ["a"]) == 2
    assert str(path) in capsys.readouterr().err
    path.unlink()
    assert aggregated(tmp_path, ["a"]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_foreign_run_is_named(tmp_path, capsys):
    write_cell(tmp_path, "a", cell="b")
    assert aggregated(tmp_path, ["a"]) == 2
    assert "expected the one cell a" in capsys.readouterr().err


def imported(folder, **changes):
    """The tables of an import of two runs that know nothing but N, D, C and the loss."""
    known = {"params": 2000, "tokens": 50000, "flops_6nd": 6e8, "loss": 4.0, "status": "finished"}
    rows = [
        {"study": "ours", "source": folder.name, "provenance": "{}", "included": True, **known,
         "cell": cell} | (changes if cell == "y" else {})
        for cell in ("x", "y")
    ]  # fmt: skip
    contracts.write(folder / "runs.parquet", rows, contracts.RUNS)
    texts = [{"cell": "x", "corpus": "other", "loss": 4.4}]
    contracts.write(folder / "evaluations.parquet", texts, contracts.EVALUATIONS)
    tasks = [{"cell": "y", "task": "quiz", "error": 0.5}]
    contracts.write(folder / "tasks.parquet", tasks, contracts.TASKS)


@pytest.mark.parametrize("cells", [["a"], []])
def test_imported_runs_stand_beside_trained_ones_or_alone(tmp_path, cells):
    write_cell(tmp_path, "a")
    imported(tmp_path / "toy" / "imports" / "ours", tokens=500)
    assert aggregated(tmp_path, cells, imports=["ours"]) == 0
    runs = contracts.read(tmp_path / "toy" / "runs.parquet", contracts.RUNS).to_pylist()
    assert [run["cell"] for run in runs] == [*cells, "x", "y"]
    assert [run["source"] for run in runs] == [*(["native"] * len(cells)), "ours", "ours"]
    assert {run["study"] for run in runs} == {"toy"}
    assert [run["exclusion"] for run in runs[-2:]] == [None, "too_few_tokens"]
    assert [run["included"] for run in runs[-2:]] == [True, False]
    curves = contracts.read(tmp_path / "toy" / "curves.parquet", contracts.CURVES)
    assert curves["cell"].to_pylist() == cells
    along = contracts.read(tmp_path / "toy" / "text_curves.parquet", contracts.TEXT_CURVES)
    assert along["cell"].to_pylist() == cells
    texts = contracts.read(tmp_path / "toy" / "evaluations.parquet", contracts.EVALUATIONS)
    assert texts["cell"].to_pylist() == [*cells, "x"]
    tasks = contracts.read(tmp_path / "toy" / "tasks.parquet", contracts.TASKS)
    assert tasks["error"].to_pylist() == [*([0.25] * len(cells)), 0.5]
    asked = contracts.read(tmp_path / "toy" / "task_curves.parquet", contracts.TASK_CURVES)
    assert asked["cell"].to_pylist() == cells


def test_what_an_imported_run_lacks_excludes_it_from_nothing():
    bare = dict.fromkeys(contracts.RUNS.names) | {
        "tokens": 50000, "params_total": 2000, "bits_per_byte": 1.0, "status": "finished",
    }  # fmt: skip
    assert aggregate.exclusion(bare, RULES) is None
    assert aggregate.exclusion(bare | {"bits_per_byte": None}, RULES) == "diverged"
    assert aggregate.exclusion(bare | {"params": 99}, RULES) == "too_few_params"


def test_a_missing_import_is_named(tmp_path, capsys):
    assert aggregated(tmp_path, [], imports=["ours"]) == 2
    assert "imports/ours/runs.parquet: there is no such file" in capsys.readouterr().err


def test_a_run_in_two_tables_is_refused(tmp_path, capsys):
    for name in ("ours", "copy"):
        imported(tmp_path / "toy" / "imports" / name, loss=3.9, tokens=70000)
    assert aggregated(tmp_path, [], imports=["ours", "copy"]) == 2
    told = capsys.readouterr().err
    assert "x of copy and x of ours are one run" in told
    assert "keep it in one of the tables" in told
    assert not (tmp_path / "toy" / "runs.parquet").exists()
