"""The stage that splits budgets: its tables, its refusals, and the figures drawn from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import law_data
import numpy as np
import pytest
import rows

from pipeline import allocate, contracts, fit
from pipeline.approaches import APPROACHES, applicable
from pipeline.figures import frame, frontier, isoflop
from pipeline.laws import law
from pipeline.laws.base import Runs

BUDGETS = (1e17, 1e18, 1e19, 1e20)
SURFACE = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}  # Hoffmann et al. 2022


def study(folder: Path, noise: float = 0.003, **changes: Any) -> Path:
    """runs.parquet with nine sizes around the optimum of each budget."""
    values, rng = law_data.arrays(SURFACE), np.random.default_rng(0)
    table = []
    for budget in BUDGETS:
        best = law("chinchilla").optimum(values, np.array(budget))
        for size in np.geomspace(best.params / 6, best.params * 6, 9):
            n, d = round(size), round(budget / 6 / size)
            inputs = {"params": np.array([n], float), "tokens": np.array([d], float)}
            loss = float(law("chinchilla").predict(values, inputs)[0])
            table.append({
                **rows.RUN, "study": "s", "source": "native", "cell": f"c{len(table):03d}",
                "params": n, "tokens": d, "unique_tokens": d, "flops_6nd": 6.0 * n * d,
                "flops_exact": 7.0 * n * d,
                "loss": loss * np.exp(noise * rng.standard_normal()), "included": True, **changes,
            })  # fmt: skip
    contracts.write(folder / "runs.parquet", table, contracts.RUNS)
    return folder / "runs.parquet"


def fitted(runs: Path, name: str = "chinchilla") -> Path:
    out = runs.parent / "fits" / name
    assert (
        fit.main(["--law", name, "--runs", str(runs), "--bootstraps", "50", "--out", str(out)]) == 0
    )
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A study's folder with fits, optima and allocations."""
    folder = tmp_path_factory.mktemp("study")
    runs = study(folder)
    fits = [str(fitted(runs, name)) for name in ("chinchilla", "kaplan", "power_compute")]
    asked = ["--runs", str(runs), "--fits", *fits, "--bootstraps", "200", "--out", str(folder)]
    assert allocate.main(asked) == 0
    contracts.write(folder / "ranking.parquet", [], contracts.RANKING)
    return folder


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    return contracts.read(folder / f"{name}.parquet", contracts.SCHEMAS[name]).to_pylist()


def test_every_approach_and_law_stands_in_both_tables(made):
    names = {*applicable(True), "chinchilla", "kaplan"}
    assert {row["approach"] for row in table(made, "optima")} == names
    assert {row["approach"] for row in table(made, "allocations")} == names
    truth = SURFACE["beta"] / (SURFACE["alpha"] + SURFACE["beta"])
    for row in table(made, "allocations"):
        assert row["flops_low"] >= BUDGETS[0] * 0.99
        assert len(row["exponents"]) == len(row["coefficients"]) > 0
        if row["approach"] in ("isoflop_parabola", "isoflop_akima", "chinchilla"):
            expected = truth if row["quantity"] == "params" else 1 - truth
            assert row["low"] <= expected <= row["high"]
            assert row["exponent"] == pytest.approx(expected, abs=0.05)
            assert row["budgets"] == len(BUDGETS)
            assert row["runs"] == 9 * len(BUDGETS)


def test_optima_lie_on_their_curves_and_their_budgets(made):
    for row in table(made, "optima"):
        if row["status"] != "converged" or row["approach"] == "envelope":
            continue
        assert row["flops"] == pytest.approx(6 * row["params"] * row["tokens"], rel=1e-6)
        on_curve = np.interp(np.log(row["params"]), np.log(row["curve_params"]), row["curve_loss"])
        assert row["loss"] == pytest.approx(on_curve, rel=2e-3)
        if row["params_low"] is not None:
            assert row["params_low"] < row["params_high"]


def test_the_approaches_asked_for_and_their_noise(made, tmp_path, capsys):
    asked = ["--runs", str(made / "runs.parquet"), "--approaches", "isoflop_akima",
             "--noise", "0.01", "--bootstraps", "100", "--out", str(tmp_path)]  # fmt: skip
    assert allocate.main(asked) == 0
    rows_ = table(tmp_path, "allocations")
    assert {row["approach"] for row in rows_} == {"isoflop_akima"}
    assert {row["resampling"] for row in rows_} == {"noise", "cases"}
    assert "isoflop_akima: N* ~ C^" in capsys.readouterr().err


def test_no_resamples_give_rows_without_intervals(made, tmp_path):
    asked = ["--runs", str(made / "runs.parquet"), "--bootstraps", "0", "--out", str(tmp_path)]
    assert allocate.main(asked) == 0
    rows_ = table(tmp_path, "allocations")
    assert all(row["low"] is None and row["exponents"] == [] for row in rows_)
    assert all(row["exponent"] is not None for row in rows_)


