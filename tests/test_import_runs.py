"""Tables of runs: formats, units, names and provenance, from the command line to runs.parquet."""

import json
import math
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from law_data import DATA

from pipeline import contracts, import_runs
from pipeline.conventions import Convention, included_runs
from pipeline.imports.definition import Import
from pipeline.imports.guess import meanings
from pipeline.laws import law
from pipeline.laws.estimate import Options, fit
from pipeline.laws.objective import Objective

ROOT = Path(__file__).parents[1]
ROWS = [
    {"N": 410_000_000, "D": 8_200_000_000, "loss": 2.9},
    {"N": 410_000_000, "D": 16_400_000_000, "loss": 2.8},
    {"N": 1_400_000_000, "D": 28_000_000_000, "loss": 2.6},
]


def csv(path: Path, rows: list[dict]) -> Path:
    lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def imported(tmp_path, capsys):
    """Run the command on rows or on a file; (exit status, rows of runs.parquet, what it said)."""

    def run(table, *options):
        path = table if isinstance(table, Path) else csv(tmp_path / "table.csv", table)
        out = tmp_path / "out" / "runs.parquet"
        status = import_runs.main([str(path), *options, "--out", str(out)])
        said = capsys.readouterr().err
        rows = contracts.read(out, contracts.RUNS).to_pylist() if status == 0 else []
        return status, rows, said

    return run


def test_plain_names_and_units_need_no_mapping(imported):
    status, rows, said = imported(ROWS)
    assert status == 0, said
    assert [(row["params"], row["tokens"], row["loss"]) for row in rows] == [
        tuple(row.values()) for row in ROWS
    ]
    assert rows[0]["flops_6nd"] == 6.0 * 410e6 * 8.2e9
    assert all(row["source"] == "imported" and row["included"] for row in rows)
    assert "params           N (guessed)" in said
    assert "flops_6nd = 6 x params x tokens in 3 of 3 rows" in said


