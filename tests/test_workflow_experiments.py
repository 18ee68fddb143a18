"""The real workflow on two experiments of one config: what they share is trained once."""

from __future__ import annotations

import pytest
import yaml
from project import TINY, Project

from pipeline import contracts

pytestmark = pytest.mark.workflow


def test_two_experiments_share_their_cells_and_have_tables_and_pages_of_their_own(tmp_path):
    project = Project.make(tmp_path)
    config = {
        **TINY, "study": "pair", "title": "Two of them", "replicates": "kaplan2020", "figures": ["loss_vs_params"],
        "fit": {"laws": ["power_params"], "bootstraps": 20},
        "experiments": {
            "sizes": {},
            "two": {"grid": {"tokens": [20480, 40960]}, "fit": {"tokens": "unique_tokens", "laws": ["power_params", "kaplan"]}},
        },
    }  # fmt: skip
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    planned = project.planned()
    assert (planned["train_trunk"], planned["publish_cell"]) == (2, 6)
    assert (planned["fit_law"], planned["draw_loss_vs_params"], planned["index_figures"]) == (
        3,
        2,
        2,
    )
    assert planned["index_experiments"] == planned["compare_claims"] == 1
    status, printed = project.snakemake()
    assert status == 0, printed
    runs = {
        name: contracts.read(
            project.folder / f"results/pair/{name}/runs.parquet", contracts.RUNS
        ).to_pylist()
        for name in ("sizes", "two")
    }
    assert {run["study"] for run in runs["two"]} == {"pair/two"}
    cells = {name: {run["cell"] for run in rows} for name, rows in runs.items()}
    assert (len(cells["sizes"]), len(cells["two"]), len(cells["sizes"] & cells["two"])) == (4, 4, 2)
    for name in cells:
        assert (project.folder / f"figures/pair/{name}/loss_vs_params.svg").exists()
        assert "power_params" in (project.folder / f"figures/pair/{name}/index.html").read_text()
    told = (project.folder / "results/pair/two/plan.txt").read_text()
    assert told.startswith("kaplan was fitted to the tokens of datasets")
    page = (project.folder / "figures/pair/index.html").read_text()
    assert "Two of them" in page
    compared = contracts.read(
        project.folder / "results/pair/comparison.parquet", contracts.COMPARISON
    ).to_pylist()
    rows = {row["claim"]: row for row in compared}
    assert rows["alpha_N"]["verdict"] == "out_of_reach"  # two sizes determine no exponent
    assert rows["alpha_D"]["reason"] == "Not measured because the study has no experiment data."
    assert rows["alpha_D"]["reason"] in page
    assert project.planned() == {}
