"""The stage that measures the critical batch size: its tables from a scan whose truth is known."""

import batch_data
import numpy as np
import pytest
from batch_data import critical_batch, scan, steps_min

from pipeline import contracts
from pipeline.batches import replicates
from pipeline.batches.traces import Trace
from pipeline.conventions import Convention, included_runs
from pipeline.critical_batch import main
from pipeline.laws import law
from pipeline.laws.estimate import Options, fit


def tables(folder):
    """The options for the tables beside the fronts."""
    replicates = folder / "level_replicates.parquet"
    return ["--levels", str(folder / "levels.parquet"), "--replicates", str(replicates)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The three tables of two sizes, in one folder, and a third size of one batch size."""
    folder = tmp_path_factory.mktemp("scan")
    sizes = [*scan(), *scan(params=6144, d_model=16), *scan((512,), params=99)]
    runs, curves = batch_data.write(folder, sizes)
    out, levels = folder / "critical_batches.parquet", folder / "levels.parquet"
    given = ["--runs", str(runs), "--curves", str(curves), "--bootstraps", "30"]
    losses = ["--losses", "3.2", "4.0", "3.6", "3.4"]
    assert main([*given, *losses, "--out", str(out), *tables(folder)]) == 0
    return out, levels, given


def test_every_size_and_loss_has_its_known_front(measured):
    rows = contracts.read(measured[0], contracts.CRITICAL_BATCHES).to_pylist()
    assert [(r["params"], r["loss"]) for r in rows] == [
        (n, x) for n in (1536, 6144) for x in (4.0, 3.6, 3.4, 3.2)
    ]
    for row in rows:
        assert row["status"] == "converged"
        least, batch = steps_min(row["loss"], row["params"]), critical_batch(row["loss"])
        assert row["steps_min"] == pytest.approx(least, rel=5e-3)
        assert row["critical_batch"] == pytest.approx(batch, rel=1e-2)
        assert row["tokens_min"] == pytest.approx(row["steps_min"] * row["critical_batch"])
        for name in ("steps_min", "tokens_min", "critical_batch"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
        assert row["bits_per_byte"] == pytest.approx(row["loss"] / 2)
        assert row["lr"] == [batch_data.RATES[1]] * 6
        assert not any(row["at_edge"])
        assert row["cells"][0] == f"B256-r0.01-N{row['params']}-s0"


def test_the_levels_are_runs_that_the_law_of_the_loss_is_fitted_to(measured):
    runs = included_runs(measured[1], Convention())
    assert len(runs) == 8
    found = fit(law("critical_batch"), runs, Options(bootstraps=0, profile=False))
    assert found.values["alpha_B"] == pytest.approx(1 / 5, rel=1e-2)
    assert found.values["B"] == pytest.approx(2e6, rel=3e-2)
    rows = contracts.read(measured[1], contracts.RUNS).to_pylist()
    for row in rows:
        assert row["tokens"] == pytest.approx(row["steps_min"] * row["critical_batch"], rel=1e-3)
        assert row["flops_6nd"] == pytest.approx(6 * row["params"] * row["tokens"], rel=1e-3)
        assert row["bits_per_byte"] == pytest.approx(row["loss"] / 2)


def test_every_level_that_counts_has_a_critical_batch_on_every_draw(measured):
    path = measured[0].with_name("level_replicates.parquet")
    runs = included_runs(measured[1], Convention())
    again = replicates.read(path, runs.cell)
    assert again.logs.shape == (30, 8)
    assert (again.batch_sizes, again.model.tolist()) == ((6, 6), [0] * 4 + [1] * 4)
    # The curves hardly err, so that any draw finds what all batch sizes do.
    batches = runs.column("critical_batch")
    assert np.median(np.exp(again.logs), axis=0) == pytest.approx(batches, rel=1e-2)


def test_the_noise_scale_of_the_gradient_stands_beside_each_loss(measured, tmp_path):
    def measuring(row, squared):
        return row | {"grad_squared": squared, "grad_variance": 1200.0}

    def sized(trace):
        # Half of the rows have three times the signal: the quotient of the means is 600 tokens.
        rows = [measuring(row, (1.0, 3.0)[i % 2]) for i, row in enumerate(trace.rows)]
        return Trace(trace.run, rows)

    runs, curves = batch_data.write(tmp_path, [sized(trace) for trace in scan()])
    out = tmp_path / "b.parquet"
    given = ["--runs", str(runs), "--curves", str(curves), "--bootstraps", "50"]
    more = ["--losses", "3.2", "3.6", *tables(tmp_path)]
    assert main([*given, *more, "--out", str(out)]) == 0
    for row in contracts.read(out, contracts.CRITICAL_BATCHES).to_pylist():
        assert row["noise_scale"] == pytest.approx(600, rel=0.15)
        assert row["noise_scale_low"] < row["noise_scale"] < row["noise_scale_high"]
    without = contracts.read(measured[0], contracts.CRITICAL_BATCHES)
    assert without["noise_scale"].null_count == len(without)


def test_levels_are_chosen_where_none_are_given(measured, tmp_path):
    out = tmp_path / "b.parquet"
    more = ["--count", "3", "--bootstraps", "0", "--out", str(out), *tables(tmp_path)]
    assert main([*measured[2], *more]) == 0
    rows = contracts.read(out, contracts.CRITICAL_BATCHES).to_pylist()
    assert [row["params"] for row in rows] == [1536] * 3 + [6144] * 3
    assert all(row["critical_batch_low"] is None for row in rows)
    assert np.diff([row["loss"] for row in rows[:3]]).max() < 0
    assert not len(
        contracts.read(tmp_path / "level_replicates.parquet", contracts.LEVEL_REPLICATES)
    )


def test_a_front_that_is_not_determined_stays_out_of_fits_with_its_reason(tmp_path, capsys):
    runs, curves = batch_data.write(tmp_path, scan(batches=(256, 512, 1024, 2048)))
    out, levels = tmp_path / "b.parquet", tmp_path / "levels.parquet"
    given = ["--runs", str(runs), "--curves", str(curves), "--losses", "3.2", "--bootstraps", "20"]
    assert main([*given, "--out", str(out), *tables(tmp_path)]) == 0
    assert "1 unidentifiable" in capsys.readouterr().err
    (row,) = contracts.read(levels, contracts.RUNS).to_pylist()
    assert (row["included"], row["exclusion"]) == (False, "front_unidentifiable")
    empty = fit(law("critical_batch"), included_runs(levels, Convention()), Options())
    assert empty.sentence.startswith("0 runs are too few")


def test_sizes_of_one_batch_size_are_said_and_make_no_row(tmp_path, capsys):
    runs, curves = batch_data.write(tmp_path, scan((512,)))
    given = ["--runs", str(runs), "--curves", str(curves), *tables(tmp_path)]
    assert main([*given, "--out", str(tmp_path / "b.parquet")]) == 0
    assert "N = 1.5k: skipped, all its runs have one batch size" in capsys.readouterr().err
    assert not len(contracts.read(tmp_path / "b.parquet", contracts.CRITICAL_BATCHES))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--losses", "0"], "--losses [0.0]: take positive numbers"),
        (["--count", "0"], "--count 0: take one or more"),
        (["--level", "1"], "--level 1.0: take between 0 and 1"),
        (["--runs", "none.parquet"], "none.parquet: there is no such file"),
    ],
)
def test_what_cannot_be_is_refused_by_name(measured, tmp_path, capsys, option, words):
    out = ["--out", str(tmp_path / "b.parquet"), *tables(tmp_path)]
    assert main([*measured[2], *out, *option]) == 2
    assert words in capsys.readouterr().err