def test_every_run_tells_its_file_digest_row_and_line(imported, tmp_path):
    _, rows, _ = imported(
        [*ROWS[:2], {"N": "1.4B", "D": "28B", "loss": 2.6}], "--where", "loss=2.6"
    )
    told = json.loads(rows[0]["provenance"])
    assert (told["row"], told["line"]) == (3, 4)
    digest = subprocess.run(
        ["sha256sum", str(tmp_path / "table.csv")], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert told["sha256"] == digest
    assert rows[0]["params"] == 1_400_000_000
    card = json.loads((tmp_path / "out" / "import.json").read_text())
    assert card["rows"] == {"file": 3, "where": 1, "last_of_runs": 1, "runs": 1}
    assert card["columns"]["params"] == {
        "column": "N", "constant": None, "unit": "one", "guessed": True, "missing": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cell", "unit", "expected"),
    [
        ("params", "410", "million", 410_000_000),
        ("params", "0.41", "B", 410_000_000),
        ("params", "410M", "one", 410_000_000),
        ("params", "410,000,000", "one", 410_000_000),
        ("tokens", "8.2", "billions", 8_200_000_000),
        ("flops_exact", "0.25", "PF-days", 0.25 * 1e15 * 24 * 3600),
        ("flops_exact", "20", "EFLOP", 2e19),
        ("loss", "4", "bits/token", 4 * math.log(2)),
        ("loss", str(math.exp(2.5)), "perplexity", 2.5),
        ("seconds", "2", "hours", 7200.0),
    ],
)
def test_units(imported, tmp_path, column, cell, unit, expected):
    row = {"params": 410_000_000, "tokens": 8_200_000_000, "loss": 2.9, column: cell}
    path = tmp_path / "units.tsv"
    path.write_text("\n".join("\t".join(map(str, line)) for line in (row, row.values())) + "\n")
    status, rows, said = imported(path, "--map", f"{column}={column}", "--unit", f"{column}={unit}")
    assert status == 0, said
    assert rows[0][column] == pytest.approx(expected, rel=1e-15)


def test_gpu_hours_times_what_a_gpu_does_in_a_second(imported):
    rows = [{"N": 410e6, "hours": 200.0, "loss": 2.9}]
    options = ["--map", "tokens=hours", "--unit", "tokens=GPU-hours"]
    _, found, _ = imported(rows, *options, "--per-second", "tokens=10000")
    assert found[0]["tokens"] == 200 * 3600 * 10000
    assert "GPU-hours need it, and only they" in imported(rows, *options)[2]
    flops = ["--map", "flops_exact=hours", "--unit", "flops_exact=GPU-hours",
             "--per-second", "flops_exact=2.8e13"]  # fmt: skip
    _, found, said = imported(rows, *flops)
    assert found[0]["tokens"] == round(200 * 3600 * 2.8e13 / (6 * 410e6))
    assert "tokens = flops / (6 params)" in said


def test_loss_per_byte_and_per_token_give_each_other(imported):
    byte = [{"N": 410e6, "D": 8.2e9, "bpb": 0.9}]
    _, rows, _ = imported(byte, "--constant", "bytes_per_token=4.5")
    assert rows[0]["loss"] == pytest.approx(0.9 * math.log(2) * 4.5)
    _, rows, _ = imported(byte)
    assert (rows[0]["loss"], rows[0]["bits_per_byte"], rows[0]["included"]) == (None, 0.9, True)
    token = [{"N": 410e6, "D": 8.2e9, "loss": 4.0, "loss_se": 0.02}]
    _, rows, _ = imported(
        token,
        "--constant",
        "bytes_per_token=4.5",
        "--map",
        "loss=loss",
        "--unit",
        "loss=bits/token",
    )
    assert rows[0]["bits_per_byte"] == pytest.approx(4.0 / 4.5)
    assert rows[0]["loss_se"] == pytest.approx(0.02 * math.log(2))


def test_texts_and_tasks_go_to_tables_of_their_own(imported, tmp_path):
    rows = [row | {"code": 1.5, "quiz": 62.5 if i else ""} for i, row in enumerate(ROWS)]
    options = ["--evaluation", "code=code", "--task", "quiz=quiz", "--unit", "quiz=accuracy %"]
    _, runs, _ = imported(rows, *options)
    texts = contracts.read(tmp_path / "out/evaluations.parquet", contracts.EVALUATIONS).to_pylist()
    tasks = contracts.read(tmp_path / "out/tasks.parquet", contracts.TASKS).to_pylist()
    assert [(t["cell"], t["corpus"], t["loss"]) for t in texts] == [
        (run["cell"], "code", 1.5) for run in runs
    ]
    assert [(t["cell"], t["task"], t["error"]) for t in tasks] == [
        (run["cell"], "quiz", 0.375) for run in runs[1:]
    ]


def write(path: Path, rows: list[dict]) -> Path:
    """The rows in the format of the file's ending."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif path.name == "objects.json":
        path.write_text(json.dumps({"runs": rows}))
    elif path.name == "columns.json":
        path.write_text(json.dumps(columns))
    elif path.name == "frame.json":
        path.write_text(json.dumps({n: dict(enumerate(v)) for n, v in columns.items()}))
    else:
        csv(path, rows)
    return path


@pytest.mark.parametrize(
    "name", ["a.csv", "a.parquet", "a.jsonl", "objects.json", "columns.json", "frame.json"]
)
def test_formats_hold_the_same_runs(imported, tmp_path, name):
    _, rows, said = imported(write(tmp_path / name, ROWS))
    expected = imported(ROWS)[1]
    assert [row["cell"] for row in rows] == [row["cell"] for row in expected], said


def test_exports_of_trackers_nest_settings_and_results(imported, tmp_path):
    nested = [
        {"name": f"run-{i}", "state": "finished", "config": {"model": {"n_params": row["N"]}, "lr": 1e-3},
         "summary": {"tokens": row["D"], "val/loss": row["loss"], "_step": 9}}
        for i, row in enumerate(ROWS)
    ]  # fmt: skip
    expected = [row["cell"] for row in imported(ROWS)[1]]
    path = tmp_path / "runs.json"
    path.write_text(json.dumps(nested))
    _, rows, said = imported(path)
    assert [row["cell"] for row in rows] == expected, said
    assert [row["lr"] for row in rows] == [1e-3] * 3
    # A data frame of dictionaries, written as CSV, shows them as text.
    text = tmp_path / "runs.csv"
    quoted = [f'{r["name"]},"{r["config"]}","{r["summary"]}"' for r in nested]
    text.write_text("\n".join(["name,config,summary", *quoted]))
    _, rows, said = imported(text)
    assert [row["cell"] for row in rows] == expected, said


def test_of_a_history_the_last_row_with_a_loss_counts(imported):
    rows = [
        {"run_id": run, "_step": step, "N": 410e6, "D": (8.2e9 if run == "a" else 16.4e9) * step / 3, "loss": loss}
        for run, step, loss in [("a", 1, 3.5), ("b", 3, 2.8), ("a", 3, ""), ("a", 2, 3.1), ("b", 2, 2.9)]
    ]  # fmt: skip
    _, found, said = imported(rows)
    assert [(round(run["tokens"] / 1e8), run["loss"]) for run in found] == [(164, 2.8), (55, 3.1)]
    assert "3 rows left out: not the last with a loss of their run ('run_id')" in said
    status, _, said = imported(rows, "--history", "all")
    assert status == 2
    assert "row 3 (line 4), column 'loss': is empty" in said


def test_a_row_without_a_run_s_name_is_a_run_of_its_own(imported):
    rows = [
        {"run_id": run, "step": step, "N": n, "D": 8.2e9, "loss": loss}
        for run, step, n, loss in [("a", 1, 4e8, 3.5), ("", 9, 5e8, 2.9), ("nan", 2, 6e8, 2.8),
                                   ("a", 2, 4e8, 3.0)]
    ]  # fmt: skip
    status, found, said = imported(rows)
    assert status == 0, said
    assert [(run["params"], run["loss"]) for run in found] == [(5e8, 2.9), (6e8, 2.8), (4e8, 3.0)]
    assert "1 rows left out: not the last with a loss of their run ('run_id')" in said


@pytest.mark.parametrize(
    ("column", "values"), [("N", (4e8, 8e8)), ("lr", (0.1, 0.2)), ("seed", (0, 1))]
)
def test_runs_of_a_sweep_are_not_points_along_one_run(imported, column, values):
    rows = [
        {"run_name": "sweep-3", "step": step, "N": 4e8, "D": 8.2e9 * step, "loss": 3 - step / 10,
         "lr": 0.1, "seed": 0} | ({column: values[1]} if step == 3 else {})
        for step in (1, 2, 3)
    ]  # fmt: skip
    status, _, said = imported(rows)
    assert status == 2
    meaning = {"N": "params"}.get(column, column)
    assert "row 1 (line 2) and row 3 (line 4) have one 'run_name', sweep-3, but " in said
    assert f"but {meaning} ({column!r}) {values[0]} and {values[1]}: a run has one." in said
    status, found, said = imported(rows, "--history", "all")
    assert (status, len(found)) == (0, 3), said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("N", {"params": "one"}),
        ("n", {}),
        ("config.n_params", {"params": "one"}),
        ("config.n_params.value", {"params": "one"}),
        ("params_millions", {"params": "million"}),
        ("Params (B)", {"params": "billion"}),
        ("tokens_b", {"tokens": "billion"}),
        ("tokens_per_second", {}),
        ("summary.val/loss", {"loss": "nats/token"}),
        ("loss (bits/byte)", {"loss": "bits/byte"}),
        ("train/loss", {}),
        ("compute_pf_days", {"flops_exact": "PF-days"}),
        ("N_no_embed", {"params": "one"}),
        ("hours", {}),
        ("_timestamp", {"finished_at": "ISO 8601"}),
        ("summary._timestamp", {"finished_at": "ISO 8601"}),
        ("end_time_ms", {"finished_at": "unix milliseconds"}),
    ],
)
def test_what_names_of_columns_stand_for(name, expected):
    assert dict(meanings(name)) == expected


# One moment in many spellings; 1_700_000_000 s after 1970 began (a well-known date).
MOMENT = "2023-11-14T22:13:20+00:00"


@pytest.mark.parametrize(
    ("column", "cell", "options"),
    [
        ("finished_at", "2023-11-14T22:13:20", ()),
        ("finished_at", "2023-11-14 22:13:20Z", ()),
        ("end_time", "2023-11-14T23:13:20+01:00", ()),
        ("_timestamp", 1_700_000_000.25, ()),
        ("summary._timestamp", 1_700_000_000, ()),
        ("end_time", 1_700_000_000_000, ()),
        ("end_time_ms", 1_700_000_000_000, ()),
        ("saved", 1_700_000_000, ("--map", "finished_at=saved", "--unit", "finished_at=unix")),
        ("saved", "2023-11-14T22:13:20", ("--map", "finished_at=saved")),
    ],
)
def test_a_table_can_date_its_runs(imported, column, cell, options):
    table = [{**row, column: cell if i else ""} for i, row in enumerate(ROWS)]
    status, rows, said = imported(table, *options)
    assert status == 0, said
    assert [row["finished_at"] for row in rows] == [None, MOMENT, MOMENT]
    assert f"{column} " in said
    assert "(1 rows have none)" in said


def test_dates_of_a_typed_table_keep_their_zone(imported, tmp_path):
    moment = datetime.fromisoformat("2023-11-14T23:13:20+01:00")
    path = tmp_path / "runs.parquet"
    pq.write_table(pa.Table.from_pylist([{**row, "finished_at": moment} for row in ROWS]), path)
    assert {row["finished_at"] for row in imported(path)[1]} == {MOMENT}


@pytest.mark.parametrize("cell", ["soon", "17:30", 2024, 1_700_000_000, "2023-13-01"])
def test_a_date_that_is_none_is_refused_by_row_and_column(imported, cell):
    table = [{**row, "saved": cell if i == 1 else MOMENT} for i, row in enumerate(ROWS)]
    status, _, said = imported(table, "--map", "finished_at=saved")
    assert status == 2
    assert f"row 2 (line 3), column 'saved': '{cell}' is no time in ISO 8601" in said
    assert "unix seconds" in said


def test_words_in_a_column_that_is_called_like_a_date_are_no_dates(imported):
    status, rows, said = imported([{**row, "end_time": "late"} for row in ROWS])
    assert status == 0, said
    assert {row["finished_at"] for row in rows} == {None}


def test_the_order_of_rows_changes_no_run(imported):
    forth, back = imported(ROWS)[1], imported(ROWS[::-1])[1]
    assert [run["cell"] for run in forth] == [run["cell"] for run in back[::-1]]


def test_laws_that_no_row_can_carry_are_refused_at_once(imported):
    assert imported(ROWS, "--needs", "kaplan:params", "chinchilla:loss")[0] == 0
    status, _, said = imported(ROWS, "--needs", "kaplan:params", "precision:bits")
    assert status == 2
    assert "the law precision takes weight_bits, which no row has; map it" in said


def published(name: str) -> Path:
    """A published table; skips the test where it is absent."""
    if not (DATA / name).is_file():
        pytest.skip(f"{DATA / name} is absent: set ISOLOSS_PUBLISHED_DATA to the tables' folder")
    return DATA / name


def test_chinchilla_from_the_published_table(imported, tmp_path):
    path = published("besiroglu_chinchilla.csv")
    status, rows, said = imported(path, "--where", "used_in_fit=True")
    assert (status, len(rows)) == (0, 240), said
    runs = included_runs(tmp_path / "out" / "runs.parquet", Convention())
    found = fit(law("chinchilla"), runs, Options(Objective.of("huber", 1e-3), bootstraps=0))
    assert found.objective == pytest.approx(0.0010182740178, rel=1e-7)
    truth = {"A": 477.82587, "B": 2143.4174, "E": 1.8172181, "alpha": 0.3473105, "beta": 0.3671724}
    assert dict(found.values) == pytest.approx(truth, rel=1e-5)


def test_overflow_in_the_published_table_is_named_and_cured(imported):
    path = published("gadre_overtraining.csv")
    options = ["--where", "train_dataset=c4_original", "--map", "params=N", "loss=loss_c4_val"]
    status, _, said = imported(path, *options)
    assert status == 2
    assert "row 2 (line 3), column 'C': -8.2810675415020995e+18 is not positive" in said
    assert "row 3 (line 4), column 'C': 1.885e+18 is 6 N D = 2.033e+19 after overflow" in said
    assert "flops: compute takes 6 N D instead" in said
    _, rows, _ = imported(path, *options, "--flops", "compute", "--map", *options[3:], "tokens=D")
    assert len(rows) == 34
    counted = [6.0 * row["params"] * row["tokens"] for row in rows]
    assert [row["flops_6nd"] for row in rows] == counted
    assert max(counted) > 2**64


def test_a_slice_of_the_published_isoflop_table(imported):
    wanted = ["dataset=rw", "hparams=tuned", "warmup=short", "param_count=standard"]
    _, rows, said = imported(published("porian_isoflops.csv"), "--where", *wanted)
    assert len(rows) == 121, said
    assert np.ptp([row["flops_exact"] / row["flops_6nd"] for row in rows]) < 1e-6


def test_the_example_is_what_its_program_writes_and_its_law_is_found(imported, tmp_path):
    program = [sys.executable, str(ROOT / "benchmarks" / "example_runs.py")]
    written = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    path = ROOT / "studies" / "example_runs.csv"
    assert written == path.read_text()
    status, rows, said = imported(path)
    assert (status, len(rows)) == (0, 60), said
    runs = included_runs(tmp_path / "out" / "runs.parquet", Convention())
    found = fit(law("chinchilla"), runs, Options(bootstraps=200))
    for name, value in {"E": 1.72, "A": 420.0, "alpha": 0.345, "B": 1500.0, "beta": 0.365}.items():
        low, high = found.intervals[name]
        assert low < value < high, name


def test_a_table_that_counts_all_parameters_alone(imported, tmp_path):
    status, rows, said = imported(ROWS, "--map", "params_total=N")
    assert status == 0, said
    assert [row["params"] for row in rows] == [None] * 3
    assert [row["params_total"] for row in rows] == [row["N"] for row in ROWS]
    assert [row["flops_6nd"] for row in rows] == [6.0 * row["N"] * row["D"] for row in ROWS]
    runs = included_runs(tmp_path / "out" / "runs.parquet", Convention("params_total"))
    assert sorted(runs.params) == sorted(row["N"] for row in ROWS)
    with pytest.raises(contracts.ContractError, match="no run has params .* fit.params: params"):
        included_runs(tmp_path / "out" / "runs.parquet", Convention())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds no object; take the definition.json"),
        ("{", "is not JSON ("),
        ("{}", "lacks name, file, format, columns, evaluations"),
        ({"file": 5}, "file is 5, not text"),
        ({"columns": []}, "a key has the wrong form ("),
        ({"columns": {"params": {"col": "N"}}}, "a key has the wrong form ("),
        ({"accept": 5}, "a key has the wrong form ("),
    ],
)
def test_a_definition_that_is_none_is_refused(tmp_path, capsys, content, message):
    path = tmp_path / "definition.json"
    table = csv(tmp_path / "table.csv", ROWS)
    card = Import("ours", str(table)).card
    out = tmp_path / "runs.parquet"
    path.write_text(json.dumps(card))
    assert import_runs.main(["--definition", str(path), "--out", str(out)]) == 0
    capsys.readouterr()
    path.write_text(content if isinstance(content, str) else json.dumps(card | content))
    assert import_runs.main(["--definition", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: {message}")
    assert said.count("\n") == 1