def test_a_grid_without_budgets_says_so(tmp_path, capsys):
    toy = law_data.toy()
    found = [
        {**rows.RUN, "study": "s", "source": "native", "cell": cell, "params": int(n),
         "tokens": int(d), "unique_tokens": int(d), "flops_6nd": 6.0 * n * d,
         "loss": float(loss), "included": True}
        for cell, n, d, loss in zip(toy.cell, toy.params, toy.tokens, toy.loss, strict=True)
    ]  # fmt: skip
    contracts.write(tmp_path / "runs.parquet", found, contracts.RUNS)
    assert allocate.main(["--runs", str(tmp_path / "runs.parquet"), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "isoflop_parabola: too_few_points. 0 of the budgets have a minimum" in said
    assert "envelope: too_few_points." in said
    assert all(row["exponent"] is None for row in table(tmp_path, "allocations"))


def test_curves_along_training_are_used_at_a_constant_rate_only(tmp_path):
    tokens = np.geomspace(1e7, 1e9, 12).round()
    runs, points = [], []
    for i, size in enumerate(np.geomspace(1e6, 64e6, 7).round()):
        schedule = "cosine" if i == 3 else "constant"
        runs.append({**rows.RUN, "study": "s", "source": "native", "cell": f"c{i}",
                     "params": int(size), "tokens": int(tokens[-1]),
                     "unique_tokens": int(tokens[-1]), "loss": 3.0, "included": True,
                     "bits_per_byte": 1.5, "schedule": schedule,
                     "flops_6nd": 6.0 * size * tokens[-1], "flops_exact": 9.0 * size * tokens[-1],
                     })  # fmt: skip
        points += [{**rows.CURVE, "cell": f"c{i}", "step": k, "tokens": int(d), "val_loss": 3.0 + k}
                   for k, d in enumerate(tokens)]  # fmt: skip
    contracts.write(tmp_path / "runs.parquet", runs, contracts.RUNS)
    contracts.write(tmp_path / "curves.parquet", points, contracts.CURVES)
    convention = allocate.Convention("params", "flops_exact", "bits_per_byte")
    found = allocate.training_curves(
        tmp_path / "curves.parquet", tmp_path / "runs.parquet", convention
    )
    assert sorted(curve.params for curve in found) == [
        r["params"] for r in runs if r["cell"] != "c3"
    ]
    for curve in found:
        assert curve.tokens.tolist() == tokens.tolist()
        assert curve.flops == pytest.approx(9 * curve.params * tokens)
        assert curve.loss == pytest.approx(0.5 * (3.0 + np.arange(12)))


def test_fits_of_another_convention_are_refused(made, tmp_path, capsys):
    asked = ["--runs", str(made / "runs.parquet"), "--flops", "flops_exact",
             "--fits", str(made / "fits" / "chinchilla"), "--out", str(tmp_path)]  # fmt: skip
    assert allocate.main(asked) == 2
    assert "fit the law again" in capsys.readouterr().err
    assert not (tmp_path / "optima.parquet").exists()


@pytest.mark.parametrize(("option", "value", "cure"), [
    ("--level", "1", "between 0 and 1"), ("--bootstraps", "-1", "zero or more"),
    ("--noise", "-0.1", "zero or more"), ("--seed", "-1", "zero or more"),
])  # fmt: skip
def test_impossible_options_are_refused(made, tmp_path, capsys, option, value, cure):
    asked = ["--runs", str(made / "runs.parquet"), "--out", str(tmp_path), option, value]
    assert allocate.main(asked) == 2
    said = capsys.readouterr().err
    assert option in said
    assert cure in said


def test_minima_along_curves_are_made_where_they_are_asked_for(tmp_path, capsys):
    """A symmetric surface, N* ~ C^(1/2), of sizes and token counts that share no budget."""
    sizes, counts = np.geomspace(1e7, 1e9, 9), np.geomspace(1e7, 1e11, 7)
    grid = [
        {**rows.RUN, "study": "s", "source": "native", "cell": f"c{i}{j}", "params": round(n),
         "tokens": round(d), "unique_tokens": round(d), "flops_6nd": 6.0 * n * d,
         "loss": 1.7 + 400 * n**-0.3 + 400 * d**-0.3, "included": True}
        for i, n in enumerate(sizes) for j, d in enumerate(counts)
    ]  # fmt: skip
    contracts.write(tmp_path / "runs.parquet", grid, contracts.RUNS)
    asked = ["--runs", str(tmp_path / "runs.parquet"), "--out", str(tmp_path)]
    assert allocate.main([*asked, "--approaches", "isoflop_curves"]) == 0
    (row, other) = table(tmp_path, "allocations")
    assert {row["approach"], other["approach"]} == {"isoflop_curves"}
    assert row["exponent"] == pytest.approx(0.5, abs=0.02)
    assert row["low"] < 0.5 < row["high"]
    assert row["resampling"] == "sizes"
    assert "isoflop_curves: N* ~ C^" in capsys.readouterr().err


def test_approaches_that_apply_follow_from_the_grid():
    assert applicable(True) == tuple(name for name in APPROACHES if name != "isoflop_curves")
    assert applicable(False) == ("envelope",)


def drawn(made: Path, name: str, module: Any) -> Any:
    tables = {"isoflop": ("runs", "optima", "allocations", "ranking"),
              "frontier": ("optima", "allocations", "ranking")}[name]  # fmt: skip
    given = [word for t in tables for word in (f"--{t}", str(made / f"{t}.parquet"))]
    options = frame.arguments(name, [*given, "--fits", str(made / "fits"), "--out", "unused.svg"])
    return frame.render(module.draw, frame.data(name, options))


def test_isoflop_shows_every_run_each_minimum_and_approach_3_beside_it(made):
    figure = drawn(made, "isoflop", isoflop)
    assert len(figure.axes) == 2
    exponents = {(r["approach"], r["quantity"]): r["exponent"] for r in table(made, "allocations")}
    for axes in figure.axes:
        shown = {line.get_gid().split(".")[0] for line in axes.lines if line.get_gid()}
        assert shown == {row["cell"] for row in table(made, "runs")}
        assert f"{exponents[axes.get_label(), 'params']:.2f}"[:4] in axes.get_title("left")
        stars = [line for line in axes.lines if line.get_marker() == "*"]
        diamonds = [line for line in axes.lines if line.get_marker() == "D"]
        assert len(stars) == len(diamonds) == len(BUDGETS)
    (legend,) = figure.legends
    told = " ".join(text.get_text() for text in legend.get_texts())
    assert "approach 3: chinchilla" in told


def test_frontier_tells_the_exponents_of_all_three_approaches(made):
    figure = drawn(made, "frontier", frontier)
    (legend,) = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert [line.partition(":")[0] for line in told[:-1]] == [
        "approach 1, envelope", "approach 2, parabolas", "approach 2, Akima",
        "approach 3, kaplan", "approach 3, chinchilla",
    ]  # fmt: skip
    assert all("$a$ = " in line and "$b$ = " in line for line in told[:-1])
    assert all("[" in line and "36 runs" in line for line in told[:-1])


def test_frontier_without_an_exponent_says_so_and_lists_no_line(made):
    options = [word for t in ("optima", "allocations", "ranking")
               for word in (f"--{t}", str(made / f"{t}.parquet"))]  # fmt: skip
    asked = frame.arguments("frontier", [*options, "--fits", str(made / "fits"), "--out", "a.svg"])
    whole = frame.data("frontier", asked)
    why = "2 sizes lie on the envelope; an exponent needs 3 or more."
    bare = [row | {"exponent": None, "reason": why} for row in whole.allocations]
    figure = frame.render(frontier.draw, replace(whole, allocations=bare))
    (legend,) = figure.legends
    assert all(line.get_linestyle() == "None" for line in legend.get_lines())
    assert all(why in text.get_text() for text in legend.get_texts())
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == [frontier.NO_LINE]
        budgets = [row["flops"] for row in whole.optima]
        assert axes.get_xlim()[1] < frontier.BEYOND * max(budgets)
    nothing = frame.render(frontier.draw, replace(whole, allocations=bare, optima=[]))
    assert nothing.axes == []
    assert nothing._suptitle.get_text().count(why) == len(legend.get_texts())
    full = frame.render(frontier.draw, whole)
    assert not any(axes.texts for axes in full.axes)


def test_isoflop_of_one_method_is_a_column_wide_and_of_none_shows_the_runs_alone(made):
    options = [word for t in ("runs", "optima", "allocations", "ranking")
               for word in (f"--{t}", str(made / f"{t}.parquet"))]  # fmt: skip
    asked = frame.arguments("isoflop", [*options, "--fits", str(made / "fits"), "--out", "a.svg"])
    whole = frame.data("isoflop", asked)
    for kept, told in (({"isoflop_akima", "chinchilla"}, "approach 2"), ({"envelope"}, None)):
        few = replace(whole, optima=[row for row in whole.optima if row["approach"] in kept])
        figure = frame.render(isoflop.draw, few)
        assert figure.get_size_inches()[0] == frame.COLUMN
        (axes,) = figure.axes
        assert len({line.get_gid() for line in axes.lines if line.get_gid()}) == 36
        words = " ".join(text.get_text() for key in figure.legends for text in key.get_texts())
        assert words.startswith(told) if told else "interval" not in words
        assert told or axes.get_title("left") == "no budget with several sizes"


def test_runs_on_repeated_data_are_left_out(capsys):
    columns = {
        "params": np.array([1e3, 1e3]), "tokens": np.array([1e6, 4e6]),
        "unique_tokens": np.array([1e6, 1e6]), "flops": np.array([6e9, 24e9]),
        "loss": np.array([4.0, 3.9]),
    }  # fmt: skip
    assert allocate.fresh(Runs(("once", "again"), columns)).cell == ("once",)
    assert "1 runs on repeated data are left out" in capsys.readouterr().err
    del columns["unique_tokens"]
    assert len(allocate.fresh(Runs(("once", "again"), columns))) == 2
