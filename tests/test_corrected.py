"""Runs and points along curves, corrected to the fewest steps and the least compute."""

import json

import batch_data
import numpy as np
import pytest
from batch_data import BATCHES, critical_batch, scan, steps_min

from pipeline import contracts
from pipeline.batches.traces import Trace
from pipeline.conventions import Convention, included_runs
from pipeline.corrected import corrected, main, points
from pipeline.fit import write
from pipeline.kaplan2020 import BatchLaw
from pipeline.laws import law
from pipeline.laws.base import Runs
from pipeline.laws.estimate import Options, fit

TRUE = BatchLaw(2e6, 0.2)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """runs.parquet, curves.parquet and the fit of the true B_crit(L) of two sizes."""
    folder = tmp_path_factory.mktemp("scan")
    runs, curves = batch_data.write(folder, [*scan(), *scan(params=6144, d_model=16)])
    losses = np.geomspace(3, 5, 6)
    columns = dict.fromkeys(("params", "tokens", "flops"), np.ones(6))
    columns |= {
        "loss": losses,
        "critical_batch": critical_batch(losses) * (1 + 1e-4 * np.eye(6)[0]),
    }
    levels = Runs(tuple("abcdef"), columns)
    found = fit(law("critical_batch"), levels, Options(bootstraps=0, profile=False))
    write(found, levels, Convention(), folder / "fits" / "critical_batch")
    return folder, ["--runs", str(runs), "--curves", str(curves)]


def made(study, *further, name="corrected"):
    folder, given = study
    out = folder / f"{name}.parquet"
    fit_ = ["--fit", str(folder / "fits" / "critical_batch"), "--out", str(out)]
    assert main([*given, *fit_, *further]) == 0
    return out


def test_points_along_curves_lie_on_one_line_of_fewest_steps(study):
    """Six batch sizes fall together: S_min depends on the loss and the size alone."""
    rows = contracts.read(made(study), contracts.RUNS).to_pylist()
    assert {row["batch_tokens"] for row in rows} == set(BATCHES)
    for row in rows:
        truth = steps_min(row["loss"], row["params"])
        assert row["steps_min"] == pytest.approx(truth, rel=3e-2)  # losses are rounded
        share = row["batch_tokens"] / critical_batch(row["loss"])
        assert row["flops_min"] == pytest.approx(row["flops_6nd"] / (1 + share), rel=1e-2)
        assert row["critical_batch"] == pytest.approx(critical_batch(row["loss"]), rel=1e-2)
        assert row["tokens"] == row["steps"] * row["batch_tokens"]
        assert row["cell"].endswith(f"@{row['steps']}")
        assert row["lr"] == batch_data.RATES[1]  # the best of three at every step
        assert row["curve"].startswith(f"B{row['batch_tokens']}-")
        assert row["curve"].endswith(f"-N{row['params']}-s0")
    least = [(r["loss"], r["flops_min"]) for r in rows if r["params"] == 1536]
    # C_min = 6 N E_min of the loss, whatever the batch that paid for it.
    for loss, flops in least:
        assert flops == pytest.approx(6 * 1536 * steps_min(loss) * critical_batch(loss), rel=3e-2)


def test_laws_of_steps_and_least_compute_can_be_fitted_to_them(study):
    runs = included_runs(made(study), Convention())
    quick = Options(bootstraps=0, profile=False, starts=8)
    for name in ("kaplan_steps", "power_compute_min"):
        found = fit(law(name), runs, quick)
        assert found.quality.r2 > 0.9
        assert found.clusters.trainings == len(set(found.runs.curves)) <= 2 * len(BATCHES)
    # Rates of one batch size and seed are one curve, of which the best counts at every step.
    assert len(set(runs.curves)) == 2 * len(BATCHES)


def test_the_ends_of_runs_are_corrected_in_their_own_rows(study):
    rows = contracts.read(made(study, "--rows", "runs", name="ends"), contracts.RUNS).to_pylist()
    assert len(rows) == 2 * len(BATCHES) * len(batch_data.RATES)
    for row in rows:
        assert row["curve"] is None
        batch = critical_batch(row["loss"])
        assert row["steps_min"] == pytest.approx(
            row["steps"] / (1 + batch / row["batch_tokens"]), rel=1e-2
        )


def test_compute_follows_the_convention(study):
    exact = contracts.read(made(study, "--flops", "flops_exact", name="exact"), contracts.RUNS)
    for row in exact.to_pylist()[:50]:
        share = row["batch_tokens"] / critical_batch(row["loss"])
        assert row["flops_min"] == pytest.approx(row["flops_exact"] / (1 + share), rel=1e-2)


def row(**changed):
    (trace,) = scan((512,), (0.01,))
    return dict.fromkeys(contracts.RUNS.names) | trace.run | changed


