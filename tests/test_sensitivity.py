"""Exponents under other choices: known answers, refusals, and the stage's table."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from law_data import TRUTH, arrays, drawn, published, toy
from law_data import runs as runs_of
from rows import RUN

from pipeline import contracts, fit, sensitivity
from pipeline.laws import choices, law
from pipeline.laws.objective import LEAST_ABSOLUTE, LEAST_SQUARES

ALL = ["--bootstraps", "60"]


def table(path, data, **columns):
    """Runs as runs.parquet; ``columns`` are functions of a run's N, or values."""
    rows = []
    for cell, n, d, loss in zip(data.cell, data.params, data.tokens, data.loss):
        row = {
            **RUN, "study": "s", "source": "native", "included": True, "exclusion": None,
            "cell": cell, "params": int(n), "params_total": None, "tokens": int(d),
            "loss": float(loss), "flops_6nd": float(6 * n * d), "flops_exact": None,
            "bits_per_byte": None,
        }  # fmt: skip
        rows.append(row | {k: v(n) if callable(v) else v for k, v in columns.items()})
    contracts.write(path, rows, contracts.RUNS)
    return path


def fitted(runs, name, *options):
    folder = runs.parent / "fits" / name
    arguments = ["--law", name, "--runs", str(runs), "--out", str(folder), *ALL, *options]
    assert fit.main(arguments) == 0
    return folder


def swept(runs, *folders):
    """Exit status and rows of the stage."""
    out = runs.parent / "sensitivity.parquet"
    code = sensitivity.main(
        ["--fits", *map(str, folders), "--runs", str(runs), "--out", str(out)]
    )  # fmt: skip
    return code, contracts.read(out, contracts.SENSITIVITY).to_pylist() if code == 0 else []


def where(rows, **values):
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def with_embeddings(n):
    return int(n + 60 * n**0.5)


@pytest.fixture(scope="module")
def toy_rows(tmp_path_factory):
    """The measured runs under a delta that none of the others is, with both counts of N."""
    folder = tmp_path_factory.mktemp("toy")
    path = table(folder / "runs.parquet", toy(), params_total=with_embeddings)
    folders = [fitted(path, "kaplan", "--delta", "0.02"), fitted(path, "power_params")]
    return swept(path, *folders)[1], folders


def test_runs_of_high_loss_carry_the_exponent_of_besiroglu_et_al(tmp_path):
    """Figures from a fit of the same runs by other code, with Huber's delta of 0.001."""
    data = published("besiroglu_chinchilla.csv", {})
    path = table(tmp_path / "runs.parquet", runs_of(data.params, data.tokens, data.loss))
    _, rows = swept(path, fitted(path, "chinchilla", "--delta", "0.001"))
    found = where(rows, parameter="beta", delta=1e-3)
    assert [row["dropped"] for row in found] == [0, 2, 5, 10, 20]
    expected = [0.453, 0.403, 0.367, 0.358, 0.327]
    assert [row["value"] for row in found] == pytest.approx(expected, abs=6e-4)
    assert [row["points"] for row in found] == [245, 243, 240, 235, 225]


def test_the_choices_are_crossed(toy_rows):
    rows, _ = toy_rows
    found = where(rows, law="kaplan", parameter="alpha_N")
    seen = {(r["delta"], r["dropped"], r["params"], r["flops"], r["loss"]) for r in found}
    assert len(seen) == len(found)
    # 20 of 28 dropped would leave fewer than half; two of N's columns are there, one of C's.
    deltas = {LEAST_ABSOLUTE, 1e-3, 1e-2, 0.02, 1e-1, LEAST_SQUARES}
    assert seen == {
        (delta, dropped, params, "flops_6nd", "loss")
        for delta in deltas for dropped in (0, 2, 5, 10) for params in ("params", "params_total")
    }  # fmt: skip


def test_the_baseline_is_the_stored_fit(toy_rows):
    rows, folders = toy_rows
    baseline = where(rows, law="kaplan", baseline=True)
    stored = contracts.read(folders[0] / "parameters.parquet", contracts.PARAMETERS).to_pylist()
    card = json.loads((folders[0] / "card.json").read_text())
    of = {row["parameter"]: row for row in stored} | {"allocation": card["allocation"]}
    assert {row["parameter"] for row in baseline} == {"alpha_N", "alpha_D", "allocation"}
    for row in baseline:
        assert (row["delta"], row["dropped"], row["params"]) == (0.02, 0, "params")
        for end in ("value", "low", "high"):
            assert row[end] == of[row["parameter"]][end]
        assert row["moved"] is False


def test_moved_is_outside_the_interval_of_the_baseline(toy_rows):
    rows, _ = toy_rows
    own = {(r["law"], r["parameter"]): r for r in where(rows, baseline=True)}
    kinds = set()
    for row in rows:
        base = own[row["law"], row["parameter"]]
        assert (row["low"], row["high"]) == (base["low"], base["high"])
        kinds.add(row["moved"])
        if row["value"] is not None and row["low"] is not None:
            assert row["moved"] == (row["value"] < row["low"] or row["value"] > row["high"])
        else:
            assert row["moved"] is None
    assert {True, False} <= kinds


def test_counting_embeddings_moves_the_exponent_as_a_line_says(toy_rows):
    """Over one size axis, least squares on logarithms is the line through them."""
    rows, _ = toy_rows
    data = toy()
    last = data.tokens == data.tokens.max()
    found = where(rows, law="power_params", delta=LEAST_SQUARES, dropped=0)
    for row in found:
        n = data.params[last]
        n = n if row["params"] == "params" else np.floor(n + 60 * n**0.5)
        slope = np.polyfit(np.log(n), np.log(data.loss[last]), 1)[0]
        assert row["value"] == pytest.approx(-slope, rel=1e-9)
    assert len(found) == 2


