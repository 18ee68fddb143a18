"""From a config to the study's cells: every training run, defined before anything is run.

Importing this module takes the standard library and a JSON Schema validator only (the config
arrives completed): every parse of the Snakefile does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.batches.refusal import refuse_batches
from pipeline.cells import Cell
from pipeline.cells.trunks import by_trunk
from pipeline.config import ConfigError, choose, number
from pipeline.corpus import definition
from pipeline.corpus.definition import Corpus
from pipeline.files import write_json
from pipeline.imports.definition import Import, imports
from pipeline.regression.definition import Regression, regression
from pipeline.study import grid
from pipeline.tasks.refusal import refuse_tasks

RESERVED = ("cells", "corpora", "state", "trainings")  # folders of results/ that are no study


@dataclass(frozen=True)
class Study:
    """All that a config asks for: cells to train, tables of runs to import, or a regression."""

    name: str
    title: str
    corpus: Corpus | None  # None where nothing is trained
    evaluation: tuple[Corpus, ...]
    cells: tuple[Cell, ...]
    imports: tuple[Import, ...]
    config: Mapping[str, Any]
    regression: Regression | None = None

    @cached_property
    def by_key(self) -> dict[str, Cell]:
        return {cell.key: cell for cell in self.cells}

    @property
    def card(self) -> dict[str, Any]:
        """What later stages need of the design: design.json."""
        exclude = {
            key: value if isinstance(value, list) else number(f"exclude.{key}", value)
            for key, value in self.config["exclude"].items()
        }
        keys = [cell.key for cell in self.cells]
        return {
            "study": self.name, "title": self.title, "cells": keys,
            "imports": [item.name for item in self.imports], "exclude": exclude,
        }  # fmt: skip

    @property
    def synthetic(self) -> bool:
        """Whether the corpus is a language whose entropy rate is known."""
        return self.corpus is not None and "synthetic" in self.config["corpus"]["sources"][0]

    @property
    def texts(self) -> list[str]:
        """Names of the texts, other than the validation split, that runs are scored on."""
        imported = [name for item in self.imports for name in item.evaluations]
        return list(dict.fromkeys([*(text.name for text in self.evaluation), *imported]))

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that runs are scored on."""
        imported = [name for item in self.imports for name in item.tasks]
        own = self.config["evaluation"]["tasks"] if self.cells else []
        return list(dict.fromkeys([*own, *imported]))

    @property
    def follows_tasks(self) -> bool:
        """Whether tasks are scored at every evaluation along the curves."""
        evaluation = self.config["evaluation"]
        return bool(self.cells and evaluation["tasks"] and evaluation["tasks_along"])

    @property
    def measures_batches(self) -> bool:
        """Whether the critical batch size is measured on the trained cells."""
        return bool(self.config["critical_batch"]["measure"])

    @property
    def corrected_by(self) -> str | None:
        """The experiment whose critical batch corrects these runs; None where it is this one."""
        other: str | None = self.config["critical_batch"]["of"]
        return other

    @property
    def losses(self) -> list[float] | None:
        """Losses at which batch sizes are compared; None where they are to be chosen."""
        asked: list[Any] | None = self.config["critical_batch"]["losses"]
        return None if asked is None else [float(loss) for loss in asked]

    @property
    def trunks(self) -> dict[str, list[Cell]]:
        """Trunk key -> its cells, fewest tokens first."""
        return by_trunk(self.cells)


def study(config: Mapping[str, Any]) -> Study:
    """The study that a completed config describes; raises ConfigError where it makes no sense."""
    if config["study"].partition("/")[0] in RESERVED:
        raise ConfigError("study", config["study"], "is a folder of its own", "take another name")
    tables = imports(config)
    corpus, evaluation, cells = _trained(config) if "grid" in config else (None, (), ())
    refuse_batches(config["critical_batch"], cells)
    return Study(
        config["study"], config["title"] or config["study"], corpus, evaluation, cells, tables,
        config, regression(config),
    )  # fmt: skip


