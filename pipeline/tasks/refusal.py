"""Tasks of a config that its models cannot do, refused before anything is run."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config import ConfigError, choose
from pipeline.tasks import TASKS


def refuse_tasks(names: Sequence[str], context: int, vocab_size: int, synthetic: bool) -> None:
    """Raise ConfigError on a task of ``evaluation.tasks`` that is unknown, or cannot be put.

    ``context`` is the least of the models'.
    """
    choose("evaluation.tasks", names, TASKS)
    for index, name in enumerate(names):
        task, key = TASKS[name], f"evaluation.tasks[{index}]"
        if context < task.context:
            raise ConfigError(
                key, name, f"does not fit into a context of {context} tokens",
                f"take a model.context of {task.context} or more, or leave the task out",
            )  # fmt: skip
        if vocab_size < task.vocabulary:
            raise ConfigError(
                key, name, f"asks for tokens that a vocabulary of {vocab_size} does not have",
                "leave the task out",
            )  # fmt: skip
        if synthetic and task.reads_text:
            fault = "is put in English, which a model of a synthetic language cannot read"
            others = ", ".join(n for n in TASKS if not TASKS[n].reads_text)
            raise ConfigError(key, name, fault, f"leave it out, or take some of {others}")
