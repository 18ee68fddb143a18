"""The predict stage: optima of budgets and a line through them."""

import json

import numpy as np
import pytest
from law_data import TOY_LOSSES, TOY_TOKENS, arrays
from test_fit import fitted, table

from pipeline import contracts
from pipeline.laws import law
from pipeline.predict import GRID, MULTIPLES, budget_grid, main

LARGEST = 6.0 * max(TOY_LOSSES) * max(TOY_TOKENS)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """runs.parquet with three fits beside it."""
    runs = table(tmp_path_factory.mktemp("study") / "runs.parquet")
    for name in ("power_tokens", "kaplan", "chinchilla"):
        assert fitted(runs, name)[0] == 0
    return runs


def predicted(study, names, *options):
    out = study.parent / "predictions.parquet"
    folders = [str(study.parent / "fits" / name) for name in names]
    code = main(["--fits", *folders, "--runs", str(study), "--out", str(out), *options])
    return code, contracts.read(out, contracts.PREDICTIONS).to_pylist() if code == 0 else []


def test_budgets_asked_for_are_predicted(study):
    code, rows = predicted(study, ["kaplan", "chinchilla"], "--budgets", "1e14", "1e15")
    assert code == 0
    for name in ("kaplan", "chinchilla"):
        own = [row for row in rows if row["law"] == name]
        assert {row["flops"] for row in own} >= {1e14, 1e15}
        for budget in (1e14, 1e15):
            best = {r["quantity"]: r for r in own if r["flops"] == budget}
            assert set(best) == {"params", "tokens", "loss"}
            split = 6 * best["params"]["value"] * best["tokens"]["value"]
            assert split == pytest.approx(budget, rel=1e-9)
            for row in best.values():
                assert row["extrapolation"] == pytest.approx(budget / LARGEST)
                assert row["points"] == 28


def test_values_are_the_optimum_of_the_stored_parameters(study):
    _, rows = predicted(study, ["kaplan"], "--budgets", "1e16")
    stored = contracts.read(
        study.parent / "fits/kaplan/parameters.parquet", contracts.PARAMETERS
    ).to_pylist()
    values = arrays({row["parameter"]: row["value"] for row in stored})
    best = law("kaplan").optimum(values, np.array(1e16))
    got = {row["quantity"]: row for row in rows if row["flops"] == 1e16}
    for quantity, value in best._asdict().items():
        assert got[quantity]["value"] == pytest.approx(float(value), rel=1e-12)
        assert got[quantity]["low"] < float(value) < got[quantity]["high"]


def test_without_budgets_multiples_of_the_largest_run(study):
    _, rows = predicted(study, ["kaplan"])
    budgets = sorted({row["flops"] for row in rows})
    for multiple in MULTIPLES:
        assert any(b == pytest.approx(multiple * LARGEST) for b in budgets)
    planned = sorted({row["flops"] for row in rows if row["planned"]})
    assert planned == pytest.approx([multiple * LARGEST for multiple in MULTIPLES])
    assert budgets[0] == pytest.approx(6.0 * min(TOY_LOSSES) * min(TOY_TOKENS))
    assert len(budgets) >= GRID


def test_grid_spans_fitted_and_asked_budgets():
    grid = budget_grid(np.array([1e12, 1e15]), [1e13, 1e18])
    assert (grid[0], grid[-1]) == (1e12, 1e18)
    assert 1e13 in grid
    assert len(grid) == GRID + 1
    assert (np.diff(grid) > 0).all()
    assert budget_grid(np.array([1e12, 1e15]), [1e10])[0] == 1e10


def test_law_of_one_variable_is_skipped_aloud(study, capsys):
    code, rows = predicted(study, ["power_tokens", "kaplan"])
    assert code == 0
    assert {row["law"] for row in rows} == {"kaplan"}
    assert "power_tokens: skipped" in capsys.readouterr().err


def test_law_without_values_is_skipped_aloud(tmp_path, capsys):
    rows = contracts.read(table(tmp_path / "all.parquet"), contracts.RUNS).to_pylist()[:2]
    contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
    fitted(tmp_path / "runs.parquet", "kaplan")
    code, rows = predicted(tmp_path / "runs.parquet", ["kaplan"])
    assert (code, rows) == (0, [])
    assert "kaplan: skipped, 2 runs are too few" in capsys.readouterr().err


def test_law_whose_solver_found_no_minimum_is_skipped_aloud(tmp_path, capsys):
    runs = table(tmp_path / "runs.parquet")
    _, folder = fitted(runs, "kaplan")
    card = json.loads((folder / "card.json").read_text())
    card |= {"status": "not_converged", "sentence": "No minimum."}
    (folder / "card.json").write_text(json.dumps(card))
    assert predicted(runs, ["kaplan"]) == (0, [])
    assert "kaplan: skipped, No minimum." in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["0", "-1e15", "nan", "inf"])
def test_impossible_budget_is_refused(study, capsys, budget):
    code, _ = predicted(study, ["kaplan"], f"--budgets={budget}")
    assert code == 2
    assert capsys.readouterr().err.startswith(f"error: --budgets {float(budget)}")


def test_fit_of_other_runs_is_refused(study, tmp_path, capsys):
    rows = contracts.read(study, contracts.RUNS).to_pylist()
    for row in rows:
        row["cell"] = "other-" + row["cell"]
    contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
    code = main(
        ["--fits", str(study.parent / "fits/kaplan"), "--runs", str(tmp_path / "runs.parquet"),
         "--out", str(tmp_path / "predictions.parquet")]
    )  # fmt: skip
    assert code == 2
    assert "which is no run of this study" in capsys.readouterr().err


def test_missing_fit_is_refused_in_one_line(study, capsys):
    code, _ = predicted(study, ["nobody"])
    assert code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_an_optimum_of_less_than_one_parameter_is_no_prediction(study, capsys):
    code, rows = predicted(study, ["kaplan", "chinchilla"], "--budgets", "1")
    assert (code, rows) == (0, [])
    told = capsys.readouterr().err
    assert "kaplan: skipped, its optimum for" in told
    assert "these runs do not determine it" in told
