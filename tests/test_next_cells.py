"""The stage that ranks candidate runs: what it writes is what a study's config takes."""

import itertools

import numpy as np
import pytest
import yaml
from law_data import TOY_LOSSES, TOY_TOKENS
from test_fit import fitted, table

from pipeline import contracts, next_cells
from pipeline.accounting import Shape
from pipeline.config import complete, load
from pipeline.next_cells import main
from pipeline.planning.candidates import from_study
from pipeline.study import design


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    runs = table(tmp_path_factory.mktemp("study") / "runs.parquet")
    assert fitted(runs, "kaplan")[0] == 0
    return runs.parent / "fits"


@pytest.fixture
def offered(tmp_path):
    """Candidates in a CSV: those trained already, and others up to ten times as large."""
    path = tmp_path / "candidates.csv"
    rows = [(n, d) for n in (*TOY_LOSSES, 1_000_000, 2_000_000) for d in (*TOY_TOKENS, 16_000_000)]
    path.write_text("params,tokens\n" + "".join(f"{n},{d}\n" for n, d in rows))
    return path


def asked(fits, *options):
    return main(["--fits", str(fits), "--law", "kaplan", *map(str, options)])


def test_rows_are_new_runs_in_the_order_to_train(fits, offered, tmp_path, capsys):
    out = tmp_path / "next.parquet"
    code = asked(fits, "--candidates", offered, "--target-flops", 1e15, "--count", 6, "--out", out)
    assert code == 0
    rows = contracts.read(out, contracts.NEXT_CELLS).to_pylist()
    assert [row["rank"] for row in rows] == list(range(1, 7))
    trained = {(n, d) for n in TOY_LOSSES for d in TOY_TOKENS}
    assert not trained & {(row["params"], row["tokens"]) for row in rows}
    for row, following in itertools.pairwise(rows):
        assert row["deviation_after"] == following["deviation_before"]
        assert following["deviation_after"] < following["deviation_before"]
        assert row["flops"] == pytest.approx(6 * row["params"] * row["tokens"])
    told = capsys.readouterr().out
    assert "its deviation is" in told
    lines = told.splitlines()
    assert len(lines) == 10
    whole = rows[0]["deviation_before"]
    for row, line in zip(rows, lines[2:]):
        share = (row["deviation_before"] ** 2 - row["deviation_after"] ** 2) / whole**2
        assert f"{100 * share:.1f} %" in line
        assert line.endswith(f"{share / row['flops']:.1e}")
    assert "Whatever it costs, one run tells most: N = 2.0M, D = 16M" in lines[-2]
    assert lines[-1].startswith("It lies ")


def test_the_snippet_is_cells_of_a_study(fits, offered, tmp_path):
    path, out = tmp_path / "next.yaml", tmp_path / "next.parquet"
    more = ["--target-params", 2e6, "--target-tokens", 2e7, "--yaml", path, "--out", out]
    assert asked(fits, "--candidates", offered, *more) == 0
    sizes = yaml.safe_load(path.read_text())["grid"]["sizes"]
    config = load("config.yaml")
    config["grid"] = config["grid"] | {"sizes": sizes}
    cells = design.study(complete(config)).cells
    wanted = contracts.read(out, contracts.NEXT_CELLS).to_pylist()
    assert len(cells) == len(wanted) == 5
    for row in wanted:
        logs = [
            abs(np.log(c.params / row["params"])) + abs(np.log(c.tokens / row["tokens"]))
            for c in cells
        ]
        assert min(logs) < 0.02


def test_candidates_of_a_study_are_its_grid(fits, tmp_path):
    source = load("config.yaml")
    source["grid"]["tokens"] = [4e6, 8e6]
    path, out, snippet = tmp_path / "study.yaml", tmp_path / "next.parquet", tmp_path / "n.yaml"
    path.write_text(yaml.safe_dump(source))
    assert (
        asked(
            fits,
            "--study",
            path,
            "--target-flops",
            1e15,
            "--count",
            50,
            "--out",
            out,
            "--yaml",
            snippet,
        )
        == 0
    )
    rows = contracts.read(out, contracts.NEXT_CELLS).to_pylist()
    sizes = yaml.safe_load(snippet.read_text())["grid"]["sizes"]
    assert [size["d_model"] for size in sizes] == [8, 16, 32, 48, 64, 96, 128]
    source["grid"] = {"sizes": sizes, "seeds": [0]}
    cells = design.study(complete(source)).cells
    assert {cell.params for cell in cells} == {row["params"] for row in rows}
    assert len(rows) == 7  # each size at 8e6; 4e6 is trained
    assert {round(row["tokens"] / 1e6) for row in rows} == {8}


