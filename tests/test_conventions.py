"""Runs under a convention: which columns count, and what is said where one is missing."""

import pytest
from rows import RUN

from pipeline import contracts, conventions
from pipeline.contracts import ContractError
from pipeline.conventions import Convention, Measured, included_runs
from pipeline.laws import COLUMNS

CELLS = ("a", "b", "c")


@pytest.fixture
def study(tmp_path):
    """Write runs.parquet of three cells with some columns changed; the path."""

    def write(**changes):
        rows = [
            {**RUN, "cell": cell, "study": "toy", "source": "native", "included": True,
             "exclusion": None} | {name: values[i] for name, values in changes.items()}
            for i, cell in enumerate(CELLS)
        ]  # fmt: skip
        contracts.write(tmp_path / "runs.parquet", rows, contracts.RUNS)
        texts = [{"cell": c, "corpus": "code", "loss": x} for c, x in (("a", 1.5), ("c", 1.25))]
        contracts.write(tmp_path / "evaluations.parquet", texts, contracts.EVALUATIONS)
        tasks = [{"cell": c, "task": "quiz", "error": x} for c, x in (("b", 0.25), ("c", 0.0))]
        contracts.write(tmp_path / "tasks.parquet", tasks, contracts.TASKS)
        return tmp_path / "runs.parquet"

    return write


def test_columns_follow_the_convention(study):
    runs = included_runs(study(), Convention("params_total", "flops_exact", "bits_per_byte"))
    assert runs.params.tolist() == [RUN["params_total"]] * 3
    assert runs.flops.tolist() == [RUN["flops_exact"]] * 3
    assert runs.loss.tolist() == [RUN["bits_per_byte"]] * 3
    assert Convention(loss="bits_per_byte").card["loss"] == "bits/byte"


def test_further_columns_are_there_where_every_run_has_them(study):
    runs = included_runs(study(weight_bits=[4.0, 8.0, 16.0], lr=[0.1, None, 0.1]), Convention())
    assert runs.column("bits").tolist() == [4.0, 8.0, 16.0]
    assert "lr" not in runs.columns
    assert runs.column("steps").tolist() == [RUN["steps"]] * 3
    with pytest.raises(KeyError, match="'flops_min'"):
        runs.column("flops_min")


def test_standard_errors_are_in_the_unit_of_the_loss(study):
    nats = included_runs(study(), Convention())
    assert nats.column("loss_se").tolist() == pytest.approx([RUN["loss_se"]] * 3)
    bits = included_runs(study(), Convention(loss="bits_per_byte"))
    relative = RUN["loss_se"] / RUN["loss"]
    assert bits.column("loss_se").tolist() == pytest.approx([RUN["bits_per_byte"] * relative] * 3)
    assert "loss_se" not in included_runs(study(loss_se=[0.1, None, 0.1]), Convention()).columns


def test_every_column_that_laws_can_take_comes_from_a_table():
    known = {*Convention().columns, *conventions.OPTIONAL, *conventions.MEASURED}
    assert set(COLUMNS) <= known
    assert set(conventions.OPTIONAL.values()) <= set(contracts.RUNS.names)
    for name, of, value in conventions.MEASURED.values():
        assert {of, value} <= set(contracts.SCHEMAS[name].names)


def test_a_column_that_no_run_has_is_named_with_the_key_of_the_study(study):
    path = study(params_total=[None] * 3, loss=[None] * 3)
    message = r"no run has params_total \(all parameters\), which fit.params: params_total takes"
    with pytest.raises(ContractError, match=message):
        included_runs(path, Convention("params_total", loss="bits_per_byte"))
    with pytest.raises(ContractError, match=r"no run has loss .*; map it in runs\[\]\.columns, or"):
        included_runs(path, Convention())


