"""Forecasts: sealed, dated, refused for runs that exist, graded by runs that came after."""

import copy
import hashlib
import json
import math
import shutil
from statistics import NormalDist

import numpy as np
import pytest
from law_data import TOY_LOSSES, TOY_TOKENS, arrays
from rows import RUN
from test_fit import fitted, table

from pipeline import contracts
from pipeline.forecast import main
from pipeline.laws import law
from pipeline.planning import seal
from pipeline.planning.grading import scores, summary

CELLS = ((786_432.0, 4e6), (393_216.0, 8e6))
LATER, EARLIER = "2999-01-01T00:00:00Z", "2020-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The measured runs with fits of two laws, and a forecast of two larger cells."""
    folder = tmp_path_factory.mktemp("study")
    runs = table(folder / "runs.parquet")
    for name in ("kaplan", "power_tokens"):
        assert fitted(runs, name)[0] == 0
    given = [text for n, d in CELLS for text in ("--params", str(n), "--tokens", str(d))]
    assert freeze(folder, *given, out=folder / "forecast.json") == 0
    return folder


def freeze(folder, *options, out, law="kaplan"):
    chosen = ["--law", law] if law else []
    return main(["freeze", "--fits", str(folder / "fits"), *chosen, *options, "--out", str(out)])


def forecast(folder):
    return json.loads((folder / "forecast.json").read_text())


def made(folder, loss, finished=LATER, **changes):
    """runs.parquet with one more run, of the first cell."""
    rows = contracts.read(folder / "runs.parquet", contracts.RUNS).to_pylist()
    n, d = CELLS[0]
    row = {**rows[0], **RUN, "cell": "new", "params": int(n), "tokens": int(d), "loss": loss,
           "finished_at": finished, **changes}  # fmt: skip
    path = folder / "more.parquet"
    contracts.write(path, [*rows, row], contracts.RUNS)
    return path


