"""Which laws a study fits, and what is refused before any job."""

import json

import pytest

from pipeline import config
from pipeline.config import ConfigError
from pipeline.laws import LAWS
from pipeline.study import design, fitted

NATIVE = {
    "study": "small",
    "corpus": {"name": "verse", "sources": [{"package": "poetry"}]},
    "grid": {
        "sizes": [{"n_layer": 2, "d_model": width, "n_head": 2} for width in (32, 64, 96)],
        "tokens": [1e6, 2e6],
    },
    "evaluation": {"corpora": [{"name": "code", "sources": [{"package": "code"}]}]},
}


@pytest.fixture
def runs(tmp_path):
    """A study's item of runs."""
    path = tmp_path / "table.csv"
    path.write_text("N,D,loss,wiki,quiz\n1e8,2e9,3,3.1,0.5\n")
    return {
        "name": "ours",
        "file": str(path),
        "evaluations": {"wiki": "wiki"},
        "tasks": {"quiz": "quiz"},
    }


def study(laws, **sections):
    merged = json.loads(json.dumps({"study": "small", **sections, "fit": {"laws": laws}}))
    return design.study(config.complete(merged))


def native(*laws):
    return study(laws, **{name: NATIVE[name] for name in ("corpus", "grid", "evaluation")})


def test_keys_name_laws_and_what_they_are_fitted_to(runs):
    assert fitted.laws(native("kaplan", "transfer@code")) == ["kaplan", "transfer@code"]
    asked = ["chinchilla", "transfer@wiki", "gadre_error@quiz", "power_compute_min"]
    found = study(asked, runs=[runs])
    assert fitted.laws(found) == asked
    assert (found.corpus, found.cells, found.texts, found.tasks) == (None, (), ["wiki"], ["quiz"])
    assert fitted.tables("transfer@wiki") == ["evaluations"]
    assert fitted.tables("gadre_error@quiz") == ["tasks"]
    assert fitted.tables("kaplan") == []
    assert "power_compute_min:flops_min" in fitted.needs(asked)
    assert "transfer@wiki:loss" in fitted.needs(asked)
    assert not any("evaluation_loss" in need for need in fitted.needs(asked))


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ("kaplam", r"fit\.laws\[1\]: 'kaplam' .*did you mean 'kaplan'"),
        ("kaplan@code", r"fit\.laws\[1\]: 'kaplan@code' names a text or a task; kaplan takes none"),
        (
            "transfer",
            r"'transfer' does not say which text; write transfer@TEXT; this study has code",
        ),
        ("transfer@wiki", r"names no text of this study \(code\); add it to evaluation\.corpora"),
        ("gadre_error@quiz", r"names no task of this study \(none\); add it to evaluation\.tasks"),
        ("power_compute_min", r"takes flops_min \(C_min.*\), which trained cells do not have"),
    ],
)
def test_laws_that_no_run_can_carry(law, message):
    with pytest.raises(ConfigError, match=message):
        fitted.laws(native("kaplan", law))


def test_a_measured_critical_batch_lets_cells_carry_the_laws_of_it():
    grid = {"sizes": [1e5], "tokens": [1e6, 2e6], "batches": [128, 256, 512, 1024]}
    sections = {"corpus": NATIVE["corpus"], "grid": grid, "critical_batch": {"measure": True}}
    asked = ["kaplan", "critical_batch", "kaplan_steps", "power_compute_min"]
    found = study(asked, **sections)
    assert fitted.laws(found) == asked
    tables = [fitted.rows(found, law) for law in asked]
    assert tables == ["runs", "levels", "corrected", "corrected"]
    again = [fitted.replicates(found, law) for law in asked]
    assert again == [[], ["level_replicates"], [], []]
    assert fitted.rows(native("kaplan"), "critical_batch") == "runs"
    with pytest.raises(
        ConfigError, match=r"fit\.laws\[0\]: 'kaplan_steps' takes runs corrected by"
    ):
        fitted.laws(study(["kaplan_steps"], **sections))
    falling = {
        **sections, "training": {"schedule": {"name": "linear"}}, "critical_batch": {"of": "b"},
    }  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        fitted.laws(study(["kaplan_steps"], **falling))
    assert "fit.laws[0]: 'kaplan_steps' needs points of curves" in str(refused.value)
    assert "to constant or wsd, or critical_batch.rows to runs" in str(refused.value)
    falling["critical_batch"] = {"of": "b", "rows": "runs"}
    assert fitted.laws(study(["kaplan_steps"], **falling)) == ["kaplan_steps"]
    with pytest.raises(
        ConfigError, match=r"set critical_batch\.measure with 4 grid\.batches or more"
    ):
        fitted.laws(native("critical_batch"))


def few(laws, cells, **sections):
    """A study of as many cells, each of a token count of its own."""
    grid = {"sizes": NATIVE["grid"]["sizes"][:1], "tokens": [i * 1e6 for i in range(1, cells + 1)]}
    kept = {name: NATIVE[name] for name in ("corpus", "evaluation")}
    return study(laws, **kept, grid=grid, **sections)


