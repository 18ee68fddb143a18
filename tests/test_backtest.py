"""The backtest stage: three files that agree, and refusals in one line."""

import json
import math

import pandas as pd
import pytest
from law_data import toy
from test_fit import table
from test_laws_ranking import of, predicting

from pipeline import contracts
from pipeline.backtest import Group, groups, headline, main
from pipeline.laws import law
from pipeline.laws.estimate import Options, fit
from pipeline.laws.ranking import ranked

ALL = ("power_params", "power_tokens", "power_compute", "kaplan", "chinchilla")


def backtested(folder, *options, laws=ALL, runs=None):
    """Exit status of one backtest of the measured runs, written into ``folder``."""
    runs = runs or table(folder / "runs.parquet")
    given = ["--laws", *laws, "--runs", str(runs), "--out", str(folder), "--bootstraps", "20"]
    return main([*given, "--ladder", "8", *options])


def read(folder, name):
    return contracts.read(folder / f"{name}.parquet", contracts.SCHEMAS[name]).to_pandas()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    assert backtested(folder, "--axes", "flops", "params") == 0
    return folder


def told(folder):
    return json.loads((folder / "headline.json").read_text())


def test_every_prediction_is_of_a_run_above_its_cut_off(study):
    rows, runs = read(study, "backtest"), toy()
    assert set(rows["law"]) == {"power_compute", "kaplan", "chinchilla"}
    for axis, part in rows.groupby("axis"):
        assert part["extrapolation"].to_numpy() == pytest.approx(
            (part[axis] / part["cutoff"]).to_numpy()
        )
        assert (part["extrapolation"] > 1.01).all()
    surfaces = rows[(rows["axis"] == "flops") & rows["law"].isin(["kaplan", "chinchilla"])]
    for (_, cutoff), part in surfaces.groupby(["law", "cutoff"]):
        assert (part["points"] == (runs.flops <= cutoff * 1.01).sum()).all()
        assert len(part) == (runs.flops > cutoff * 1.01).sum()
    error = 100 * (rows["predicted"] / rows["observed"] - 1)
    assert rows["error"].to_numpy() == pytest.approx(error.to_numpy())
    inside = (rows["low"] <= rows["observed"]) & (rows["observed"] <= rows["high"])
    assert (inside == rows["covered"]).all()


def test_the_ranking_follows_from_the_predictions(study):
    """Bins, means, coverage, scores and ranks once more, by pandas."""
    rows, ranking = read(study, "backtest"), read(study, "ranking")
    rows = rows[rows["compared"]].assign(
        # Rounding, one per cent, puts no run beyond an edge.
        bin=lambda r: pd.cut(
            r["extrapolation"] / math.exp(0.01), [0, 2, 4, 10, 30, math.inf], labels=False
        ),
        log=lambda r: (r["error"] / 100).map(math.log1p).abs(),
    )
    for (axis, law_), part in rows.groupby(["axis", "law"]):
        mine = ranking[(ranking["axis"] == axis) & (ranking["law"] == law_)]
        by_bin = part.groupby("bin")
        assert mine["mape"].tolist() == pytest.approx(by_bin["error"].agg(abs_mean).tolist())
        assert mine["bias"].tolist() == pytest.approx(by_bin["error"].mean().tolist())
        assert mine["coverage"].tolist() == pytest.approx(by_bin["covered"].mean().tolist())
        assert mine["predictions"].tolist() == by_bin.size().tolist()
        assert mine["runs"].tolist() == by_bin["cell"].nunique().tolist()
        assert mine["score"].iloc[0] == pytest.approx(100 * by_bin["log"].mean().mean())


def grouped(*laws):
    """A group of laws with given predictions."""
    return Group("flops", True, laws, ranked(laws))


def abs_mean(errors):
    return errors.abs().mean()


def test_ranks_and_in_sample_errors_are_those_of_the_fits(study):
    ranking = read(study, "ranking").drop_duplicates(["axis", "joint", "law"])
    joint = ranking[ranking["joint"] & (ranking["axis"] == "flops")].set_index("law")
    for name in ("kaplan", "chinchilla"):
        quality = fit(law(name), toy(), Options(bootstraps=0)).quality
        assert joint.loc[name, "rmse"] == pytest.approx(100 * quality.rmse, rel=1e-6)
        assert joint.loc[name, "r2"] == pytest.approx(quality.r2, rel=1e-6)
    for rank, value in (("in_sample_rank", "rmse"), ("out_of_sample_rank", "score")):
        assert joint[rank].tolist() == joint[value].rank().tolist()
    assert joint["chosen"].sum() == 1
    untested = ranking[ranking["law"] == "power_tokens"].iloc[0]
    assert math.isnan(untested["predictions"])
    assert untested["reason"].startswith("Only 1 of its 4 runs lie up to tokens")


