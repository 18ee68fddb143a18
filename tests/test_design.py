"""The command that lists the cells of a config, and refuses what the workflow refuses."""

import json
import re

import pytest

from pipeline import design, provenance

SMALL = {
    "study": "small",
    "corpus": {"name": "verse", "sources": [{"package": "poetry"}]},
    "grid": {"sizes": [{"n_layer": 2, "d_model": 32, "n_head": 2}, 1e5], "tokens": ["1e6", 2e6]},
}


def test_the_table_counts_what_trunks_save(monkeypatch, capsys):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "bf16")
    assert design.main(["config.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "28 cells, 7 trunks" in printed
    assert "42% of time and 37% of FLOP saved by sharing trunks" in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fit": {"laws": ["chinchila"]}}, "fit.laws[0]: 'chinchila' is not known here"),
        ({"fit": {"laws": ["kaplan_steps"]}}, "fit.laws[0]: 'kaplan_steps' takes steps_min"),
        ({"fit": {"laws": ["transfer@nowhere"]}}, "fit.laws[0]: 'transfer@nowhere' names no text"),
        ({"fit": {"laws": ["farseer"]}}, "fit.laws[0]: 'farseer' has 9 parameters"),
        ({"figures": ["iso_los"]}, "figures[0]: 'iso_los' is not known here"),
        ({"experiments": {"a": {"critical_batch": {"of": "batchs"}}}}, "'batchs' is no experiment"),
        ({"plan": {"budgets": [1e15], "pf_days": [5]}}, "plan.pf_days: [5] stands beside plan.budgets"),
    ],
)  # fmt: skip
def test_the_command_refuses_what_the_workflow_refuses(tmp_path, capsys, changes, message):
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps({**SMALL, "fit": {"laws": ["power_params"]}, **changes}))
    assert design.main([str(path)]) == 2
    assert message in capsys.readouterr().err


def test_processes_are_counted_over_all_experiments_that_share_cells(monkeypatch, capsys):
    monkeypatch.setattr(provenance, "cpu_precision", lambda: "fp32")
    assert design.main(["studies/kaplan-laptop.yaml"]) == 0
    printed = capsys.readouterr().out
    clause = r"; (\d+) trainings share (\d+) processes, whose starts are [\d.]+ min of it"
    told = re.findall(clause, printed)
    [last] = [line for line in printed.splitlines() if line.startswith("all: ")]
    [(trainings, processes)] = told
    assert re.search(clause + "; 23 cells are shared$", last)
    assert 50 < int(processes) < int(trainings) == 207


def test_the_command_lists_a_study_before_there_is_a_text_for_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus = {"name": "own", "sources": [{"files": "no/such/*.txt"}]}
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps({**SMALL, "corpus": corpus, "fit": {"laws": ["power_params"]}}))
    assert design.main([str(path)]) == 2
    told = capsys.readouterr()
    assert "4 cells, 2 trunks" in told.out
    assert "corpus.sources[0].files: 'no/such/*.txt' names no file" in told.err


def test_the_command_names_file_and_fault(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text("study: 3\n")
    assert design.main([str(path)]) == 2
    assert "bad.yaml" in capsys.readouterr().err


def test_a_study_of_imported_runs_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.csv").write_text("N,D,loss\n1e8,2e9,3\n")
    item = {"name": "ours", "file": "ours.csv", "evaluations": {"code": "code"}}
    (tmp_path / "alone.yaml").write_text(json.dumps({"study": "alone", "runs": [item]}))
    assert design.main(["alone.yaml"]) == 0
    assert capsys.readouterr().out == "ours: runs of ours.csv\n"