def test_a_forecast_is_the_law_s_prediction_with_its_evidence(study):
    found, folder = forecast(study), study / "fits" / "kaplan"
    stored = contracts.read(folder / "parameters.parquet", contracts.PARAMETERS).to_pylist()
    values = {row["parameter"]: row["value"] for row in stored}
    n, d = np.array(CELLS).T
    told = law("kaplan").predict(arrays(values), {"params": n, "tokens": d})
    rows = found["predictions"]
    assert [row["predicted"] for row in rows] == pytest.approx(told.tolist(), rel=1e-12)
    assert all(row["low"] < row["predicted"] < row["high"] for row in rows)
    assert [row["extrapolation"] for row in rows] == pytest.approx(
        (n * d / max(TOY_LOSSES) / max(TOY_TOKENS)).tolist()
    )
    assert found["fit"]["values"] == values
    assert found["frozen_at"].endswith("+00:00")
    for name, told_digest in found["fit"]["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == told_digest


def test_the_hash_can_be_made_again_without_this_project(study):
    found = forecast(study)
    told = found.pop("sha256")
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == told


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda f: f["predictions"][1].update(predicted=2.0), "predictions[1] was changed"),
        (lambda f: f.update(frozen_at=EARLIER), "frozen_at was changed"),
        (lambda f: f["fit"]["values"].update(Nc=1.0), "fit.values was changed"),
        (lambda f: f["predictions"].pop(), "predictions[1] is missing"),
        (lambda f: f.update(note="x"), "note was added"),
        (lambda f: f.update(sha256="0" * 64), "sha256 or fields_sha256 was changed"),
        (lambda f: f.pop("sha256"), "it has no sha256"),
    ],
)
def test_tampering_is_refused_by_field(study, tmp_path, capsys, change, field):
    found = forecast(study)
    change(found)
    path = tmp_path / "forecast.json"
    path.write_text(json.dumps(found))
    given = ["score", str(path), "--runs", str(study / "runs.parquet")]
    assert main([*given, "--out", str(tmp_path / "score.json")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: {field}")
    assert said.count("\n") == 1
    assert not (tmp_path / "score.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (5, "it is no JSON object: it is not sealed"),
        ({"sha256": "0", "fields_sha256": []}, "fields_sha256 is no object of digests"),
        (float("nan"), "it is no JSON object"),
    ],
)
def test_what_is_not_sealed_is_refused(study, tmp_path, capsys, content, message):
    path = tmp_path / "forecast.json"
    path.write_text(json.dumps(content))
    given = ["score", str(path), "--runs", str(study / "runs.parquet")]
    assert main([*given, "--out", str(tmp_path / "score.json")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: {message}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("fit"), "it has no fit with a convention: it is no forecast"),
        (lambda f: f["fit"]["convention"].update(loss="bits"), "fit.convention cannot be read"),
        (lambda f: f["fit"]["convention"].update(params="N"), "fit.convention.params is 'N'"),
        (lambda f: f["fit"]["convention"].pop("flops"), "fit.convention cannot be read (flops)"),
        (lambda f: f.update(level=None), "level is None, not a number between 0 and 1"),
        (lambda f: f.update(frozen_at="2026-01-01T00:00:00"), "frozen_at is '2026-01-01T00:00:00'"),
        (lambda f: f.update(predictions={}), "it has no list of predictions"),
        (lambda f: f["predictions"].append(3), "predictions[2].params is None"),
        (lambda f: f["predictions"][0].update(low=-1.0), "predictions[0].low is -1.0"),
        (
            lambda f: f["predictions"][0].update(unique_tokens=0),
            "predictions[0].unique_tokens is 0",
        ),
    ],
)
def test_a_sealed_file_that_is_no_forecast_is_refused_by_field(
    study, tmp_path, capsys, change, message
):
    found = {k: v for k, v in forecast(study).items() if k not in (seal.SEAL, seal.FIELDS)}
    change(found)
    path = tmp_path / "forecast.json"
    path.write_text(json.dumps(seal.sealed(found)))
    given = ["score", str(path), "--runs", str(study / "runs.parquet")]
    assert main([*given, "--out", str(tmp_path / "score.json")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: {message}")
    assert "; score a file that forecast freeze wrote" in said


@pytest.mark.parametrize("tolerance", ["-1", "0", "nan", "inf"])
def test_a_tolerance_that_matches_nothing_or_all_is_refused(study, tmp_path, capsys, tolerance):
    given = ["score", str(study / "forecast.json"), "--runs", str(study / "runs.parquet")]
    out = ["--tolerance", tolerance, "--out", str(tmp_path / "score.json")]
    assert main([*given, *out]) == 2
    assert f"--tolerance {tolerance}: take a positive number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds no object with a law; make it again"),
        ("{}", "holds no object with a law; make it again"),
        ("{", "is not JSON ("),
        ('{"law": 5, "reason": ""}', "law is 5, not a name"),
    ],
)
def test_a_headline_that_is_none_is_refused(study, tmp_path, capsys, content, message):
    path = tmp_path / "headline.json"
    path.write_text(content)
    given = ["--headline", str(path), "--params", "1e6", "--tokens", "1e7"]
    assert freeze(study, *given, out=tmp_path / "f.json", law=None) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: {message}")
    assert said.count("\n") == 1


def test_a_table_of_cells_that_is_no_csv_is_refused(study, tmp_path, capsys):
    typed = study / "runs.parquet"
    assert freeze(study, "--cells", str(typed), out=tmp_path / "f.json") == 2
    assert capsys.readouterr().err.startswith(f"error: {typed}: is no CSV (")


def test_a_forecast_sealed_anew_is_seen_by_the_published_hash(study):
    found = forecast(study)
    published = found["sha256"]
    changed = {k: v for k, v in found.items() if k not in (seal.SEAL, seal.FIELDS)}
    changed["predictions"][0]["predicted"] = 2.0
    again = seal.sealed(changed)
    seal.check(again)
    with pytest.raises(seal.SealError, match=f"but {published} was published"):
        seal.check(again, published)
    seal.check(forecast(study), published)


