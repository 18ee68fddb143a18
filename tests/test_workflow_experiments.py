"""The real workflow on two experiments of one config: what they share is trained once, and the
critical batch that one measures corrects the runs of the other."""

from __future__ import annotations

import json

import pytest
import yaml
from project import TINY, Project

from pipeline import contracts

pytestmark = pytest.mark.workflow

SIZE = TINY["grid"]["sizes"][1]
SCAN = {
    "figures": ["critical_batch"],
    "grid": {
        "sizes": [SIZE],
        "batches": [
            *({"batch_tokens": batch, "tokens": [5120]} for batch in (16, 32)),
            {"batch_tokens": 64, "tokens": [10240]},
            {"batch_tokens": 256, "tokens": [20480]},  # the cell of the other experiment
        ],
    },
    "critical_batch": {"measure": True, "losses": [3.0, 2.7, 2.4, 2.1, 1.9]},
    "fit": {"laws": ["critical_batch"]},
}
CONFIG = {
    **{key: value for key, value in TINY.items() if key != "evaluation"},
    "study": "pair", "title": "Two of them", "replicates": "kaplan2020",
    "grid": {**TINY["grid"], "tokens": [10240, 20480]},
    "training": {**TINY["training"], "evaluations_per_octave": 4},
    "fit": {"bootstraps": 20},
    "experiments": {
        "sizes": {
            "figures": ["loss_vs_params"],
            "fit": {"laws": ["power_params", "kaplan_steps"]},
            "critical_batch": {"of": "batches"},
        },
        "batches": SCAN,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Project:
    """The two experiments, planned and run once."""
    project = Project.make(tmp_path_factory.mktemp("pair"))
    (project.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    planned = project.planned()
    # Two sizes at two token counts, and three more batch sizes of one of them.
    assert (planned["train"], planned["publish_cell"]) == (5, 7)
    assert (planned["fit_law"], planned["index_figures"]) == (3, 2)
    assert planned["draw_loss_vs_params"] == planned["draw_critical_batch"] == 1
    assert planned["correct_runs"] == planned["index_experiments"] == planned["compare_claims"] == 1
    status, printed = project.snakemake()
    assert status == 0, printed
    return project


def read(project, table, schema):
    return contracts.read(project.folder / f"results/pair/{table}.parquet", schema).to_pylist()


def card(project, fit):
    return json.loads((project.folder / f"results/pair/{fit}/card.json").read_text())


def test_two_experiments_share_their_cells_and_have_tables_and_pages_of_their_own(pair):
    runs = {name: read(pair, f"{name}/runs", contracts.RUNS) for name in ("sizes", "batches")}
    assert {run["study"] for run in runs["batches"]} == {"pair/batches"}
    cells = {name: {run["cell"] for run in rows} for name, rows in runs.items()}
    shared = cells["sizes"] & cells["batches"]
    assert (len(cells["sizes"]), len(cells["batches"]), len(shared)) == (4, 4, 1)
    own = {"sizes": ("loss_vs_params", "power_params"), "batches": ("critical_batch",) * 2}
    for name, (figure, law) in own.items():
        assert (pair.folder / f"figures/pair/{name}/{figure}.svg").exists()
        assert law in (pair.folder / f"figures/pair/{name}/index.html").read_text()
    assert pair.planned() == {}


def test_the_critical_batch_of_one_corrects_the_curves_of_the_other(pair):
    """Kaplan et al. 2020, eq. 5.3 to 5.5, written out once more."""
    law = {
        name: told["value"]
        for name, told in card(pair, "batches/fits/critical_batch")["parameters"].items()
    }
    fronts = read(pair, "batches/critical_batches", contracts.CRITICAL_BATCHES)
    assert sum(row["status"] == "converged" for row in fronts) >= 3
    assert not (pair.folder / "results/pair/sizes/fits/critical_batch").exists()
    rows = read(pair, "sizes/corrected", contracts.RUNS)
    trunks = {run["trunk"] for run in read(pair, "sizes/runs", contracts.RUNS)}
    assert {row["trunk"] for row in rows} == trunks
    assert len(rows) > 20
    for row in rows:
        critical = law["B"] / row["loss"] ** (1 / law["alpha_B"])
        ratio = critical / row["batch_tokens"]
        assert row["included"]
        assert row["critical_batch"] == pytest.approx(critical, rel=1e-6)
        assert row["steps_min"] == pytest.approx(row["steps"] / (1 + ratio), rel=1e-6)
        assert row["flops_min"] == pytest.approx(row["flops_6nd"] / (1 + 1 / ratio), rel=1e-6)
    fitted = card(pair, "sizes/fits/kaplan_steps")
    assert fitted["counts"] == {"included": len(rows), "fitted": len(rows)}
    assert fitted["selection"]["cells"] == sorted(row["cell"] for row in rows)


def test_figures_and_claims_of_the_paper_read_both_experiments(pair):
    page = (pair.folder / "figures/pair/index.html").read_text()
    assert "Two of them" in page
    for name in ("fig03_growing_budget", "fig10_critical_batch", "fig18_batch_fronts"):
        assert (pair.folder / f"figures/pair/{name}.svg").stat().st_size > 5000
        assert (pair.folder / f"figures/pair/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert name in page
    rows = {row["claim"]: row for row in read(pair, "comparison", contracts.COMPARISON)}
    assert rows["alpha_N"]["verdict"] == "out_of_reach"  # two sizes determine no exponent
    assert rows["alpha_D"]["reason"] == "Not measured because the study has no experiment data."
    assert rows["alpha_D"]["reason"] in page
    for claim, law, parameter, experiment in (
        ("alpha_B", "critical_batch", "alpha_B", "batches"),
        ("B_star", "critical_batch", "B", "batches"),
        ("alpha_S", "kaplan_steps", "alpha_S", "sizes"),
    ):
        told = card(pair, f"{experiment}/fits/{law}")["parameters"][parameter]["value"]
        assert rows[claim]["value"] == pytest.approx(told, rel=1e-9)
        assert experiment in rows[claim]["experiments"]
