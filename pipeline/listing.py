"""The cells of a study as text: what is trained, over which ranges, and how long it takes."""

from __future__ import annotations

from collections.abc import Collection

from pipeline import provenance
from pipeline.cells import Cell, short
from pipeline.trunks import by_trunk

# Of one CPU core, for the first estimate of a cell's time: exact FLOP/s, and seconds that a layer
# takes in each step. bf16: benchmarks/step.py on an AMD EPYC (Zen 5); fp32: 176 trainings of
# studies/kaplan-laptop.yaml, two at a time, on an AMD EPYC (Zen 3). Other processors differ.
SPEEDS = {"bf16": (1.3e11, 1.25e-3), "fp32": (4.5e10, 2.2e-3)}
START = 2.5  # seconds of a process until its first step, most of them for loading PyTorch


def table(cells: Collection[Cell]) -> str:
    """The cells as text: N, D, FLOP and predicted seconds of one CPU core, largest first."""
    lines = [f"{'cell':<34}{'shape':>20}{'N':>8}{'D':>8}{'D/N':>8}{'steps':>8}{'lr':>10}"
             f"{'6ND FLOP':>11}{'FLOP':>10}{'seconds':>9}"]  # fmt: skip
    for cell in sorted(cells, key=lambda c: -c.flops_exact):
        lines.append(
            f"{cell.key:<34}{cell.shape!s:>20}{short(cell.params):>8}{short(cell.tokens):>8}"
            f"{cell.tokens / cell.params:>8.3g}{cell.steps:>8}{cell.lr:>10.3g}"
            f"{cell.flops_6nd:>11.2e}{cell.flops_exact:>10.2e}"
            f"{predicted_seconds(cell, cell.steps):>9.1f}"
        )
    return "\n".join(lines)


def summary(cells: Collection[Cell]) -> str:
    """How many cells there are, what ranges they span, and how long they take."""
    trunks = by_trunk(cells)
    alone = sum(START + predicted_seconds(cell, cell.steps) for cell in cells)
    whole = START * (len(trunks) + sum(cell.trunk is None for cell in cells)) + sum(
        predicted_seconds(c, c.steps if c.trunk is None else c.cooldown_steps) for c in cells
    )
    for sharing in trunks.values():
        longest = max(sharing, key=lambda c: c.stable_steps)
        whole += predicted_seconds(longest, longest.stable_steps)
    ranges = ", ".join(
        f"{name} {short(min(values))} to {short(max(values))}"
        for name, values in (("N", [c.params for c in cells]), ("D", [c.tokens for c in cells]))
    )
    return (
        f"{len(cells)} cells, {len(trunks)} trunks, {ranges}, "
        f"{sum(c.flops_exact for c in cells):.2e} FLOP: about {whole:.0f} s of one CPU core"
        + (f", {1 - whole / alone:.0%} saved by sharing trunks" if trunks else "")
    )


def predicted_seconds(cell: Cell, steps: int) -> float:
    """Seconds of one core of this machine for some steps of a cell, at the speeds of ``SPEEDS``."""
    precision = cell.precision
    if precision == "auto":
        precision = "bf16" if provenance.multiplies_bf16() else "fp32"
    flops_per_second, layer = SPEEDS[precision]
    layers = cell.n_layer * (cell.reuse or 1)
    return cell.flops_exact * steps / cell.steps / flops_per_second + steps * layers * layer
