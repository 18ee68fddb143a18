"""The comparison from stored tables and fits: through real fits, and its refusals."""

from __future__ import annotations

import claim_data
import pytest

from pipeline import compare, contracts, experiments, fit
from pipeline.claims import PAPERS, modules


def write_runs(study, experiment, rows):
    path = study / experiment / "runs.parquet"
    contracts.write(path, rows, contracts.RUNS)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One size on seven datasets that follow the paper's L(D), fitted, and seeds of three sizes."""
    folder = tmp_path_factory.mktemp("results") / "made-up"
    rows = []
    for index in range(7):
        unique = round(2.2e7 * 3**index)
        loss = (5.4e13 / unique) ** 0.095 * (1 + 0.002 * (-1) ** index)
        rows.append(claim_data.run(7e8, loss, unique_tokens=unique))
    runs = write_runs(folder, "data", rows)
    arguments = ["--law", "power_tokens", "--runs", str(runs), "--tokens", "unique_tokens",
                 "--bootstraps", "60", "--out", str(folder / "data" / "fits" / "power_tokens")]  # fmt: skip
    assert fit.main(arguments) == 0
    write_runs(folder, "seeds", claim_data.seeds(claim_data.Truth()).runs)
    return folder


def run(study, out, *more: str) -> int:
    given = [
        "--paper",
        "kaplan2020",
        "--study",
        str(study),
        "--out",
        str(out),
        "--bootstraps",
        "40",
    ]
    return compare.main([*given, *more])


def test_a_real_fit_of_the_papers_law_gives_the_papers_exponent(study, tmp_path, capsys):
    out = tmp_path / "comparison.parquet"
    assert run(study, out) == 0
    rows = {row["claim"]: row for row in contracts.read(out, contracts.COMPARISON).to_pylist()}
    assert list(rows) == [claim.key for claim in compare.claims("kaplan2020")]
    row = rows["alpha_D"]
    assert row["verdict"] == "reproduced", row["reason"]
    assert row["value"] == pytest.approx(0.095, abs=1e-3)
    assert row["low"] < row["value"] < row["high"]
    assert (row["tokens_low"], row["tokens_high"]) == (2.2e7, 2.2e7 * 3**6)
    assert (row["runs"], row["level"], row["experiments"]) == (7, 0.9, "data")
    assert rows["D_c"]["verdict"] == "reproduced"
    assert rows["alpha_N_data"]["reason"] == "Not measured because data does not fit kaplan."
    assert rows["seeds"]["verdict"] == "reproduced"
    assert rows["alpha_N"]["value"] is None
    told = capsys.readouterr().err
    assert f"{len(rows)} claims: 3 reproduced, 0 differs, 0 out_of_reach" in told


def test_the_same_seed_gives_the_same_table(study, tmp_path):
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    assert run(study, first) == run(study, second) == 0
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "cure"),
    [("--level", "1", "between 0 and 1"), ("--bootstraps", "-1", "zero or more"),
     ("--seed", "-3", "zero or more")],
)  # fmt: skip
def test_impossible_options_are_refused(study, tmp_path, capsys, option, value, cure):
    assert run(study, tmp_path / "out.parquet", option, value) == 2
    told = capsys.readouterr().err
    assert f"{option} {value}" in told
    assert cure in told


def test_a_folder_without_experiments_and_a_broken_table_are_named(study, tmp_path, capsys):
    assert run(tmp_path / "nowhere", tmp_path / "out.parquet") == 2
    assert "nowhere: holds no experiment with runs; run the study" in capsys.readouterr().err
    (tmp_path / "study" / "seeds").mkdir(parents=True)
    (tmp_path / "study" / "seeds" / "runs.parquet").write_bytes(b"PAR1")
    assert run(tmp_path / "study", tmp_path / "out.parquet") == 2
    assert "seeds/runs.parquet" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()


def test_what_the_workflow_reads_is_what_the_claims_read():
    """Every experiment and law that a claim needs is among what the rule takes as input."""
    paper = PAPERS["kaplan2020"]
    for claim in compare.claims("kaplan2020"):
        for experiment, laws in claim.needs.items():
            needs = paper.read_from({experiment: laws})[experiment]
            assert needs.laws_among(laws) == list(laws)
    assert all(name.startswith("pipeline.claims.kaplan2020.") for name in modules("kaplan2020"))


def test_experiments_of_a_config_tell_what_is_compared(tmp_path, monkeypatch):
    from test_experiments import given

    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    for name in ("train", "other"):
        (tmp_path / "texts" / f"{name}.txt").write_text("a\n" * 200)
    config = given(sizes={}, other={})
    plain = experiments.resolved(config, tmp_path / "results")
    assert experiments.compared(plain) == {}
    found = experiments.resolved({**config, "replicates": "kaplan2020"}, tmp_path / "results")
    assert list(experiments.compared(found)) == ["pair/sizes"]
    assert "curves" in experiments.compared(found)["pair/sizes"].tables
