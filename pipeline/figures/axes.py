"""Axes that read well: labels with units, and few, round ticks on log scales."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FixedLocator,
    Formatter,
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

PARAMS = "parameters $N$"
TOKENS = "training tokens $D$"
FLOPS = {  # by the column of runs that stands for C
    "flops_6nd": "compute $C = 6ND$ (FLOP)",
    "flops_exact": "compute $C$ (FLOP, attention and head included)",
}
LOSS = "loss (nats/token)"
CROWDED = 0.1  # two labels nearer than this share of the axis touch at column width


class RoundLog(Locator):
    """Ticks of a log axis: powers of ten, then 1-3, then 1-2-5, then evenly spaced values.

    The coarsest of these with three ticks or more inside the view is taken, so that an axis over
    many decades and one over a small factor both get three to seven labels.
    """

    def __init__(self, most: int = 6):
        self.most = most

    def __call__(self) -> Sequence[float]:
        return self.tick_values(*self.axis.get_view_interval())  # type: ignore[union-attr]

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Tick positions within [vmin, vmax], both positive."""
        low, high = sorted((vmin, vmax))
        if not 0 < low < high < math.inf:
            return []
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        stride = math.ceil((math.log10(high) - math.log10(low)) / self.most)
        sparse = [((1,), step) for step in range(stride, 0, -1)]
        for digits, step in (*sparse, ((1, 3), 1), ((1, 2, 5), 1)):
            powers = [k for k in range(first, last + 1) if k % step == 0]
            ticks = np.array([d * 10.0**k for k in powers for d in digits])
            ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
            if len(ticks) >= 3:
                return ticks[:: math.ceil(len(ticks) / (self.most + 1))].tolist()
        even = MaxNLocator(self.most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        return [tick for tick in even if low <= tick <= high]


def count(value: float) -> str:
    """A count for a label: 1536 -> 1.5k, 98304 -> 98k, 221184 -> 221k, 2e6 -> 2M.

    A third digit that tells less than 0.3 % (500736, rounded to whole steps) is dropped.
    """
    if value > 0 and abs(float(f"{value:.1e}") / value - 1) < 0.003:
        value = float(f"{value:.1e}")
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "k")):
        scaled = value / 10**power
        if scaled >= 0.9995:
            text = f"{scaled:.1f}" if scaled < 9.95 else f"{scaled:.0f}"
            return text.removesuffix(".0") + letter
    return f"{value:.3g}"


class PlainDecimals(Formatter):
    """Tick labels in plain decimals, all of an axis with as many places as the finest needs."""

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002
        """One value on its own."""
        return decimal(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of one axis."""
        places = max((len(decimal(v).partition(".")[2]) for v in values), default=0)
        return [f"{v:.{places}f}" for v in values]


def decimal(value: float) -> str:
    """A loss or ratio for a label: plain decimals without trailing zeros."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def power_of_ten(value: float) -> str:
    """A FLOP count for a label, as mathtext: 1e16 -> 10^16, 3e16 -> 3x10^16."""
    exponent = math.floor(math.log10(value) + 1e-9)
    digits = f"{value / 10**exponent:.2g}"
    return f"$10^{{{exponent}}}$" if digits == "1" else rf"${digits}\!\times\!10^{{{exponent}}}$"


def _prepare(axes: Axes, which: str, label: str) -> Axis:
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}label": label})
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(RoundLog())
    return axis


def count_axis(axes: Axes, which: str, label: str, grid: Iterable[float] = ()) -> None:
    """A log axis of parameters or tokens; the few values of ``grid`` become its ticks.

    ``grid`` is used where two to six values stand far enough apart to be labelled each.
    """
    axis = _prepare(axes, which, label)
    axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    values = sorted(set(grid))
    if 2 <= len(values) <= 6:
        logs = np.log(values)
        if np.diff(logs).min() >= CROWDED * (logs[-1] - logs[0]):
            axis.set_major_locator(FixedLocator(values))
            return
    axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=30))


def flops_axis(axes: Axes, which: str, label: str) -> None:
    """A log axis of compute."""
    axis = _prepare(axes, which, label)
    axis.set_major_locator(RoundLog(most=4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=30))


def loss_axis(axes: Axes, which: str = "y", label: str = LOSS) -> None:
    """A log axis of loss, with plain decimals."""
    axis = _prepare(axes, which, label)
    axis.set_major_formatter(PlainDecimals())


def padded(values: Iterable[float | None], share: float = 0.06) -> tuple[float, float]:
    """Limits of a log axis that leave ``share`` of the logarithmic range free on both sides.

    Values that are missing or cannot stand on the axis do not count.
    """
    finite = [v for v in values if v is not None and v > 0 and math.isfinite(v)]
    if not finite:
        return 0.1, 10.0
    low, high = math.log(min(finite)), math.log(max(finite))
    room = share * (high - low) or 0.1
    return math.exp(low - room), math.exp(high + room)