def test_runs_made_after_the_freeze_are_graded(study, tmp_path, capsys):
    told = forecast(study)["predictions"][0]
    runs = made(study, told["predicted"] * 1.01)
    out = tmp_path / "score.parquet"
    given = ["score", str(study / "forecast.json"), "--runs", str(runs), "--out", str(out)]
    assert main(given) == 0
    run, waiting = contracts.read(out, contracts.SCORE).to_pylist()
    assert (run["cell"], run["after"]) == ("new", True)
    assert run["error"] == pytest.approx(100 * (1 / 1.01 - 1))
    assert run["covered"] == (told["low"] <= run["observed"] <= told["high"])
    deviation = math.log(told["high"] / told["low"]) / 2 / 1.6448536269514722
    density = NormalDist(math.log(told["predicted"]), deviation).pdf(math.log(run["observed"]))
    assert run["log_score"] == pytest.approx(math.log(density))
    assert waiting["params"] == CELLS[1][0]
    assert waiting["observed"] is None
    printed = capsys.readouterr().out
    assert "made after the freeze: new" in printed
    assert "no run yet" in printed
    assert printed.splitlines()[-1].startswith("1 run made after the freeze: 0.99 % off on average")


def test_a_run_that_predates_the_freeze_does_not_count(study):
    runs = contracts.read(made(study, 2.5, EARLIER), contracts.RUNS).to_pylist()
    rows = list(scores(forecast(study), runs))
    assert rows[0]["after"] is False
    assert summary(rows).startswith("No run that was made after the freeze")


def test_a_run_without_a_date_matches_and_is_said_to_have_none(study):
    undated = [
        next(scores(forecast(study), contracts.read(path, contracts.RUNS).to_pylist()))
        for path in (made(study, 2.5, finished) for finished in ("long ago", None))
    ]
    assert [row["after"] for row in undated] == [None, None]
    assert "no run" not in summary(undated).casefold().replace("no run is known", "")
    assert "1 run matches, its date is unknown" in summary(undated[:1])
    assert "2 runs match, their dates are unknown" in summary(undated)
    dated = next(
        scores(forecast(study), contracts.read(made(study, 2.5), contracts.RUNS).to_pylist())
    )
    assert summary([dated, undated[0]]).startswith("1 run made after the freeze")
    assert "1 run matches, its date is unknown" in summary([dated, undated[0]])


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ({}, 1),
        ({"params": int(CELLS[0][0] * 1.005)}, 1),
        ({"params": int(CELLS[0][0] * 1.02)}, 0),
        ({"tokens": int(CELLS[0][1] * 1.02)}, 0),
        ({"status": "diverged", "included": False}, 0),
        ({"included": False, "exclusion": "too_few_steps"}, 0),
    ],
)
def test_runs_match_by_size_and_tokens(study, changes, matches):
    runs = contracts.read(made(study, 2.5, **changes), contracts.RUNS).to_pylist()
    rows = list(scores(forecast(study), runs))
    assert sum("observed" in row for row in rows) == matches


@pytest.mark.parametrize(("unique", "matches"), [(1e6, 1), (4e6, 0), (None, 0)])
def test_runs_match_in_all_that_a_cell_gives(study, unique, matches):
    """A run on other distinct tokens is another run."""
    found = copy.deepcopy(forecast(study))
    found["predictions"] = [found["predictions"][0] | {"unique_tokens": 1e6}]
    unique = unique and int(unique)
    runs = contracts.read(made(study, 2.5, unique_tokens=unique), contracts.RUNS).to_pylist()
    assert sum("observed" in row for row in scores(found, runs)) == matches


