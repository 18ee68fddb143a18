"""What is wrong with a table is refused with file, row and column, all of it at once."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import contracts
from pipeline.imports import ImportRefusedError
from pipeline.imports.checks import CHECKS
from pipeline.imports.columns import COLUMNS, KEYS
from pipeline.imports.definition import SUSPICIONS, Import, Source
from pipeline.imports.table import imported
from pipeline.imports.units import UNITS, Kind

HEAD = "N,D,C,loss,seed"


def law(n, d):
    """A plausible loss, nats/token."""
    return 1.8 + 480 / n**0.35 + 2100 / d**0.37


def rows():
    """Nine runs with C = 6 N D."""
    return [
        [f"{n:.0f}", f"{d:.0f}", f"{6 * n * d:.6g}", f"{law(n, d):.4f}", "0"]
        for n in (1e8, 3e8, 1e9)
        for d in (2e9, 6e9, 2e10)
    ]


@pytest.fixture
def table(tmp_path):
    """Import the nine runs with some cells (row from 1, column) changed."""

    def run(changes, head=HEAD, **keys):
        lines = rows()
        for (row, column), cell in changes.items():
            for line in lines if row == "all" else [lines[row - 1]]:
                place = head.split(",").index(column)
                line[place] = cell(line[place]) if callable(cell) else cell
        path = tmp_path / "table.csv"
        path.write_text("\n".join([head, *map(",".join, lines)]) + "\n")
        return imported(Import("ours", str(path), **keys))

    return run


def scaled(factor):
    return lambda cell: f"{float(cell) * factor:.6g}"


def test_a_table_without_fault_passes(table):
    found = table({})
    assert len(found.runs) == 9
    assert found.runs["seed"].to_pylist() == [0] * 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({(2, "N"): "many"}, r"row 2 \(line 3\), column 'N': 'many' is not a number"),
        ({(2, "N"): "-3e8"}, r"row 2 .*'N': -300000000 is not positive; .* 32-bit integer"),
        ({(2, "D"): "0"}, r"row 2 .*'D': 0 is not positive"),
        ({(2, "D"): ""}, r"row 2 .*'D': is empty or not a number, and every run needs it"),
        ({(2, "loss"): "nan"}, r"row 2 .*'loss': is empty"),
        ({(2, "loss"): "inf"}, r"row 2 .*'loss': is infinite"),
        ({(2, "lr"): "x"}, None),
        ({(2, "C"): "-1e19"}, r"'C': .* not positive; it looks like a 64-bit integer that overfl"),
        ({(2, "seed"): "-1"}, r"row 2 .*'seed': -1 is negative"),
        (
            {(2, "D"): "1e20"},
            r"row 2 .*'D': 1e\+20 is more than a 64-bit integer; what is its unit",
        ),
        ({(2, "N"): "0.3"}, r"row 2 .*'N': 0.3 is less than one; what is its unit"),
    ],
)
def test_what_cannot_be(table, changes, message):
    if message is None:
        changes = {(row, "seed"): cell for (row, _), cell in changes.items()}
        message = r"row 2 .*'seed': 'x' is not a number"
    with pytest.raises(ImportRefusedError, match=message) as refused:
        table(changes)
    assert "table.csv: 1 problem, nothing is imported" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message", "name"),
    [
        ({("all", "C"): scaled(1 / 8.64e19)}, r"all rows, column 'C': is 1.16e-20 times 6 N D: C looks like PF-days", "flops"),
        ({("all", "C"): scaled(1e-18)}, "C looks like EFLOP", "flops"),
        ({("all", "C"): scaled(7)}, "is 7 times 6 N D;", "flops"),
        ({("all", "D"): scaled(1e-9)}, "all rows, column 'D': D / N is .* D looks like billions", "units"),
        ({("all", "N"): scaled(1e-6)}, "all rows, column 'N': D / N is .* N looks like millions", "units"),
        ({(4, "C"): scaled(1e-18), (5, "C"): scaled(1e9)},
         r"row 4 .*1e-18 times 6 N D: C looks like EFLOP; 7 other rows agree(.|\n)*row 5 .*D looks like billions", "flops"),
        ({(4, "N"): scaled(1e-6)}, r"row 4 .*'N': 300 is too few|row 4 .*'C'.*looks like millions", "flops"),
        ({("all", "loss"): scaled(8)}, "worse than guessing every token; is it bits/token", "loss"),
        ({("all", "loss"): scaled(0.3)}, "lower than models of text reach; is it bits/byte", "loss"),
    ],
)  # fmt: skip
def test_what_is_unlikely_is_refused_until_it_is_accepted(table, changes, message, name):
    with pytest.raises(ImportRefusedError, match=message) as refused:
        table(changes)
    assert f"if it is right, accept: [{name}]" in str(refused.value)
    assert len(table(changes, accept=("flops", "units", "loss")).runs) == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # Millions among ones, and billions among ones: no compute gives them away.
        ({(4, "N"): "410"}, r"row 4 .*'N': 410 is far from the 3e\+08 of the middle row; .*unit"),
        ({(4, "D"): "8000"}, r"row 4 .*'D': 8000 is far from the 6e\+09 of the middle row"),
        ({(9, "N"): "1e13"}, r"row 9 .*'N': 1e\+13 is far from"),
        ({(4, "N"): "5e5", (4, "D"): "2e11"}, r"row 4 .*'N' and 'D': D / N is 4e\+05 in this row"),
        ({(4, "N"): "2e12", (4, "D"): "1e9"}, r"row 4 .*'N' and 'D': D / N is 0.0005 in this row"),
    ],
)
def test_one_row_in_another_unit_is_seen_without_compute(table, changes, message):
    head = "N,D,other,loss,seed"
    with pytest.raises(ImportRefusedError, match=message) as refused:
        table(changes, head=head)
    assert "table.csv: 1 problem, nothing" in str(refused.value)
    assert "if it is right, accept: [units]" in str(refused.value)
    assert len(table(changes, head=head, accept=("units",)).runs) == 9


def test_a_wide_grid_is_no_matter_of_units(table):
    wide = {(1, "N"): "2e5", (1, "D"): "1e8", (9, "N"): "1e11", (9, "D"): "2e12"}
    assert len(table(wide, head="N,D,other,loss,seed").runs) == 9


def test_size_and_tokens_that_look_swapped(table):
    with pytest.raises(ImportRefusedError, match=r"column 'N' and 'D': .* look swapped"):
        table({}, head="D,N,C,loss,seed")
    assert len(table({}, head="D,N,C,loss,seed", accept=("swapped",)).runs) == 9


def test_overflow_of_compute_is_told_from_the_counts(table):
    n, d = 10**9, 4 * 10**9
    wrapped = (6 * n * d) % 2**64
    changes = {(9, "N"): str(n), (9, "D"): str(d), (9, "C"): str(wrapped)}
    assert 0 < wrapped < 6 * n * d
    with pytest.raises(ImportRefusedError, match=r"row 9 .*6 N D = 2.4e\+19 after overflow"):
        table(changes)
    assert table(changes, flops="compute").runs["flops_6nd"][8].as_py() == 6.0 * n * d


def test_twenty_problems_are_listed_and_the_others_counted(table):
    changes = {("all", column): "none?" for column in ("N", "D", "loss")}
    with pytest.raises(ImportRefusedError) as refused:
        table(changes, columns={name: Source(name_) for name, name_ in
                                (("params", "N"), ("tokens", "D"), ("loss", "loss"))})  # fmt: skip
    lines = str(refused.value).splitlines()
    assert "27 problems" in lines[0]
    assert len(lines) == 22
    assert lines[-1].strip() == "and 7 more"
    assert "row 1 (line 2)" in lines[1]


def test_rows_that_repeat_a_run(table):
    changes = {(2, column): rows()[0][i] for i, column in enumerate(HEAD.split(","))}
    message = r"row 2 \(line 3\), column N, D, seed and loss: repeat row 1 \(line 2\)"
    with pytest.raises(ImportRefusedError, match=message):
        table(changes)
    assert len(table(changes, duplicates="drop").runs) == 8
    kept = table(changes, duplicates="keep").runs["cell"].to_pylist()
    assert len(set(kept)) == 9
    assert kept[1] == kept[0] + "-2"
    assert len(table({**changes, (2, "seed"): "1"}).runs) == 9


def test_two_statements_of_one_loss_must_agree(table):
    def beside(factor):
        changes = {("all", "seed"): "0.8", ("all", "loss"): f"{factor * 0.8 * np.log(2) * 4:.6f}"}
        columns = {"bits_per_byte": Source("bpb"), "bytes_per_token": Source(constant=4.0)}
        return table(
            {(r, "bpb" if c == "seed" else c): v for (r, c), v in changes.items()},
            head="N,D,C,loss,bpb", columns=columns,
        )  # fmt: skip

    assert len(beside(1.0).runs) == 9
    with pytest.raises(ImportRefusedError, match=r"= 1 / ln 2 .*looks like bits/token"):
        beside(1 / np.log(2))
    with pytest.raises(ImportRefusedError, match=r"row 1 .* is 1.2 times what bits/byte tell"):
        beside(1.2)


def test_diverged_runs_need_no_loss_and_unfinished_ones_are_refused(table):
    head = "N,D,C,loss,state"
    states = {("all", "state"): "finished", (3, "state"): "diverged", (3, "loss"): ""}
    found = table(states, head=head)
    assert found.runs["status"].to_pylist()[2] == "diverged"
    message = r"row 4 .*'crashed' is neither finished nor diverged; leave such runs out with where"
    with pytest.raises(ImportRefusedError, match=message):
        table({**states, (4, "state"): "crashed"}, head=head)
    kept = table(
        {**states, (4, "state"): "crashed"}, head=head, where={"state": ("Finished", "diverged")}
    )
    assert len(kept.runs) == 8


def test_errors_beyond_all_answers_look_like_per_cent(table):
    head, tasks = "N,D,C,loss,quiz", {"quiz": Source("quiz")}
    with pytest.raises(ImportRefusedError, match="an error of 38 is no share of answers"):
        table({("all", "quiz"): "38"}, head=head, tasks=tasks)
    per_cent = {"quiz": Source("quiz", unit="error %")}
    found = table({("all", "quiz"): "38"}, head=head, tasks=per_cent)
    assert found.tasks["error"].to_pylist() == [0.38] * 9


@pytest.mark.parametrize(
    ("head", "keys", "message"),
    [
        ("N,params,C,loss,seed", {}, "'N' and 'params' could all be params; map the right one"),
        ("N,D,C,train,seed", {}, "no column holds loss; map one"),
        ("N,D,C,loss,seed", {"guess": False}, "no column holds params"),
        (
            "N,D,C,loss,seed",
            {"columns": {"lr": Source("rate")}},
            r"no column 'rate' \(columns.lr\)",
        ),
        ("N,D,C,loss,seed", {"where": {"seed": (7,)}}, "no row is left where seed is 7; it is 0"),
        ("N,D,C,loss,seed", {"where": {"sed": (7,)}}, r"no column 'sed' \(where.sed\)"),
        ("N,D,C,loss,loss", {}, "two columns are called 'loss'"),
    ],
)
def test_columns_that_are_not_there_or_could_be_two(table, head, keys, message):
    with pytest.raises(ImportRefusedError, match=message):
        table({}, head=head, **keys)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "holds no rows"),
        ("a.csv", "N,D\n1,2,3\n", r"row 1 \(line 2\) has 3 fields, the head has 2"),
        ("a.json", "[1]", "row 1 is 1, not an object"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", '{"a": [1], "b": [1, 2]}', "columns of equal length"),
        ("a.jsonl", '{"N": 1}\n{', "line 2: not JSON"),
        ("a.parquet", "no", "not readable as parquet"),
        ("a.xls", "N", "the ending '.xls' tells no format"),
    ],
)
def test_files_that_are_no_table(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ImportRefusedError, match=message) as refused:
        imported(Import("ours", str(path)))
    assert str(path) in str(refused.value)


def test_the_page_names_every_column_unit_and_suspicion():
    page = (Path(__file__).parents[1] / "docs" / "import.md").read_text()
    assert [name for name in COLUMNS if f"`{name}`" not in page] == []
    shown = page.replace("MFLOP ... YFLOP", ", ".join(UNITS[Kind.FLOPS]))
    kinds = (Kind.COUNT, Kind.FLOPS, Kind.LOSS, Kind.SHARE, Kind.SECONDS, Kind.TIME)
    assert [unit for kind in kinds for unit in UNITS[kind] if unit not in shown] == []
    assert [name for name in SUSPICIONS if f"| `{name}` |" not in page] == []
    assert set(SUSPICIONS) == set(CHECKS)
    assert set(COLUMNS) - set(KEYS) <= set(contracts.RUNS.names)
