"""The real workflow on a table of runs, alone and beside trained cells."""

from __future__ import annotations

import json

import pytest
import yaml
from project import Project

from pipeline import contracts

pytestmark = pytest.mark.workflow

SIZES, TOKENS = (100, 200, 400, 800), (2, 4, 8, 16)  # millions, billions
STUDY = {
    "study": "ours",
    "runs": [
        {
            "name": "sweep",
            "file": "runs.csv",
            "columns": {
                "params": {"column": "params_m", "unit": "million"},
                "tokens": {"column": "tokens_b", "unit": "billion"},
                "bytes_per_token": 4.0,
            },
            "evaluations": {"code": "code"},
        }
    ],
    "fit": {"laws": ["kaplan", "transfer@code"], "loss": "bits_per_byte", "bootstraps": 20},
    "figures": ["transfer", "kaplan_surface", "exponents"],
}


def table(project: Project, **changes: str) -> None:
    """Write runs.csv: sixteen runs, some cells of the first changed."""
    lines = []
    for i, (size, tokens) in enumerate((s, t) for s in SIZES for t in TOKENS):
        loss = ((2e13 / (size * 1e6)) ** (0.08 / 0.1) + 3e13 / (tokens * 1e9)) ** 0.1
        row = {"params_m": size, "tokens_b": tokens, "loss": f"{loss:.4f}",
               "code": f"{0.4 + 0.8 * loss:.4f}"}  # fmt: skip
        row |= changes if i == 0 else {}
        lines.append(row)
    text = [",".join(lines[0]), *(",".join(map(str, row.values())) for row in lines)]
    (project.folder / "runs.csv").write_text("\n".join(text) + "\n")


def configure(project: Project, **changes) -> None:
    (project.folder / "config.yaml").write_text(yaml.safe_dump(STUDY | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A project whose study of imported runs has run once."""
    project = Project.make(tmp_path_factory.mktemp("imported"))
    table(project)
    configure(project)
    status, printed = project.snakemake()
    assert status == 0, printed
    return project


def test_a_table_alone_gives_fits_figures_and_page(finished):
    results = finished.folder / "results"
    assert sorted(path.name for path in results.iterdir()) == ["ours"]
    runs = contracts.read(results / "ours/runs.parquet", contracts.RUNS).to_pylist()
    assert len(runs) == 16
    assert {run["source"] for run in runs} == {"sweep"}
    assert json.loads(runs[0]["provenance"])["file"] == "runs.csv"
    for key in ("kaplan", "transfer@code"):
        card = json.loads((results / "ours/fits" / key / "card.json").read_text())
        assert card["counts"]["fitted"] == 16
        assert card["convention"]["loss"] == "bits/byte"
    figures = finished.folder / "figures/ours"
    assert {path.stem for path in figures.glob("*.svg")} == set(STUDY["figures"])
    assert "loss (bits/byte)" in (figures / "kaplan_surface.svg").read_text()
    page = (figures / "index.html").read_text()
    assert "Imported, sweep" in page
    assert "loss (bits/byte)" in page
    assert "Training time" not in page


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_an_edit_of_the_table_reruns_all_that_follows(finished):
    table(finished, loss="2.9")
    planned = finished.planned()
    table(finished)
    assert planned["import_table"] == 1
    assert planned["fit_law"] == 2


def test_another_law_imports_nothing_again(finished):
    configure(finished, fit=STUDY["fit"] | {"laws": ["kaplan", "transfer@code", "chinchilla"]})
    planned = finished.planned()
    configure(finished)
    assert "import_table" not in planned
    assert planned["fit_law"] == 1


def test_a_refused_table_names_its_row_and_stops_all(finished):
    table(finished, params_m="many", code="-1")
    status, _ = finished.snakemake("--forcerun", "import_table")
    log = (finished.folder / "logs/ours/import_table/sweep.log").read_text()
    table(finished)
    assert status != 0
    assert "runs.csv: 2 problems, nothing is imported" in log
    assert "row 1 (line 2), column 'params_m': 'many' is not a number" in log
    assert "row 1 (line 2), column 'code': -1 is not positive" in log


def test_what_cannot_be_is_refused_before_any_job(finished):
    configure(finished, fit={"laws": ["kaplan", "transfer@verse"]})
    status, printed = finished.snakemake("--dry-run")
    configure(finished)
    assert status != 0
    assert "fit.laws[1]: 'transfer@verse' names no text of this study (code)" in printed
    configure(finished, plan={"budgets": [1e20], "money": [5]})
    status, printed = finished.snakemake("--dry-run")
    configure(finished)
    assert status != 0
    assert "plan.money: [5] stands beside plan.budgets; keep one of them" in printed


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        ({"target_loss": [2.5, 2.25]}, "--target-loss 2.5 2.25 "),
        ({"money": [300], "gpu": "h100", "mfu": 0.4, "price_per_gpu_hour": 2}, "--money 300.0 "),
    ],
)
def test_a_study_is_planned_in_the_unit_it_asks_in(finished, plan, options):
    configure(finished, plan=plan)
    status, printed = finished.snakemake("--dry-run", "--printshellcmds", "plan")
    configure(finished)
    assert status == 0, printed
    assert options in printed
    assert "--flops" not in printed.replace("--flops flops_6nd", "")


def test_imported_runs_join_trained_ones(tmp_path):
    project = Project.make(tmp_path)
    table(project)
    runs = [{**STUDY["runs"][0], "evaluations": {"other": "code"}}]
    project.configure({"runs": runs, "exclude": {"min_steps": 1}})
    status, printed = project.snakemake("results/tiny/runs.parquet")
    assert status == 0, printed
    folder = project.folder / "results/tiny"
    found = contracts.read(folder / "runs.parquet", contracts.RUNS).to_pylist()
    assert [run["source"] for run in found] == ["native"] * 6 + ["sweep"] * 16
    assert {run["study"] for run in found} == {"tiny"}
    assert all(run["included"] for run in found)
    texts = contracts.read(folder / "evaluations.parquet", contracts.EVALUATIONS).to_pylist()
    assert [text["corpus"] for text in texts] == ["other"] * 22
