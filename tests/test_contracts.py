import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rows import CURVE, RUN

from pipeline import contracts
from pipeline.contracts import ContractError

ROOT = Path(__file__).parents[1]


def test_rows_survive_the_round_trip(tmp_path):
    path = tmp_path / "run.parquet"
    contracts.write(path, [RUN], contracts.RUN)
    assert contracts.read(path, contracts.RUN).to_pylist() == [{**RUN, "tasks": None}]
    assert os.listdir(tmp_path) == ["run.parquet"]


@pytest.mark.parametrize("name", sorted(contracts.SCHEMAS))
def test_every_schema_names_itself_and_the_unit_of_each_column(name):
    schema = contracts.SCHEMAS[name]
    assert schema.metadata == {b"contract": name.encode(), b"version": b"1"}
    assert all(field.metadata[b"unit"] for field in schema)


def test_flops_of_a_frontier_budget_fit():
    assert contracts.RUN.field("flops_6nd").type == pa.float64()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown column 'colour'"),
        ({"loss": "five"}, "run: "),
        ({"params": None}, "column 'params' is missing"),
    ],
)
def test_rows_that_break_the_contract_are_refused(tmp_path, change, message):
    with pytest.raises(ContractError, match=message):
        contracts.write(tmp_path / "run.parquet", [{**RUN, **change}], contracts.RUN)
    assert os.listdir(tmp_path) == []


def test_a_table_is_read_without_pandas(tmp_path):
    """Which takes longer to import than all else that many stages do."""
    contracts.write(tmp_path / "run.parquet", [RUN], contracts.RUN)
    program = (
        "import sys; from pipeline import contracts; contracts.read(sys.argv[1], contracts.RUN);"
        "sys.exit('pandas' in sys.modules)"
    )
    done = [sys.executable, "-c", program, str(tmp_path / "run.parquet")]
    assert subprocess.run(done, cwd=ROOT, check=False).returncode == 0


def test_files_that_are_not_the_table_are_named(tmp_path):
    path = tmp_path / "run.parquet"
    with pytest.raises(ContractError, match=r"run\.parquet: there is no such file"):
        contracts.read(path, contracts.RUN)
    contracts.write(path, [RUN], contracts.RUN)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContractError, match=r"run\.parquet: not a readable Parquet file"):
        contracts.read(path, contracts.RUN)
    contracts.write(path, [CURVE], contracts.CURVE)
    with pytest.raises(ContractError, match="holds the contract 'curve', expected 'run'"):
        contracts.read(path, contracts.RUN)


@pytest.mark.parametrize(("schema", "row"), [(contracts.RUN, RUN), (contracts.CURVE, CURVE)])
def test_columns_that_came_later_are_null_or_as_they_were_meant_before(tmp_path, schema, row):
    later = [field.name for field in schema if b"later" in field.metadata]
    assert set(later) & {"best_step", "texts", "tasks"}
    before = dict.fromkeys(later) | ({"reuse": 1, "optimizer": "adamw"} if row is RUN else {})
    assert all(schema.field(name).nullable == (before[name] is None) for name in later)
    early = contracts.table(schema, [row]).drop_columns(later)
    path = tmp_path / "early.parquet"
    pq.write_table(early.replace_schema_metadata(schema.metadata), path)
    assert contracts.read(path, schema).to_pylist() == [{**row, **before}]
    assert contracts.read(path, schema).schema.equals(schema)


def test_another_version_and_a_missing_or_foreign_column_are_named(tmp_path):
    path = tmp_path / "curve.parquet"
    table = contracts.table(contracts.CURVE, [CURVE])
    pq.write_table(table.drop_columns(["lr"]), path)
    with pytest.raises(ContractError, match="column 'lr' is missing"):
        contracts.read(path, contracts.CURVE)
    pq.write_table(table.replace_schema_metadata({b"contract": b"curve", b"version": b"99"}), path)
    with pytest.raises(ContractError, match="version 99, expected 1"):
        contracts.read(path, contracts.CURVE)
    index = table.schema.get_field_index("step")
    changed = table.set_column(index, "step", table["step"].cast(pa.float64()))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(ContractError, match="column 'step' is double, expected int64"):
        contracts.read(path, contracts.CURVE)


def test_what_may_be_null_in_a_studys_runs_is_null_in_older_ones(tmp_path):
    """What an imported table did not tell was not known, whatever native runs of the time were."""
    path = tmp_path / "runs.parquet"
    row = {**RUN, "study": "toy", "source": "ours", "included": True}
    pq.write_table(contracts.table(contracts.RUNS, [row]).drop_columns(["reuse"]), path)
    assert contracts.read(path, contracts.RUNS)["reuse"].to_pylist() == [None]
