"""How long trainings take on one CPU core, before any is run. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.cells.cell import Cell

# Of one CPU core, for the first estimate of a cell's time: exact FLOP/s, and seconds that a layer
# takes in each step. bf16: benchmarks/step.py on an AMD EPYC (Zen 5); fp32: 176 trainings of
# studies/kaplan-laptop.yaml, two at a time, on an AMD EPYC (Zen 3). Other processors differ.
SPEEDS = {"bf16": (1.3e11, 1.25e-3), "fp32": (4.5e10, 2.2e-3)}
START = 2.5  # seconds of a process until its first step, most of them for loading PyTorch


def seconds(cell: Cell, steps: int, precision: str) -> float:
    """Seconds of one core for some steps of a cell in fp32 or bf16, without a process's start."""
    flops_per_second, layer = SPEEDS[precision]
    layers = steps * cell.shape.depth * layer
    return cell.flops_exact * steps / cell.steps / flops_per_second + layers


def stages(training: Sequence[Cell]) -> Iterator[tuple[Cell, int]]:
    """What a training goes through, as a cell and how many steps at its speed.

    Of a trunk's cells: the cooldown of each, and the longest stable phase once.
    """
    if training[0].trunk is None:  # cells of one training differ in what they are scored on
        yield training[0], training[0].steps
    else:
        for cell in training:
            yield cell, cell.cooldown_steps
        longest = max(training, key=lambda cell: cell.stable_steps)
        yield longest, longest.stable_steps