def backtest(path, law, rate):
    """A backtest whose errors grow as ``rate`` times the log of the factor, without other doubt."""
    size = max(TOY_LOSSES)
    rows = [
        {"law": law, "axis": "flops", "cutoff": 1.0, "cell": f"N{size}-D{tokens}", "params": size,
         "tokens": tokens, "flops": 6.0 * size * tokens, "extrapolation": factor,
         "observed": observed, "predicted": observed * factor**rate, "low": None, "high": None,
         "level": 0.9, "error": 100 * (factor**rate - 1), "covered": False, "compared": True,
         "points": 9, "status": "converged"}
        for factor, tokens, observed in zip((2.0, 4.0, 8.0), TOY_TOKENS, TOY_LOSSES[size])
    ]  # fmt: skip
    contracts.write(path, rows, contracts.BACKTEST)
    return path


def test_a_backtest_widens_the_interval_by_the_error_of_the_form(study, tmp_path, capsys):
    rate, cells = 0.1, ["--params", str(CELLS[0][0]), "--tokens", str(CELLS[0][1])]
    table = backtest(tmp_path / "backtest.parquet", "kaplan", rate)
    assert freeze(study, *cells, "--backtest", str(table), out=tmp_path / "forecast.json") == 0
    assert "the error of the law's form that its backtest shows" in capsys.readouterr().out
    found, plain = forecast(tmp_path), forecast(study)["predictions"][0]
    assert found["backtest"] == hashlib.sha256(table.read_bytes()).hexdigest()
    wide = found["predictions"][0]
    form = 1.6448536269514722 * rate * math.log(wide["extrapolation"])
    for end in ("low", "high"):
        own = math.log(plain[end] / plain["predicted"])
        told = math.log(wide[end] / wide["predicted"])
        assert abs(told) == pytest.approx(math.hypot(own, form), rel=1e-9)
    assert wide["extrapolation"] == plain["extrapolation"] > 1.5


def test_a_forecast_says_what_its_interval_lacks(study):
    assert forecast(study)["interval"] == (
        "The interval holds the doubt of the parameters and the scatter of the runs, but no error "
        "of the law's form (--backtest adds it)."
    )


def test_a_fit_that_is_not_to_be_used_gives_no_forecast(study, tmp_path, capsys):
    shutil.copytree(study / "fits" / "kaplan", tmp_path / "fits" / "kaplan")
    path = tmp_path / "fits" / "kaplan" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "not_converged"}))
    assert freeze(tmp_path, "--params", "1e6", "--tokens", "1e7", out=tmp_path / "f.json") == 2
    assert "There is nothing to forecast with" in capsys.readouterr().err


