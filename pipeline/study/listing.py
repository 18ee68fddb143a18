"""The cells of a study as text: what is trained, over which ranges, and how long it takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pipeline import provenance
from pipeline.cells import Cell, durations, short
from pipeline.cells.durations import START
from pipeline.cells.parts import packed
from pipeline.cells.trunks import by_trunk, trainings

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
    """How many cells there are, what ranges they span, how long they take, what trunks save."""
    ranges = ", ".join(
        f"{name} {short(min(values))} to {short(max(values))}"
        for name, values in (("N", [c.params for c in cells]), ("D", [c.tokens for c in cells]))
    )
    flops, trained = sum(c.flops_exact for c in cells), _flops(cells)
    alone = sum(START + predicted_seconds(cell, cell.steps) for cell in cells)
    whole, starts = _seconds(cells), len(trainings(cells))
    saved = {"time": _percent(1 - (START * starts + whole) / alone)}
    saved |= {"FLOP": _percent(1 - trained / flops)}
    told = f"about {duration(START * len(packed(cells)) + whole)} of one CPU core"
    if whole > LONGEST_ON_A_CORE:
        del saved["time"]
        told = (
            f"{_ratio(trained / GPU_SPEED / HOUR)} GPU-hours at {GPU_SPEED:.0e} FLOP/s, which "
            "small models do not reach"
        )
    shared = " and ".join(f"{share}% of {what}" for what, share in saved.items() if share > 0)
    return (
        f"{len(cells)} cells, {len(by_trunk(cells))} trunks, {ranges}, {flops:.2e} FLOP: {told}"
        + (f", {shared} saved by sharing trunks" if shared else "")
    )


def sharing(cells: Collection[Cell]) -> str:
    """How many processes carry out how many trainings, a clause; empty where each has its own."""
    processes, number = len(packed(cells)), len(trainings(cells))
    if processes == number:
        return ""
    starts = duration(START * processes)
    return f"; {number} trainings share {processes} processes, whose starts are {starts} of it"


def _percent(share: float) -> int:
    return round(100 * share)


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


def _stages(cells: Collection[Cell]) -> Iterator[tuple[Cell, int]]:
    """What is trained, as a cell and how many steps at its speed: what cells share, once."""
    for training in trainings(cells):
        yield from durations.stages(training)


def _flops(cells: Collection[Cell]) -> float:
    """Exact FLOP that are trained, those that cells share once."""
    return sum(cell.flops_exact * steps / cell.steps for cell, steps in _stages(cells))


def _seconds(cells: Collection[Cell]) -> float:
    """Seconds of one core for all cells, without the starts of processes."""
    return sum(predicted_seconds(*stage) for stage in _stages(cells))


def predicted_seconds(cell: Cell, steps: int) -> float:
    """Seconds of one core of this machine for some steps of a cell."""
    precision = provenance.cpu_precision() if cell.precision == "auto" else cell.precision
    return durations.seconds(cell, steps, precision)
