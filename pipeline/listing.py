"""The cells of a study as text: what is trained, over which ranges, and how long it takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pipeline import provenance
from pipeline.cells import Cell, short
from pipeline.trunks import by_trunk

# Of one CPU core, for the first estimate of a cell's time: exact FLOP/s, and seconds that a layer
# takes in each step. bf16: benchmarks/step.py on an AMD EPYC (Zen 5); fp32: 176 trainings of
# studies/kaplan-laptop.yaml, two at a time, on an AMD EPYC (Zen 3). Other processors differ.
SPEEDS = {"bf16": (1.3e11, 1.25e-3), "fp32": (4.5e10, 2.2e-3)}
START = 2.5  # seconds of a process until its first step, most of them for loading PyTorch
# Where one core would take longer than this, compute is told in GPU-hours instead. They are no
# estimate of a time, but what the FLOP come to at this speed, 40 % of an H100's dense bf16 peak.
LONGEST_ON_A_CORE = 30 * 86400.0  # seconds
GPU_SPEED = 4e14  # FLOP/s
HOUR = 3600.0
# Up to how many seconds a duration is told in a unit, and the seconds of that unit.
UNITS = ((120.0, 1.0, "s"), (2 * HOUR, 60.0, "min"), (2 * 86400.0, HOUR, "h"))


def table(cells: Collection[Cell]) -> str:
    """The cells as text, largest first: shape, N, D, FLOP, and the time of one CPU core.

    The time is in GPU-hours where it is in their summary.
    """
    on_core = _seconds(cells) <= LONGEST_ON_A_CORE
    rows = [("cell", "shape", "N", "D", "D/N", "steps", "lr", "6ND FLOP", "FLOP",
             "one core" if on_core else "GPU-hours")]  # fmt: skip
    for cell in sorted(cells, key=lambda c: -c.flops_exact):
        time = duration(predicted_seconds(cell, cell.steps))
        rows.append((
            cell.key, str(cell.shape), short(cell.params), short(cell.tokens),
            _ratio(cell.tokens / cell.params), str(cell.steps), f"{cell.lr:.3g}",
            f"{cell.flops_6nd:.2e}", f"{cell.flops_exact:.2e}",
            time if on_core else f"{cell.flops_exact / GPU_SPEED / HOUR:.3g}",
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def summary(cells: Collection[Cell]) -> str:
    """How many cells there are, what ranges they span, and how long they take."""
    trunks = by_trunk(cells)
    ranges = ", ".join(
        f"{name} {short(min(values))} to {short(max(values))}"
        for name, values in (("N", [c.params for c in cells]), ("D", [c.tokens for c in cells]))
    )
    alone = sum(START + predicted_seconds(cell, cell.steps) for cell in cells)
    whole = _seconds(cells)
    told = f"about {duration(whole)} of one CPU core"
    flops = sum(c.flops_exact for c in cells)
    if whole > LONGEST_ON_A_CORE:
        alone, whole = flops, sum(c.flops_exact * steps / c.steps for c, steps in _trained(cells))
        told = (
            f"{_ratio(whole / GPU_SPEED / HOUR)} GPU-hours at {GPU_SPEED:.0e} FLOP/s, which small "
            "models do not reach"
        )
    saved = round(100 * (1 - whole / alone))
    return f"{len(cells)} cells, {len(trunks)} trunks, {ranges}, {flops:.2e} FLOP: {told}" + (
        f", {saved}% saved by sharing trunks" if saved > 0 else ""
    )


def duration(seconds: float) -> str:
    """A time in the unit that suits it, such as 41 s, 3.2 min, 69 min, 12 h and 8.4 days."""
    for most, unit, name in UNITS:
        if seconds < most:
            return f"{_digits(seconds / unit)} {name}"
    return f"{_digits(seconds / 86400)} days"


def _digits(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def _ratio(value: float) -> str:
    """Three digits, and no power of ten for large ones: 0.0123, 45.6, 1,950."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _trained(cells: Collection[Cell]) -> Iterator[tuple[Cell, int]]:
    """What is trained, as a cell and how many steps at its speed: what cells share, once."""
    for cell in cells:
        yield cell, cell.steps if cell.trunk is None else cell.cooldown_steps
    for sharing in by_trunk(cells).values():
        longest = max(sharing, key=lambda cell: cell.stable_steps)
        yield longest, longest.stable_steps


def _seconds(cells: Collection[Cell]) -> float:
    """Seconds of one core for all cells, with the starts of their processes."""
    starts = len(by_trunk(cells)) + sum(cell.trunk is None for cell in cells)
    return START * starts + sum(predicted_seconds(*part) for part in _trained(cells))


def predicted_seconds(cell: Cell, steps: int) -> float:
    """Seconds of one core of this machine for some steps of a cell, at the speeds of ``SPEEDS``."""
    precision = provenance.cpu_precision() if cell.precision == "auto" else cell.precision
    flops_per_second, layer = SPEEDS[precision]
    layers = cell.n_layer * (cell.reuse or 1)
    return cell.flops_exact * steps / cell.steps / flops_per_second + steps * layers * layer