def test_schedules_are_curves_of_their_own_and_rates_are_not():
    """The best rate counts at each step under each schedule, never the best schedule."""
    own = scan((512,), (0.005, 0.01))
    longer = [
        Trace(t.run | {"cell": f"{t.run['cell']}-w", "warmup_steps": 5}, [r | {"val_loss": 1.1 * r["val_loss"]} for r in t.rows])
        for t in own
    ]  # fmt: skip
    best = [row["val_loss"] for row in own[1].rows]
    for given in ([*own, *longer], [*longer, *own]):
        rows = list(points(given))
        for warmup, factor in ((0, 1.0), (5, 1.1)):
            losses = [row["loss"] for row in rows if row["warmup_steps"] == warmup]
            assert losses == pytest.approx([factor * loss for loss in best])
        assert len({row["curve"] for row in rows}) == 1  # one seed: weights and text are the same


def test_imported_corrections_stay_and_what_lacks_a_batch_is_left_out():
    brought = row(steps_min=7.0, flops_min=9.0, batch_tokens=None)
    bare = row(batch_tokens=None)
    own = row(steps_min=7.0)
    found = list(corrected([brought, bare, own], TRUE, Convention()))
    assert found[0] == brought
    assert (found[1]["included"], found[1]["exclusion"]) == (False, "no_critical_batch")
    assert found[2]["steps_min"] == 7.0
    share = 512 / critical_batch(own["loss"])
    assert found[2]["flops_min"] == pytest.approx(own["flops_6nd"] / (1 + share))
    (diverged,) = corrected(
        [row(included=False, exclusion="diverged", loss=None)], TRUE, Convention()
    )
    assert diverged["exclusion"] == "diverged"


def test_imported_runs_stand_beside_the_points(tmp_path, study):
    (whole,) = scan((512,), (0.01,))
    lean = dict.fromkeys(contracts.RUNS.names) | {
        "cell": "theirs", "study": "scan", "source": "table", "tokens": 10**6, "flops_6nd": 6e12,
        "status": "finished", "loss": 3.0, "steps": 1000, "batch_tokens": 1000, "included": True,
    }  # fmt: skip
    runs, curves = batch_data.write(tmp_path, [whole, Trace(lean, [])])
    fit_ = [
        "--fit",
        str(study[0] / "fits" / "critical_batch"),
        "--out",
        str(tmp_path / "c.parquet"),
    ]
    assert main(["--runs", str(runs), "--curves", str(curves), *fit_]) == 0
    last = contracts.read(tmp_path / "c.parquet", contracts.RUNS).to_pylist()[-1]
    assert last["cell"] == "theirs"
    assert last["steps_min"] == pytest.approx(1000 / (1 + critical_batch(3.0) / 1000), rel=1e-2)


def test_without_a_law_nothing_is_corrected():
    (found,) = corrected([row()], None, Convention())
    assert (found["included"], found["exclusion"]) == (False, "no_critical_batch")


def test_warmup_and_cooldown_are_no_points(tmp_path, study):
    (whole,) = scan((512,), (0.01,))
    last = whole.run["steps"]
    run = whole.run | {"schedule": "wsd", "warmup_steps": 20, "cooldown_steps": last // 2}
    runs, curves = batch_data.write(tmp_path, [Trace(run, whole.rows)])
    fit_ = [
        "--fit",
        str(study[0] / "fits" / "critical_batch"),
        "--out",
        str(tmp_path / "c.parquet"),
    ]
    assert main(["--runs", str(runs), "--curves", str(curves), *fit_]) == 0
    steps = contracts.read(tmp_path / "c.parquet", contracts.RUNS)["steps"].to_pylist()
    assert min(steps) >= 40
    assert max(steps) <= last - last // 2


def test_another_law_or_loss_is_refused(study, tmp_path, capsys):
    folder, given = study
    out = ["--out", str(tmp_path / "c.parquet")]
    fit_ = folder / "fits" / "critical_batch"
    assert main([*given, "--fit", str(fit_), "--loss", "bits_per_byte", *out]) == 2
    assert "--loss bits_per_byte: critical_batch was fitted to another" in capsys.readouterr().err
    other = fit(law("power_params"), Runs(tuple("abc"), {
        "params": np.array([1.0, 2, 3]), "tokens": np.ones(3), "flops": np.ones(3), "loss": np.array([3, 2.5, 2.3]),
    }), Options(bootstraps=0, profile=False))  # fmt: skip
    write(other, other.runs, Convention(), tmp_path / "power")
    assert json.loads((tmp_path / "power" / "card.json").read_text())["law"] == "power_params"
    assert main([*given, "--fit", str(tmp_path / "power"), *out]) == 2
    assert "holds the law power_params, expected critical_batch" in capsys.readouterr().err
