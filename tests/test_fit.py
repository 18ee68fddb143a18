"""The fit stage: four files, a card that explains itself, refusals in one line."""

import json
import math

import numpy as np
import pytest
from law_data import TOY_LOSSES, TOY_TOKENS, toy
from rows import RUN

from pipeline import contracts
from pipeline.conventions import Convention, included_runs
from pipeline.fit import main
from pipeline.laws import LAWS, law
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective


def table(path, **changes):
    """The measured runs as runs.parquet; ``changes`` apply to the first row."""
    rows = [
        {**RUN, "study": "toy", "source": "native", "included": True, "exclusion": None, "cell": f"N{n}-D{d}",
         "params": n, "params_total": 2 * n, "tokens": d, "loss": loss,
         "flops_6nd": 6.0 * n * d, "flops_exact": 9.0 * n * d}
        for n, losses in TOY_LOSSES.items() for d, loss in zip(TOY_TOKENS, losses)
    ]  # fmt: skip
    rows[0] |= changes
    contracts.write(path, rows, contracts.RUNS)
    return path


@pytest.fixture
def runs(tmp_path):
    return table(tmp_path / "runs.parquet")


def fitted(runs, name, *options):
    """Exit status and folder of one fit."""
    folder = runs.parent / "fits" / name
    arguments = ["--law", name, "--runs", str(runs), "--out", str(folder), "--bootstraps", "50"]
    return main([*arguments, *options]), folder


def read(folder, name):
    return contracts.read(folder / f"{name}.parquet", contracts.SCHEMAS[name]).to_pylist()


# Laws of what the toy runs hold.
of_the_runs = pytest.mark.parametrize(
    "name",
    [n for n, e in LAWS.items() if {e.target, *e.inputs} <= {"params", "tokens", "flops", "loss"}],
)


@of_the_runs
def test_four_files_of_every_law(runs, name, capsys):
    code, folder = fitted(runs, name)
    assert code == 0
    parameters, points = read(folder, "parameters"), read(folder, "points")
    assert [row["parameter"] for row in parameters] == [p.name for p in law(name).parameters]
    enough = len(points) > len(parameters)
    assert len(read(folder, "bootstrap")) == (50 * len(parameters) if enough else 0)
    card = json.loads((folder / "card.json").read_text())
    assert card["selection"]["cells"] == [row["cell"] for row in points]
    assert card["counts"] == {"included": 28, "fitted": len(points)}
    assert card["formula"] == law(name).formula
    assert capsys.readouterr().err.startswith(f"{name}: {card['status']}. ")


def test_files_hold_the_fit(runs):
    _, folder = fitted(runs, "kaplan", "--seed", "3", "--level", "0.8", "--delta", "0.02")
    found = fit(law("kaplan"), toy(), Options(Objective(0.02), 50, 0.8, seed=3))
    for row in read(folder, "parameters"):
        assert row["value"] == pytest.approx(found.values[row["parameter"]], rel=1e-6)
        assert row["low"] < row["value"] < row["high"]
        assert row["level"] == 0.8
        assert row["points"] == 28
    for row in read(folder, "points"):
        assert row["residual"] == pytest.approx(math.log(row["observed"] / row["predicted"]))
        assert row["flops"] == 6 * row["params"] * row["tokens"]
    card = json.loads((folder / "card.json").read_text())
    assert card["objective"]["delta"] == 0.02
    assert card["solver"]["seed"] == 3
    assert card["quality"]["r2"] > 0.98
    assert card["quality"]["r2_line"] is None
    assert card["allocation"]["low"] < card["allocation"]["value"] < card["allocation"]["high"]
    assert {"python", "numpy", "isoloss"} <= set(card["versions"])


def test_a_perfect_score_on_a_task_is_left_out_of_its_law_as_the_card_says(runs, capsys):
    losses = included_runs(runs, Convention())
    errors = np.clip(losses.loss - 3.0, 0.0, 1.0) / 2  # two of the runs are below 3 nats/token
    rows = [
        {"cell": cell, "task": "quiz", "error": error} for cell, error in zip(losses.cell, errors)
    ]
    tasks = runs.with_name("tasks.parquet")
    contracts.write(tasks, rows, contracts.TASKS)
    code, folder = fitted(runs, "gadre_error@quiz", "--tasks", str(tasks))
    assert code == 0
    card = json.loads((folder / "card.json").read_text())
    assert card["counts"] == {"included": 28, "fitted": 26}
    assert len(read(folder, "points")) == 26
    said = "2 of 28 left out: their error is 0, which has no logarithm."
    assert card["selection"]["reason"].endswith(said)
    assert capsys.readouterr().err.endswith(f"{said}\n")


