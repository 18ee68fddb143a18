"""Which laws a study fits: those of its config, where its runs can have what they take.

Standard library only, as every parse of the Snakefile does this.
"""

from __future__ import annotations

from pipeline.batches.refusal import refuse_falling
from pipeline.config import ConfigError, choose
from pipeline.config.schema import schema
from pipeline.laws import COLUMNS, LAWS, named
from pipeline.study.design import Study

# What every trained cell has; imported runs have what their table brings.
NATIVE = {"params", "tokens", "unique_tokens", "flops", "steps", "batch_tokens", "lr", "loss"}
# What a regression has.
COMPUTED = {"params", "tokens", "unique_tokens", "flops", "loss"}
# What the measured critical batch adds to them, and where a law finds it: the table of levels that
# it was measured at, or the runs and curves corrected by it.
MEASURED = {"critical_batch": "levels", "steps_min": "corrected", "flops_min": "corrected"}
# Numbers beside the loss, which a law's key names after @: of a text, or of a task.
FURTHER = {"evaluation_loss": "text", "task_error": "task"}
WHERE = {
    "text": "evaluation.corpora or runs[].evaluations",
    "task": "evaluation.tasks or runs[].tasks",
}
TABLES = {"evaluation_loss": "evaluations", "task_error": "tasks"}


def columns(key: str) -> list[str]:
    """The columns that the law of a fit's key takes and predicts."""
    entry = LAWS[named(key)]
    return [*entry.inputs, entry.target]


def tables(key: str) -> list[str]:
    """The tables of a study, beside its runs, that hold what a law takes or predicts."""
    return [TABLES[column] for column in columns(key) if column in TABLES]


def rows(study: Study, key: str) -> str:
    """The table of a study, under the contract runs, whose rows a law is fitted to."""
    there = measured(study)
    return next((there[column] for column in columns(key) if column in there), "runs")


def replicates(study: Study, key: str) -> list[str]:
    """The table of what a law's targets become on resamples, where these are fits themselves."""
    return ["level_replicates"] if rows(study, key) == "levels" else []


def measured(study: Study) -> dict[str, str]:
    """Column -> table of what the critical batch adds: measured here, or by another experiment."""
    tables = {"levels", "corrected"} if study.measures_batches else set()
    if study.corrected_by:
        tables.add("corrected")
    return {column: table for column, table in MEASURED.items() if table in tables}


def laws(study: Study) -> list[str]:
    """Keys of the fits of a study, such as chinchilla and transfer@code, in the config's order.

    Raises ConfigError naming the law, the column that no run can have or the runs needed, and
    the cure.
    """
    asked = study.config["fit"]["laws"]
    default = schema()["properties"]["fit"]["properties"]["laws"]["default"]
    choose("fit.laws", [named(key) for key in asked], LAWS)
    for index, key in enumerate(asked):
        _refuse(study, f"fit.laws[{index}]", key)
        if asked != default:  # which nobody may have asked for: the fit tells of too few runs
            _refuse_few(study, f"fit.laws[{index}]", key)
    return list(asked)


def _refuse_few(study: Study, place: str, key: str) -> None:
    """Raise ConfigError where a study trains too few cells to tell the numbers of a law.

    A cell is one row of the runs, also with another text or a task. How many levels and points of
    curves there will be, or rows of tables that others made, is not known before any job.
    """
    least, cells = LAWS[named(key)].parameters + 1, len(study.cells)
    if study.imports or rows(study, key) != "runs" or not 0 < cells < least:
        return
    trained = "1 cell" if cells == 1 else f"{cells} cells"
    raise ConfigError(
        place, key, f"has {least - 1} parameters and needs {least} runs or more, and the study "
        f"trains {trained}", "widen the grid, or leave the law out",
    )  # fmt: skip


def _refuse(study: Study, place: str, key: str) -> None:
    """Raise ConfigError where a law cannot be fitted to any run of the study."""
    name, at, of = key.partition("@")
    there = {"text": study.texts, "task": study.tasks}
    further = [FURTHER[column] for column in columns(key) if column in FURTHER]
    if at and not further:
        raise ConfigError(place, key, "names a text or a task", f"{name} takes none: write {name}")
    for kind in further:
        known = ", ".join(there[kind]) or "none"
        if not of:
            cure = f"write {name}@{kind.upper()}; this study has {known}"
            raise ConfigError(place, key, f"does not say which {kind}", cure)
        if of not in there[kind]:
            where = WHERE[kind]
            raise ConfigError(place, key, f"names no {kind} of this study ({known})",
                              f"add it to {where}, or take one of them")  # fmt: skip
    for column in columns(key):
        if study.regression and column not in COMPUTED:
            raise ConfigError(
                place, key, f"takes {column} ({COLUMNS[column]}), which a regression does not have",
                "leave the law out",
            )  # fmt: skip
        had = {*NATIVE, *FURTHER, *measured(study)}
        if study.cells and column not in had:
            cure = "leave the law out, or fit it in a study of imported runs alone"
            if column in MEASURED:
                cure = (
                    "set critical_batch.measure with 4 grid.batches or more, or leave the law out"
                )
            raise ConfigError(
                place, key, f"takes {column} ({COLUMNS[column]}), which trained cells do not have",
                cure,
            )  # fmt: skip
    own = "critical_batch" in study.config["fit"]["laws"]
    if rows(study, key) != "corrected":
        return
    if study.config["critical_batch"]["rows"] == "curves" and not study.imports:
        refuse_falling(place, key, study.cells, "critical_batch.rows to runs")
    if not (own or study.corrected_by):
        raise ConfigError(
            place, key, "takes runs corrected by the law critical_batch, which is not fitted",
            "add critical_batch to fit.laws",
        )  # fmt: skip


def needs(keys: list[str]) -> list[str]:
    """What the laws take of an imported table, as law:column."""
    return [f"{key}:{column}" for key in keys for column in columns(key) if column not in FURTHER]