# Fewer parameters, then fewer tokens, than all fitted runs.
SMALL = ((min(TOY_LOSSES) // 2, 16_000_000), (2_000_000, min(TOY_TOKENS) // 2))


def test_candidates_smaller_than_all_runs_are_left_out_unless_asked_for(fits, tmp_path, capsys):
    path, out = tmp_path / "candidates.csv", tmp_path / "next.parquet"
    large = ((2_000_000, 16_000_000), (1_000_000, 8_000_000))
    path.write_text("params,tokens\n" + "".join(f"{n},{d}\n" for n, d in (*SMALL, *large)))
    more = ("--candidates", path, "--target-flops", 1e15, "--out", out)
    assert asked(fits, *more) == 0
    rows = contracts.read(out, contracts.NEXT_CELLS).to_pylist()
    assert {(row["params"], row["tokens"]) for row in rows} == set(large)
    assert "below the runs" not in capsys.readouterr().out
    assert asked(fits, *more, "--smaller-too") == 0
    rows = contracts.read(out, contracts.NEXT_CELLS).to_pylist()
    assert {(row["params"], row["tokens"]) for row in rows} == {*SMALL, *large}
    table_lines = capsys.readouterr().out.splitlines()[2:-2]
    marked = [row for row, line in zip(rows, table_lines) if "below the runs" in line]
    assert {(row["params"], row["tokens"]) for row in marked} == set(SMALL)
    path.write_text("params,tokens\n" + "".join(f"{n},{d}\n" for n, d in SMALL))
    assert asked(fits, *more) == 2
    assert "give --smaller-too" in capsys.readouterr().err


N, D = max(TOY_LOSSES), max(TOY_TOKENS)


@pytest.mark.parametrize(
    ("params", "tokens", "options", "doubt"),
    [
        (N, 29 * D, (), None),
        (N, 31 * D, (), "It lies 31 times beyond the runs behind kaplan, more than 30: "),
        (10 * N, 4 * D, (), "It lies 40 times"),
        (N, 31 * D, ("--supported", 50), None),
        (min(TOY_LOSSES) / 40, D, (), "It lies 40 times"),
    ],
)
def test_a_target_far_from_the_runs_is_doubted(
    fits, offered, params, tokens, options, doubt, capsys
):
    given = ("--target-params", params, "--target-tokens", tokens)
    assert asked(fits, "--candidates", offered, *given, *options) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(doubt or "Whatever it costs")


def test_a_target_beyond_all_reach_is_refused(fits, offered, capsys):
    assert asked(fits, "--candidates", offered, "--target-flops", 1e45) == 2
    said = capsys.readouterr().err
    factor = 1e45 / (6 * N * D)
    assert f"lies {factor:.3g} times beyond the runs behind kaplan, and past 1000 times" in said
    far = ("--target-params", N, "--target-tokens", 31 * D)
    assert asked(fits, "--candidates", offered, *far, "--refuse-beyond", 30) == 2
    assert "past 30 times no law tells" in capsys.readouterr().err


def test_a_budget_is_what_all_chosen_runs_cost_together(fits, offered, tmp_path):
    out, costs = tmp_path / "next.parquet", []
    more = ("--candidates", offered, "--target-flops", 1e15, "--count", 9, "--out", out)
    for budget in ((), ("--budget", 2e13), ("--budget", 5e12)):
        assert asked(fits, *more, *budget) == 0
        costs.append(
            [row["flops"] for row in contracts.read(out, contracts.NEXT_CELLS).to_pylist()]
        )
    assert sum(costs[0]) > 2e13 >= sum(costs[1]) > 5e12 >= sum(costs[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target-flops", 1e15, "--budget", 0), "--budget: 0.0 is not positive"),
        (("--target-flops", 1e15, "--budget", 10), "the cheapest candidate costs"),
        (("--target-params", 1e6), "what is to be predicted?"),
        (("--target-flops", -1), "--target-flops: -1.0 is not positive"),
        (("--target-flops", 1e15, "--count", 0), "--count 0: take one or more"),
        (("--target-flops", 1e15, "--supported", 2000), "1 <= supported <= refused"),
    ],
)
def test_an_impossible_question_is_an_error(fits, offered, options, message, capsys):
    assert asked(fits, "--candidates", offered, *options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("params,tokens\n", "holds no candidate"),
        ("params,tokens\n1e6,\n", "line 2: tokens is ''"),
        ("params,tokens\n1e6,1e7\nmany,1e7\n", "line 3: params is 'many'"),
        ("params,tokens\n393216,3999744\n", "every candidate is fitted already"),
    ],
)
def test_a_bad_table_names_line_and_column(fits, tmp_path, content, message, capsys):
    path = tmp_path / "c.csv"
    path.write_text(content)
    assert asked(fits, "--candidates", path, "--target-flops", 1e15) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_table_no_grid_or_no_folder_of_fits_is_an_error(fits, tmp_path, capsys):
    typed = fits / "kaplan" / "points.parquet"
    for folder, options, message in (
        (fits, ("--candidates", typed), f"error: {typed}: is no CSV ("),
        (
            fits,
            ("--study", "studies/imported.yaml"),
            "imported.yaml: it trains nothing, so it has no",
        ),
        (tmp_path, ("--candidates", typed), "this folder holds no fit"),
    ):
        assert asked(folder, *options, "--target-flops", 1e15) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert message in said
        assert said.count("\n") == 1


def test_the_snippet_gives_back_every_familys_shapes():
    """What is written of a shape is the size that the grid makes the shape of."""
    found = [Shape(2, 8, 32, 1), Shape(2, 8, 0, 0, "lstm"), Shape(2, 8, 24, 2, "recurrent", 3)]
    rows = [{"params": float(i), "tokens": 1e6} for i in range(3)]
    text = next_cells.snippet(rows, dict(zip((0.0, 1.0, 2.0), found)))
    config = load("config.yaml")
    config["grid"] = config["grid"] | yaml.safe_load(text)["grid"]
    assert [cell.shape for cell in design.study(complete(config)).cells] == found


def test_of_shapes_of_one_size_the_cheapest_stands_for_all_in_shape_and_flop(tmp_path):
    """12 n d^2 is one N for 32 layers of 8 and 2 of 32; a token costs 6 N + 12 n d C + 6 d V.

    At C = 32 attention is dearer by 73,728 FLOP for the deep one, the head by 144 V for the wide.
    """
    source = load("config.yaml")
    deep = {"n_layer": 32, "d_model": 8, "n_head": 1}
    wide = {"n_layer": 2, "d_model": 32, "n_head": 1}
    path = tmp_path / "study.yaml"
    for vocabulary, cheap in ((300, wide), (4096, deep)):
        source["corpus"]["tokenizer"] = {"vocab_size": vocabulary}
        of = 6 * 24576 + 12 * cheap["n_layer"] * cheap["d_model"] * 32
        of += 6 * cheap["d_model"] * vocabulary
        for sizes in ([deep, wide], [wide, deep], [{**cheap, "context": 16}, cheap]):
            source["grid"]["sizes"] = sizes
            path.write_text(yaml.safe_dump(source))
            found = from_study(path, "params")
            assert set(found.params) == {24576}
            assert found.flops == pytest.approx(of * found.tokens)
            assert found.shapes[24576.0].n_layer == cheap["n_layer"]


def test_families_that_are_left_out_of_fits_are_no_candidates(tmp_path):
    source = load("config.yaml")
    source["grid"]["sizes"] = [{"n_layer": 2, "d_model": 8, "family": f} for f in
                               ("lstm", "transformer", "recurrent")]  # fmt: skip
    source["exclude"]["families"] = ["lstm", "recurrent"]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(source))
    assert set(from_study(path, "params").params) == {1536}
    source["exclude"]["families"].append("transformer")
    path.write_text(yaml.safe_dump(source))
    with pytest.raises(ValueError, match=r"study\.yaml: exclude\.families = .* leaves none of its"):
        from_study(path, "params")