def test_the_headline_is_the_law_chosen_along_the_first_axis(study):
    found, ranking = told(study), read(study, "ranking")
    mine = ranking[(ranking["law"] == found["law"]) & (ranking["axis"] == "flops")]
    assert mine["chosen"].all()
    assert mine["joint"].all()
    assert found["axis"] == "flops"
    assert found["mape"] == pytest.approx(mine["mape"].mean())
    assert found["predictions"] == mine["predictions"].sum()
    assert found["reason"] == mine["reason"].iloc[0] == found["laws"][found["law"]]
    assert found["disagreement"].endswith("predicts larger ones best.")


def test_same_command_gives_the_same_bytes(study, tmp_path):
    assert backtested(tmp_path, "--axes", "flops", "params", runs=study / "runs.parquet") == 0
    for name in ("backtest.parquet", "ranking.parquet", "headline.json"):
        assert (tmp_path / name).read_bytes() == (study / name).read_bytes()


def test_cut_offs_of_one_s_own(tmp_path):
    assert backtested(tmp_path, "--cutoffs", "1e12", laws=("kaplan",)) == 0
    rows, runs = read(tmp_path, "backtest"), toy()
    assert rows["cutoff"].unique().tolist() == [runs.flops[runs.flops <= 1e12].max()]
    assert told(tmp_path)["reason"].endswith("the only law tested.")


def test_without_a_law_of_size_and_tokens_there_is_no_headline(tmp_path):
    assert backtested(tmp_path, laws=("power_compute",)) == 0
    assert told(tmp_path)["law"] is None
    assert told(tmp_path)["reason"] == "No law of N and D was fitted, so none splits a budget."
    assert backtested(tmp_path, laws=()) == 0
    assert read(tmp_path, "backtest").empty
    assert read(tmp_path, "ranking").empty


def test_too_few_runs_give_reasons_and_no_headline(tmp_path):
    rows = contracts.read(table(tmp_path / "all.parquet"), contracts.RUNS).to_pylist()[:5]
    contracts.write(tmp_path / "few.parquet", rows, contracts.RUNS)
    assert backtested(tmp_path, laws=("kaplan",), runs=tmp_path / "few.parquet") == 0
    found = told(tmp_path)
    assert found["law"] is None
    assert found["reason"] == "No law could be tested on runs larger than those it fitted."
    assert found["laws"]["kaplan"].startswith("Only ")
    assert read(tmp_path, "ranking")["reason"].tolist() == [found["laws"]["kaplan"]]


def test_a_law_that_splits_no_budget_is_no_headline():
    steps = of("kaplan_steps", 0.001, 0.002, 0.001)
    told = headline([grouped(steps, of("kaplan", 0.02, 0.03, 0.02))])
    assert told["law"] == "kaplan"
    assert told["mape"] == pytest.approx(100 * (math.expm1(0.02) * 2 + math.expm1(0.03)) / 3)
    assert "splits no budget" in told["laws"]["kaplan_steps"]
    alone = headline([grouped(steps)])
    assert (alone["law"], alone["reason"]) == (
        None, "No law of N and D was fitted, so none splits a budget.",
    )  # fmt: skip


def test_a_headline_hands_on_why_laws_cannot_be_compared():
    apart = [
        predicting("kaplan", {1.0: {"a": (2.0, 0.1)}}),
        predicting("chinchilla", {1.0: {"b": (2.0, 0.0)}}),
    ]
    told = headline([grouped(*apart)])
    assert told["law"] is None
    assert told["reason"] == (
        "No run was predicted by all laws tested, so they cannot be compared."
    )
    numberless = headline([grouped(of("kaplan", math.nan, 0.0))])
    assert numberless["reason"] == ("It gives no number for some of the runs it should predict.")


def test_laws_of_one_input_are_ranked_with_their_kind_only():
    quick = dict.fromkeys(ALL, Options(bootstraps=20, starts=16))
    found = groups([law(name) for name in ALL], toy(), ["flops"], 8.0, quick)
    kinds = [(g.axis, g.joint, [one.law.name for one in g.laws]) for g in found]
    assert kinds == [
        ("flops", True, ["kaplan", "chinchilla"]),
        ("params", False, ["power_params"]),
        ("tokens", False, ["power_tokens"]),
        ("flops", False, ["power_compute"]),
    ]
    assert headline(found)["law"] in ("kaplan", "chinchilla")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bootstraps", "9"], "--bootstraps 9: take 10 or more"),
        (["--ladder", "1"], "ladder 1.0: take a ratio above 1"),
        (["--ladder", "1e400"], "--ladder inf: take a finite ratio above 1"),
        (["--cutoffs", "1e12", "-1"], "--cutoffs -1: take positive numbers"),
        (["--level", "1"], "--level 1.0: take between 0 and 1"),
        (["--runs", "nowhere.parquet"], "nowhere.parquet: there is no such file"),
        (["--laws", "kaplann"], "did you mean 'kaplan'"),
        (["--axes", "flops", "params", "--cutoffs", "1"], "one of the axes flops, params"),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path, capsys, options, message):
    assert backtested(tmp_path, *options) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said
    assert not (tmp_path / "headline.json").exists()