@pytest.mark.parametrize(
    ("law", "least"), [("power_tokens", 3), ("transfer@code", 3), ("kaplan", 5), ("chinchilla", 6)]
)
def test_a_law_of_more_numbers_than_cells_is_refused_before_they_are_trained(law, least):
    """By the count at which a fit says that its runs are too few."""
    assert fitted.laws(few([law], least)) == [law]
    for cells, told in ((1, "1 cell;"), (least - 1, f"{least - 1} cells;")):
        with pytest.raises(ConfigError) as refused:
            fitted.laws(few([law], cells))
        assert str(refused.value).startswith(
            f"fit.laws[0]: '{law}' has {least - 1} parameters and needs {least} runs or more, and "
            f"the study trains {told} widen the grid"
        )


def test_laws_that_nobody_asked_for_are_left_to_the_fit():
    default = ["power_params", "power_tokens", "power_compute", "kaplan", "chinchilla"]
    assert fitted.laws(few(default, 1)) == default
    with pytest.raises(ConfigError, match="needs 3 runs or more"):
        fitted.laws(few(default[:1], 1))


def test_rows_that_no_cell_counts_are_left_to_the_fit(runs):
    """Tables that others made, and levels and points along curves."""
    assert fitted.laws(few(["chinchilla"], 1, runs=[runs])) == ["chinchilla"]
    assert fitted.laws(study(["chinchilla"], runs=[runs])) == ["chinchilla"]
    grid = {"sizes": NATIVE["grid"]["sizes"][:1], "tokens": [1e6], "batches": [128, 256, 512, 1024]}
    sections = {"corpus": NATIVE["corpus"], "grid": grid, "critical_batch": {"measure": True}}
    asked = ["critical_batch", "kaplan_steps", "power_compute_min"]
    assert fitted.laws(study(asked, **sections)) == asked
    with pytest.raises(ConfigError, match="'kaplan' has 4 parameters .* trains 4 cells"):
        fitted.laws(study([*asked, "kaplan"], **sections))


def test_beside_trained_cells_a_law_needs_what_both_have(runs):
    sections = {name: NATIVE[name] for name in ("corpus", "grid")}
    with pytest.raises(ConfigError, match="takes flops_min"):
        fitted.laws(study(["power_compute_min"], runs=[runs], **sections))
    assert fitted.laws(study(["transfer@wiki"], runs=[runs], **sections)) == ["transfer@wiki"]


def test_what_cells_have_covers_the_laws_of_the_default_study():
    assert set(fitted.NATIVE) >= {column for law in ("kaplan", "chinchilla", "power_compute")
                                  for column in (*LAWS[law].inputs, LAWS[law].target)}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "none.csv"}, r"runs\[0\]\.file: 'none.csv' is no file"),
        ({"columns": {"parms": "N"}}, r"runs\[0\]\.columns\.parms: .*did you mean 'params'"),
        ({"columns": {"params": {"column": "N", "unit": "dozen"}}}, r"params\.unit: 'dozen' is no unit of a count; choose from one, thousand"),
        ({"columns": {"params": {"unit": "million"}}}, "needs either column or constant"),
        ({"columns": {"params": {"column": "N", "constant": 3}}}, "needs either column or constant"),
        ({"columns": {"tokens": {"column": "D", "unit": "GPU-hours"}}}, "GPU-hours need it"),
        ({"columns": {"tokens": {"column": "D", "per_second": 5}}}, "does not go with this unit"),
        ({"columns": {"params": {"colum": "N"}}}, r"params\.colum: .*did you mean 'column'"),
        ({"evaluations": {"wiki": {"column": "wiki", "unit": "bits/byte"}}}, r"wiki\.bytes_per_token: None is needed"),
        ({"evaluations": {"wiki": 3}}, r"runs\[0\]\.evaluations\.wiki: 3 names no column"),
        ({"accept": ["everything"]}, r"runs\[0\]\.accept\[0\]: 'everything' is no check; choose"),
        ({"name": "native"}, r"runs\[0\]\.name: 'native' is the name of trained runs"),
        ({"duplicates": "kep"}, r"duplicates: 'kep' .*did you mean 'keep'"),
    ],
)  # fmt: skip
def test_imports_that_make_no_sense_are_refused_with_their_key(runs, changes, message):
    with pytest.raises(ConfigError, match=message):
        study(["kaplan"], runs=[runs | changes])


def test_two_tables_need_two_names(runs):
    with pytest.raises(ConfigError, match=r"runs\[1\]\.name: 'ours' is given twice"):
        study(["kaplan"], runs=[runs, runs])


def test_a_definition_survives_the_round_trip(runs):
    asked = runs | {
        "columns": {"params": {"column": "N", "unit": "M"}, "seed": 3, "lr": None},
        "where": {"wiki": [3.1, "x"], "quiz": True},
    }
    (item,) = study(["kaplan"], runs=[asked]).imports
    assert type(item).from_card(json.loads(json.dumps(item.card))) == item
    assert item.columns["params"].unit == "million"
    assert item.columns["lr"] is None
    assert item.where == {"wiki": (3.1, "x"), "quiz": (True,)}
