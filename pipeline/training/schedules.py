"""Learning rates and evaluations as functions of the step. Standard library only."""

from __future__ import annotations

import math

from pipeline.cells import Cell


def lr_factor(cell: Cell, step: int) -> float:
    """The learning rate of the update ``step`` (from 0) over its peak.

    Linear warmup over ``warmup_steps``; then constant, linear or cosine down to ``final_lr``, or
    constant with a linear cooldown over the last ``cooldown_steps`` (wsd: Hu et al. 2024; the
    20 % linear cooldown: Hagele et al. 2024). The last value is reached when the run ends, so that
    no update is spent at a rate of zero.
    """
    if step < cell.warmup_steps:
        return (step + 1) / cell.warmup_steps
    if cell.schedule == "constant" or (cell.schedule == "wsd" and step < cell.stable_steps):
        return 1.0
    start = cell.stable_steps if cell.schedule == "wsd" else cell.warmup_steps
    progress = (step - start) / (cell.steps - start)
    if cell.schedule == "cosine":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return 1 - (1 - cell.final_lr) * progress


def is_evaluated(cell: Cell, step: int) -> bool:
    """Whether the model is evaluated after ``step`` updates.

    At ``evaluations_per_octave`` steps for each doubling, from the end of the warmup on, and at
    the end. Only the end depends on the cell's token count, so that a trunk's cells share rows.
    """
    if step == cell.steps:
        return True
    if step < max(1, cell.warmup_steps):
        return False
    per_octave = cell.evaluations_per_octave
    nearest = round(per_octave * math.log2(step))
    return step == round(2 ** (nearest / per_octave))