def test_far_out_the_interval_takes_in_other_laws_and_names_them(study, tmp_path):
    shutil.copytree(study / "fits", tmp_path / "fits")
    shutil.copy(study / "runs.parquet", tmp_path)
    assert fitted(tmp_path / "runs.parquet", "chinchilla")[0] == 0
    path = tmp_path / "fits" / "chinchilla" / "parameters.parquet"
    stored = contracts.read(path, contracts.PARAMETERS).to_pylist()
    stored[0]["value"] += 1.0  # of the floor: far above what kaplan says
    contracts.write(path, stored, contracts.PARAMETERS)
    given = ["--params", "1e7", "--tokens", "1e7"]
    assert freeze(tmp_path, *given, out=tmp_path / "forecast.json") == 0
    found = forecast(tmp_path)
    values = arrays({row["parameter"]: row["value"] for row in stored})
    inputs = {"params": np.array([1e7]), "tokens": np.array([1e7])}
    other = float(law("chinchilla").predict(values, inputs)[0])
    assert found["predictions"][0]["high"] == pytest.approx(other, rel=1e-12)
    assert found["others"] == {"chinchilla": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert found["interval"].endswith("Beyond 30 times the runs it takes in chinchilla.")
    assert forecast(study)["others"] == {}


def test_a_law_that_a_backtest_left_out_is_refused(study, tmp_path, capsys):
    table = backtest(tmp_path / "backtest.parquet", "chinchilla", 0.1)
    given = ["--params", "1e6", "--tokens", "1e7", "--backtest", str(table)]
    assert freeze(study, *given, out=tmp_path / "f.json") == 2
    assert f"{table}: kaplan was not tested" in capsys.readouterr().err


def test_counts_and_loss_are_those_of_the_fit_s_convention(study):
    found = copy.deepcopy(forecast(study))
    found["fit"]["convention"] |= {"params": "params_total", "loss": "bits/byte"}
    changes = {"params": 1, "params_total": int(CELLS[0][0]), "bits_per_byte": 1.5}
    runs = contracts.read(made(study, 2.5, **changes), contracts.RUNS).to_pylist()
    observed = {row.get("cell"): row.get("observed") for row in scores(found, runs)}
    assert observed["new"] == 1.5


def test_cells_come_from_a_table_and_the_law_from_a_headline(study, tmp_path):
    (tmp_path / "cells.csv").write_text("params,tokens\n786432,4e6\n393216,8e6\n")
    (tmp_path / "headline.json").write_text('{"law": "kaplan"}')
    given = ["--headline", str(tmp_path / "headline.json"), "--cells", str(tmp_path / "cells.csv")]
    assert freeze(study, *given, out=tmp_path / "forecast.json", law=None) == 0
    assert forecast(tmp_path)["predictions"] == forecast(study)["predictions"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--params", "393216", "--tokens", "4e6"], "cell 1 (N = 393216, D = 4e+06) is among the"),
        (
            ["--params", "1e6", "--tokens", "1e7"] * 2,
            "cell 2 (N = 1e+06, D = 1e+07) is given twice",
        ),
        (["--params", "1e6"], "--params is given 1 times and --tokens 0"),
        ([], "--params is given 0 times"),
        (
            ["--params", "1e9", "--tokens", "1e10"],
            "more than 1000: train larger ones first",
        ),
        (
            ["--params", "1e7", "--tokens", "1e7"],
            "beyond the fitted runs, and kaplan has no interval there: give --backtest",
        ),
        (["--params", "-1", "--tokens", "1e7"], "--params: give positive numbers"),
        (
            ["--law", "power_tokens", "--params", "1e6", "--tokens", "1e7"],
            "is not a law of N and D",
        ),
        (["--law", "chinchilla", "--params", "1e6", "--tokens", "1e7"], "no such file"),
    ],
)
def test_what_cannot_be_foretold_is_refused(study, tmp_path, capsys, given, message):
    assert freeze(study, *given, out=tmp_path / "forecast.json") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said
    assert not (tmp_path / "forecast.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params,tokens\n1e6,1e7\n1e6,-3\n", "row 2: tokens is '-3': give a positive number"),
        ("params,tokens\n1e6,\n", "row 1: tokens is ''"),
        ("params,tokens\n1e6,1e7\n1e6,3e7,5\n", "row 2: 5 stands beyond the last column tokens"),
        ("params\n1e6\n", "needs a header with params and tokens"),
    ],
)
def test_a_bad_table_of_cells_is_refused_by_row(study, tmp_path, capsys, text, message):
    (tmp_path / "cells.csv").write_text(text)
    given = ["--cells", str(tmp_path / "cells.csv")]
    assert freeze(study, *given, out=tmp_path / "forecast.json") == 2
    assert message in capsys.readouterr().err


def test_a_headline_without_a_law_and_a_second_freeze_are_refused(study, tmp_path, capsys):
    (tmp_path / "headline.json").write_text('{"law": null, "reason": "Too few runs."}')
    given = ["--headline", str(tmp_path / "headline.json"), "--params", "1e6", "--tokens", "1e7"]
    assert freeze(study, *given, out=tmp_path / "x.json", law=None) == 2
    assert "Too few runs. Choose one with --law" in capsys.readouterr().err
    assert freeze(study, *given[2:], out=study / "forecast.json") == 2
    assert "exists; a forecast is not written over" in capsys.readouterr().err