@pytest.mark.parametrize("value", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_one_missing_number_is_named_with_its_cell(study, value):
    path = study(flops_exact=[1e9, value, 1e9], source=["native", "ours", "native"])
    with pytest.raises(
        ContractError, match=rf"cell b: flops_exact is {value}.*mend its row in ours"
    ):
        included_runs(path, Convention(flops="flops_exact"))


def test_laws_of_one_text_are_fitted_to_the_runs_that_have_it(study):
    path = study(loss=[2.0, 2.5, 1.5])
    texts = path.with_name("evaluations.parquet")
    runs = included_runs(path, Convention(), Measured("evaluation_loss", texts, "code"))
    assert runs.cell == ("a", "c")
    assert runs.column("evaluation_loss").tolist() == [1.5, 1.25]
    assert runs.loss.tolist() == [2.0, 1.5]
    with pytest.raises(ContractError, match=r"no included run was scored on 'verse'; known: code"):
        included_runs(path, Convention(), Measured("evaluation_loss", texts, "verse"))


def test_an_error_of_zero_is_one_and_a_loss_of_zero_is_not(study):
    path = study()
    quiz = Measured("task_error", path.with_name("tasks.parquet"), "quiz")
    runs = included_runs(path, Convention(), quiz)
    assert (runs.cell, runs.column("task_error").tolist()) == (("b", "c"), [0.25, 0.0])
    texts = path.with_name("evaluations.parquet")
    rows = [{"cell": "a", "corpus": "code", "loss": 0.0}]
    contracts.write(texts, rows, contracts.EVALUATIONS)
    with pytest.raises(ContractError, match="cell a: loss on code is 0.0, but a law of its"):
        included_runs(path, Convention(), Measured("evaluation_loss", texts, "code"))


@pytest.mark.parametrize("error", [-0.1, float("nan")])
def test_an_error_that_cannot_be_is_named_with_its_cell(study, error):
    path = study()
    tasks = path.with_name("tasks.parquet")
    contracts.write(tasks, [{"cell": "c", "task": "quiz", "error": error}], contracts.TASKS)
    with pytest.raises(ContractError, match=f"cell c: error on quiz is {error}"):
        included_runs(path, Convention(), Measured("task_error", tasks, "quiz"))


def test_a_run_that_is_left_out_may_have_an_error_of_zero(study):
    path = study(included=[True, True, False], exclusion=[None, None, "perfect"])
    quiz = Measured("task_error", path.with_name("tasks.parquet"), "quiz")
    runs = included_runs(path, Convention(), quiz)
    assert (runs.cell, runs.column("task_error").tolist()) == (("b",), [0.25])


def test_what_a_key_measures(tmp_path):
    texts, tasks = tmp_path / "evaluations.parquet", tmp_path / "tasks.parquet"
    found = conventions.measured("transfer@code", {"loss", "evaluation_loss"}, texts, tasks)
    assert found == Measured("evaluation_loss", texts, "code")
    found = conventions.measured("gadre_error@quiz", {"loss", "task_error"}, texts, tasks)
    assert found == Measured("task_error", tasks, "quiz")
    assert conventions.measured("kaplan", {"params", "tokens", "loss"}, None, None) is None
    with pytest.raises(ValueError, match="kaplan is fitted to the runs alone; leave out @code"):
        conventions.measured("kaplan@code", {"params", "loss"}, texts, tasks)
    with pytest.raises(ValueError, match="write --law transfer@NAME and give --evaluations"):
        conventions.measured("transfer", {"loss", "evaluation_loss"}, texts, tasks)
    with pytest.raises(ValueError, match="give --evaluations"):
        conventions.measured("transfer@code", {"loss", "evaluation_loss"}, None, tasks)


def test_the_digest_tells_runs_and_counts_apart_but_nothing_else(study):
    def told(convention=None, **changes):
        runs = included_runs(study(**changes), convention or Convention())
        return conventions.digest(runs)

    whole = told()
    assert told(seconds=[1.0, 2.0, 3.0]) == whole
    others = [
        told(loss=[1.0, 2.0, 3.0]), told(params=[7, 8, 9]), told(tokens=[70, 80, 90]),
        told(included=[True, True, False]), told(Convention(params="params_total")),
    ]  # fmt: skip
    assert len({whole, *others}) == 6


def test_tokens_of_the_dataset_can_stand_for_d(study):
    runs = included_runs(study(tokens=[4e6] * 3, unique_tokens=[1e6, 2e6, 4e6]),
                         Convention(tokens="unique_tokens"))  # fmt: skip
    assert sorted(runs.columns["tokens"]) == [1e6, 2e6, 4e6]
    card = Convention(tokens="unique_tokens").card
    assert card["tokens"] == "unique_tokens"
    assert conventions.of_card(card) == Convention(tokens="unique_tokens")


def test_a_run_repeats_its_data_where_it_saw_more_than_there_is():
    assert conventions.repeats({"tokens": 11, "unique_tokens": 10})
    assert not conventions.repeats({"tokens": 10, "unique_tokens": 10})
    assert not conventions.repeats({"tokens": 11, "unique_tokens": None})