def _trained(config: Mapping[str, Any]) -> tuple[Corpus, tuple[Corpus, ...], tuple[Cell, ...]]:
    """The corpus, the texts that finished models are scored on, and the cells of the grid."""
    corpus = definition.corpus(config["corpus"])
    evaluation = tuple(
        definition.evaluation(corpus, item, config["evaluation"], f"evaluation.corpora[{index}]")
        for index, item in enumerate(config["evaluation"]["corpora"])
    )
    names = [item.name for item in evaluation]
    if len(set(names)) < len(names):
        raise ConfigError("evaluation.corpora", names, "repeats a name", "name each corpus once")
    cells = tuple(grid.cells(config, _common_fields(config, corpus, evaluation)))
    if not cells:
        fault, cure = "holds no cell", "widen grid.min_tokens and max_tokens, or the budgets"
        raise ConfigError("grid", config["grid"], fault, cure)
    refuse_tasks(
        config["evaluation"]["tasks"], min(cell.context for cell in cells), cells[0].vocab_size,
        "synthetic" in config["corpus"]["sources"][0],
    )  # fmt: skip
    seen = set()
    for cell in cells:
        if cell.key in seen:
            raise ConfigError(
                "grid", cell.key, "is defined twice",
                "remove the repeated size, token count or seed (after rounding to whole steps)",
            )  # fmt: skip
        seen.add(cell.key)
    return corpus, evaluation, cells


def _common_fields(
    config: Mapping[str, Any], corpus: Corpus, evaluation: tuple[Corpus, ...]
) -> dict[str, Any]:
    """The fields that every cell of a study shares."""
    training = config["training"]
    texts = {item.name: item.key for item in evaluation}
    along = choose("evaluation.along", config["evaluation"]["along"], texts)
    tasks = tuple(config["evaluation"]["tasks"])
    return {
        "corpus": corpus.key,
        "vocab_size": definition.vocab_size(config["corpus"]),
        "evaluate": tuple(item.key for item in evaluation),
        "betas": (float(training["betas"][0]), float(training["betas"][1])),
        "weight_decay": float(training["weight_decay"]),
        "clip": float(training["clip"]),
        "precision": training["precision"],
        "recipe": training["recipe"],
        "evaluations_per_octave": training["evaluations_per_octave"],
        "evaluate_every": training["evaluate_every"],
        "patience": training["early_stopping"],
        "noise_every": training["noise_every"],
        "optimizer": training["optimizer"],
        "along": tuple(texts[name] for name in along),
        "tasks": tasks,
        "tasks_along": tasks if config["evaluation"]["tasks_along"] else (),
    }


def write_definitions(study: Study, results: Path) -> None:
    """Write the definitions that jobs read: corpora, imports, cells and the study's card.

    A file that stands already with the same content is left alone.
    """
    files: dict[Path, dict[str, Any]] = {}
    if study.corpus:
        corpus = results / "corpora" / study.corpus.key
        files[corpus / "definition.json"] = study.corpus.card
        for text in study.evaluation:
            files[corpus / "evaluation" / text.key / "definition.json"] = text.card
    for item in study.imports:
        files[results / study.name / "imports" / item.name / "definition.json"] = item.card
    if study.regression:
        folder = results / study.name / "regression"
        files[folder / "definition.json"] = study.regression.card
    for cell in study.cells:
        files[results / "cells" / cell.key / "spec.json"] = cell.spec()
    files[results / study.name / "design.json"] = study.card
    for path, content in files.items():
        with suppress(OSError, ValueError):
            if json.loads(path.read_text(encoding="utf-8")) == content:
                continue
        write_json(path, content)


def check_corpus(study: Study, results: Path) -> None:
    """Refuse files that are not there, and token counts that the corpus cannot give.

    The latter as far as it is known before any job: an existing corpus is counted exactly, else the
    bytes of an installed package bound its tokens.
    """
    if study.corpus is None:
        return
    _refuse_missing_files(study.config)
    card = results / "corpora" / study.corpus.key / "corpus.json"
    if card.exists():
        available = json.loads(card.read_text(encoding="utf-8"))["tokens"]["train"]
    else:
        bound = definition.most_tokens(study.config["corpus"])
        if bound is None:
            return
        available = bound
    for cell in study.cells:
        needed = cell.tokens if cell.unique_tokens is None else cell.unique_tokens
        if needed > available:
            key, cure = "grid.unique_tokens", "lower it, add sources or raise corpus.fraction"
            if cell.unique_tokens is None:
                key = "grid.tokens"
                cure += ", or set grid.unique_tokens to train on the same tokens again"
            raise ConfigError(
                key, needed, f"is more than the {available:,} training tokens of corpus "
                f"{study.corpus.name!r}", cure,
            )  # fmt: skip


def _refuse_missing_files(config: Mapping[str, Any]) -> None:
    """Raise ConfigError where a source of the corpus or of another text names no file."""
    others = config["evaluation"]["corpora"]
    texts = {f"evaluation.corpora[{index}]": text for index, text in enumerate(others)}
    for key, text in {"corpus": config["corpus"], **texts}.items():
        for index, source in enumerate(text["sources"]):
            definition.source_files(source, f"{key}.sources[{index}]")
