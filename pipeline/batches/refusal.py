"""What a config asks of batch sizes and curves that its cells cannot tell, refused before any job.

Standard library only, as every parse of the Snakefile does this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.batches import HELD, LEAST_BATCHES
from pipeline.cells import Cell
from pipeline.config import ConfigError, number


def refuse_batches(section: Mapping[str, Any], cells: Sequence[Cell]) -> None:
    """Raise ConfigError where the config's section ``critical_batch`` asks what cannot be measured.

    A model needs the batch sizes of a front, under a schedule whose curves count.
    """
    for index, value in enumerate(section["losses"] or ()):
        key = f"critical_batch.losses[{index}]"
        if number(key, value) <= 0:
            raise ConfigError(key, value, "is not positive", "give nats/token, such as 3.5")
    if not section["measure"]:
        return
    refuse_falling("critical_batch.measure", True, cells)
    batches: dict[Any, set[int]] = {}
    for cell in cells:
        if cell.schedule in HELD:
            model = (cell.shape, cell.context, cell.dropout, cell.unique_tokens)
            batches.setdefault(model, set()).add(cell.batch_tokens)
    most = max(map(len, batches.values()), default=0)
    if most < LEAST_BATCHES:
        raise ConfigError(
            "critical_batch.measure", True, f"needs {LEAST_BATCHES} batch sizes of one model or "
            f"more, and no model has more than {most}",
            f"give {LEAST_BATCHES} grid.batches or more, or leave the measurement out",
        )  # fmt: skip


def refuse_falling(
    key: str, value: Any, cells: Sequence[Cell], otherwise: str = "leave it out"
) -> None:
    """Raise ConfigError where no cell holds its peak rate, at which alone rows of curves count.

    ``otherwise`` is what can be done but to take another schedule.
    """
    schedules = {cell.schedule for cell in cells}
    if schedules and not schedules & set(HELD):
        raise ConfigError(
            key, value, "needs points of curves at their peak learning rate, which "
            f"{', '.join(sorted(schedules))} never holds",
            f"set training.schedule.name to {' or '.join(HELD)}, or {otherwise}",
        )  # fmt: skip