def test_same_command_gives_the_same_bytes(runs):
    _, folder = fitted(runs, "chinchilla")
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    fitted(runs, "chinchilla")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_asymmetry_asks_for_a_quantile_of_the_runs(runs):
    """Of 28 runs and four parameters 10 % lie above: 2.8, and what goes through runs exactly."""
    code, folder = fitted(runs, "kaplan", "--asymmetry", "0.9", "--delta", "1e-7")
    assert code == 0
    card = json.loads((folder / "card.json").read_text())
    assert card["objective"]["asymmetry"] == 0.9
    residual = [row["residual"] for row in read(folder, "points")]
    assert sum(r > 1e-5 for r in residual) <= 2
    assert sum(r < -1e-5 for r in residual) >= 28 - 2 - 4


def test_excluded_runs_are_not_fitted(tmp_path):
    path = table(tmp_path / "runs.parquet", included=False, exclusion="diverged", loss=None)
    _, folder = fitted(path, "kaplan")
    assert len(read(folder, "points")) == 27


def test_columns_stand_for_the_counts_asked_for(runs):
    data = included_runs(runs, Convention("params_total", "flops_exact"))
    assert data.params.max() == 2 * max(TOY_LOSSES)
    assert data.flops.max() == 9.0 * max(TOY_LOSSES) * max(TOY_TOKENS)
    _, folder = fitted(runs, "power_params", "--params", "params_total")
    assert max(row["params"] for row in read(folder, "points")) == 2 * max(TOY_LOSSES)


@of_the_runs
@pytest.mark.parametrize("count", [0, 2])
def test_too_few_runs_are_said_and_not_guessed(tmp_path, name, count):
    rows = contracts.read(table(tmp_path / "all.parquet"), contracts.RUNS).to_pylist()[:count]
    contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
    code, folder = fitted(tmp_path / "runs.parquet", name)
    assert code == 0
    for row in read(folder, "parameters"):
        assert row["status"] == "too_few_points"
        assert math.isnan(row["value"])
        assert row["low"] is None
        assert row["high"] is None
        assert "too few" in row["reason"]
    assert read(folder, "bootstrap") == []
    card = json.loads((folder / "card.json").read_text())
    assert card["status"] == "too_few_points"
    assert card["objective"]["value"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--law", "kaplann"], "did you mean 'kaplan'"),
        (["--delta", "0"], "delta 0.0: take a positive number"),
        (["--level", "1"], "--level 1.0: take between 0 and 1"),
        (["--seed", "-1"], "--seed -1: take"),
        (["--asymmetry", "1"], "asymmetry 1.0: take a number between 0 and 1"),
        (["--runs", "nowhere.parquet"], "nowhere.parquet: there is no such file"),
    ],
)
def test_bad_input_is_refused_in_one_line(runs, capsys, options, message):
    code, folder = fitted(runs, "kaplan", *options)
    assert code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": None}, "loss is None"),
        ({"loss": -1.0}, "loss is -1.0"),
        ({"loss": math.nan}, "loss is nan"),
        ({"params": 0}, "params is 0"),
    ],
)
def test_impossible_run_is_refused_by_cell(tmp_path, capsys, changes, message):
    code, _ = fitted(table(tmp_path / "runs.parquet", **changes), "kaplan")
    assert code == 2
    assert f"cell N1536-D499712: {message}" in capsys.readouterr().err


def test_target_replicates_take_the_place_of_resampled_rows(tmp_path, capsys):
    losses = np.linspace(3.0, 4.0, 7)
    rows = [
        {"cell": f"c{i}", "loss": loss, "critical_batch": 2e6 / loss**5 * 1.02 ** (-1) ** i}
        for i, loss in enumerate(losses.tolist())
    ]
    levels = tmp_path / "levels.parquet"
    shared = {"study": "toy", "source": "native", "included": True, "exclusion": None}
    contracts.write(levels, [{**RUN, **shared, **row} for row in rows], contracts.RUNS)
    steps = np.linspace(-0.1, 0.1, 20).tolist()
    again = [
        {"cell": row["cell"], "model": "N1", "batch_sizes": 8, "replicate": i,
         "critical_batch": 2e6 / row["loss"] ** (5 + step)}
        for row in rows for i, step in enumerate(steps)
    ]  # fmt: skip
    path = tmp_path / "level_replicates.parquet"
    contracts.write(path, again, contracts.LEVEL_REPLICATES)
    code, folder = fitted(levels, "critical_batch", "--target-replicates", str(path))
    assert code == 0
    found = [r["value"] for r in read(folder, "bootstrap") if r["parameter"] == "alpha_B"]
    assert found == pytest.approx(1 / (5 + np.array(steps)), rel=1e-6)
    card = json.loads((folder / "card.json").read_text())["bootstrap"]
    assert (card["kind"], card["clusters"], card["replicates"]) == ("batch_sizes", 8, 20)
    assert fitted(levels, "power_params", "--target-replicates", str(path))[0] == 2
    assert "power_params predicts loss; leave the option out" in capsys.readouterr().err
    contracts.write(path, again[:-1], contracts.LEVEL_REPLICATES)
    assert fitted(levels, "critical_batch", "--target-replicates", str(path))[0] == 2
    assert f"{path}: level c6 has 19 of 20 replicates" in capsys.readouterr().err
