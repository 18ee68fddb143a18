"""Learning rates and evaluations as functions of the step. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.cells import Cell


def lr_factor(cell: Cell, step: int) -> float:
    """The learning rate of the update ``step`` (from 0) over its peak.

    Linear warmup over ``warmup_steps``; then one of SCHEDULES. The last value is reached when the
    run ends, so that no update is spent at a rate of zero.
    """
    if step < cell.warmup_steps:
        return (step + 1) / cell.warmup_steps
    return SCHEDULES[cell.schedule](cell, step)


def lr_sum(cell: Cell, steps: int) -> float:
    """The learning rates of the matrices summed over the first ``steps`` updates."""
    return cell.lr * math.fsum(lr_factor(cell, step) for step in range(steps))


def _fallen(cell: Cell, way: float) -> float:
    """The factor after a share ``way`` of the way from the peak to ``final_lr``."""
    return 1 - (1 - cell.final_lr) * way


def _progress(cell: Cell, step: int) -> float:
    """The share of the steps after the warmup that lie behind."""
    return (step - cell.warmup_steps) / (cell.steps - cell.warmup_steps)


def _wsd(cell: Cell, step: int) -> float:
    """Constant, then linear over the last ``cooldown_steps`` (Hu et al. 2024).

    That 20 % in a line serve well is the finding of Hagele et al. (2024).
    """
    if step < cell.stable_steps:
        return 1.0
    return _fallen(cell, (step - cell.stable_steps) / cell.cooldown_steps)


def _cosine(cell: Cell, step: int) -> float:
    return _fallen(cell, (1 - math.cos(math.pi * _progress(cell, step))) / 2)


def _polynomial(cell: Cell, step: int) -> float:
    """A power of the share of the steps that is left: above 1 a faster decay, below a slower."""
    return _fallen(cell, 1 - (1 - _progress(cell, step)) ** cell.schedule_power)


def _inverse_sqrt(cell: Cell, step: int) -> float:
    """As 1 / sqrt(step) from the end of the warmup on (Vaswani et al. 2017), towards the final."""
    warmup = max(1, cell.warmup_steps)
    return _fallen(cell, 1 - math.sqrt(warmup / (warmup + step - cell.warmup_steps)))


# Name -> factor behind the warmup; Kaplan et al. (2020, appendix D.6) compare such shapes.
SCHEDULES: dict[str, Callable[[Cell, int], float]] = {
    "wsd": _wsd,
    "cosine": _cosine,
    "linear": lambda cell, step: _fallen(cell, _progress(cell, step)),
    "constant": lambda _cell, _step: 1.0,
    "polynomial": _polynomial,
    "exponential": lambda cell, step: cell.final_lr ** _progress(cell, step),
    "inverse_sqrt": _inverse_sqrt,
}


def is_evaluated(cell: Cell, step: int) -> bool:
    """Whether the model is evaluated after ``step`` updates.

    At ``evaluations_per_octave`` steps for each doubling and at every multiple of
    ``evaluate_every``, from the end of the warmup on, and at the end. Only the end depends on the
    cell's token count, so that a trunk's cells share rows.
    """
    if step == cell.steps:
        return True
    if step < max(1, cell.warmup_steps):
        return False
    if cell.evaluate_every and step % cell.evaluate_every == 0:
        return True
    per_octave = cell.evaluations_per_octave
    nearest = round(per_octave * math.log2(step))
    return step == round(2 ** (nearest / per_octave))