def test_a_law_of_little_noise_stays_under_every_objective_and_dropping(tmp_path):
    path = table(tmp_path / "runs.parquet", drawn("chinchilla", 1e-3, 0))
    _, rows = swept(path, fitted(path, "chinchilla"))
    truth = TRUTH["chinchilla"]
    truth = truth | {"allocation": truth["beta"] / (truth["alpha"] + truth["beta"])}
    known = [row for row in rows if row["value"] is not None]
    for row in known:
        assert row["value"] == pytest.approx(truth[row["parameter"]], rel=0.05)
    assert {row["dropped"] for row in known} == {0, 2, 5, 10, 20}


def test_bits_per_byte_of_one_text_leaves_exponents_as_they_are(tmp_path):
    data = drawn("kaplan", 0.01, 1)
    path = table(tmp_path / "a.parquet", data)
    rows = contracts.read(path, contracts.RUNS).to_pylist()
    rows = [row | {"bits_per_byte": row["loss"] / math.log(2) / 4.2} for row in rows]
    contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
    path = tmp_path / "runs.parquet"
    _, rows = swept(path, fitted(path, "kaplan"))
    nats = where(rows, loss="loss", delta=0.01)
    bits = where(rows, loss="bits_per_byte", delta=0.01)
    assert len(nats) == len(bits) == 3 * 5
    assert [r["value"] for r in bits] == pytest.approx([r["value"] for r in nats], rel=1e-5)


@pytest.mark.parametrize(("dropped", "left"), [(0, 12), (2, 10), (5, None), (10, None)])
def test_enough_runs_are_left(dropped, left):
    """Two for each of chinchilla's five parameters, and half of the runs."""
    values, few = arrays(TRUTH["chinchilla"]), toy().take(np.arange(12))
    loss = law("chinchilla").predict(values, few.columns)
    kept = sensitivity.kept(law("chinchilla"), runs_of(few.params, few.tokens, loss), dropped)
    assert (kept and len(kept)) == left
    if kept:
        assert kept.loss.max() == np.sort(loss)[::-1][dropped]


def row(**changes):
    base = {
        "law": "chinchilla", "parameter": "beta", "delta": 0.01, "dropped": 0, "params": "params",
        "flops": "flops_6nd", "loss": "loss", "value": 0.4, "points": 40, "status": "converged",
        "baseline": False, "low": 0.35, "high": 0.45, "moved": False,
    }  # fmt: skip
    return base | changes


def test_warnings_name_the_exponent_and_the_single_choice():
    rows = [
        row(dropped=20, value=0.31, moved=True),
        row(dropped=5, value=0.34, moved=True),
        row(dropped=5, delta=LEAST_SQUARES, value=0.9, moved=True),  # two choices at once
        row(baseline=True),
        row(delta=LEAST_SQUARES, value=0.52, moved=True),
        row(params="params_total", value=0.41),
    ]
    assert choices.warnings(rows) == [
        "chinchilla: beta 0.4 [0.35, 0.45] would be 0.52 with least squares.",
        "chinchilla: beta 0.4 [0.35, 0.45] would be 0.34 without the 5 runs of highest loss, "
        "0.31 without the 20 runs of highest loss.",
    ]


def test_the_table_of_conventions_has_every_exponent_under_each():
    rows = [row(baseline=True), row(params="params_total", value=0.3, moved=True),
            row(dropped=5, value=0.9), row(loss="bits_per_byte", value=None, moved=None)]  # fmt: skip
    lines = [line.split() for line in choices.convention_lines(rows)[1:]]
    assert lines == [
        ["chinchilla", "beta", "params", "flops_6nd", "loss", "0.4", "baseline"],
        ["chinchilla", "beta", "params_total", "flops_6nd", "loss", "0.3", "moved"],
        ["chinchilla", "beta", "params", "flops_6nd", "bits_per_byte", "none"],
    ]


def test_fits_without_exponents_or_values_are_skipped_by_name(tmp_path, capsys):
    data = toy()
    path = table(tmp_path / "runs.parquet", data)
    without = fitted(path, "log_params")
    few = table(tmp_path / "few.parquet", data.take(np.arange(3)))
    capsys.readouterr()
    assert swept(path, without) == (0, [])
    assert "log_params: skipped, it has no exponent" in capsys.readouterr().err
    assert swept(few, fitted(few, "kaplan")) == (0, [])
    assert "kaplan: skipped, 3 runs are too few" in capsys.readouterr().err


def test_a_fit_of_other_runs_is_refused(tmp_path, capsys):
    folder = fitted(table(tmp_path / "old.parquet", toy()), "kaplan")
    path = table(tmp_path / "runs.parquet", toy().take(np.arange(20)))
    capsys.readouterr()
    assert swept(path, folder) == (2, [])
    err = capsys.readouterr().err
    assert err.startswith(f"error: {folder / 'card.json'}: fitted to other runs than those of ")
    assert err.count("\n") == 1


def test_a_fit_without_an_allocation_has_rows_of_its_exponents_alone(tmp_path):
    """At D = 20 N no runs tell how a budget is split."""
    n = np.geomspace(1e6, 1e10, 20)
    loss = law("chinchilla").predict(arrays(TRUTH["chinchilla"]), {"params": n, "tokens": 20 * n})
    noise = np.exp(1e-3 * np.random.default_rng(0).standard_normal(20))
    path = table(tmp_path / "runs.parquet", runs_of(n, 20 * n, loss * noise))
    _, rows = swept(path, fitted(path, "chinchilla"))
    assert {row["parameter"] for row in rows} == {"alpha", "beta"}
