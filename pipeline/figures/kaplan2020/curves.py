"""Learning curves at their peak rate, corrected by the critical batch, and the algebra's laws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from pipeline.batches.traces import at_peak
from pipeline.figures import axes as scales
from pipeline.figures.data import Data, FittedLaw, Row, estimate, number
from pipeline.kaplan2020 import BatchLaw, DataLaw, StepsLaw, fewest_steps, least_flops
from pipeline.laws.base import Floats, Kind
from pipeline.laws.interval import interval

STEPS_MIN = r"$S_{\min}$ (steps)"
FLOPS_MIN = r"compute $C_{\min}$ (FLOP)"
BATCHES = "batches"  # the experiment that measures the critical batch


@dataclass(frozen=True)
class Curve:
    """One run at its peak rate: (n,) of each, S_min and C_min by eq. 5.4 and 5.5, C = 6ND."""

    run: Row
    steps: Floats
    tokens: Floats
    loss: Floats
    steps_min: Floats
    flops_min: Floats

    @property
    def params(self) -> int:
        """N."""
        return int(self.run["params"])

    def loss_at(self, column: str, value: float) -> float:
        """The lowest loss so far where ``column`` has this value; NaN outside of the curve."""
        x = np.log(getattr(self, column))
        lowest = np.minimum.accumulate(np.log(self.loss))
        return float(np.exp(np.interp(np.log(value), x, lowest, left=np.nan, right=np.nan)))

    def where(self, column: str, loss: float) -> float:
        """The value of ``column`` where the curve first meets a loss; NaN where it does not."""
        return first_met(getattr(self, column), self.loss, loss)


def first_met(x: Sequence[float] | Floats, losses: Sequence[float] | Floats, loss: float) -> float:
    """Where a curve first falls to a loss, between its points in logarithms; NaN where it does not.

    A curve that starts below it had met it before.
    """
    logs = np.log(np.asarray(losses, float))
    lowest = np.minimum.accumulate(logs)
    new = np.r_[True, logs[1:] < lowest[:-1]]
    past, at = -logs[new], np.log(np.asarray(x, float))[new]
    return float(np.exp(np.interp(-math.log(loss), past, at, left=np.nan, right=np.nan)))


def corrected(data: Data, law: BatchLaw) -> list[Curve]:
    """The longest curve of every trunk, smallest N first, between warmup and cooldown."""
    longest: dict[str, Curve] = {}
    for run in data.runs:
        rows = at_peak(run, data.curves.get(run["cell"], ())) if run["included"] else []
        known = longest.get(run["trunk"] or run["cell"])
        if len(rows) > 1 and (known is None or len(rows) > len(known.loss)):
            longest[run["trunk"] or run["cell"]] = _curve(run, rows, law)
    return sorted(longest.values(), key=lambda curve: curve.params)


def _curve(run: Row, rows: Sequence[Row], law: BatchLaw) -> Curve:
    steps, tokens, loss = (
        np.array([row[name] for row in rows], float) for name in ("step", "tokens", "val_loss")
    )
    batch = run["batch_tokens"]
    flops = run["flops_6nd"] * tokens / run["tokens"]
    return Curve(
        run, steps, tokens, loss,
        np.asarray(fewest_steps(law, steps, batch, loss)),
        np.asarray(least_flops(law, flops, batch, loss)),
    )  # fmt: skip


def _values(fit: FittedLaw) -> dict[str, np.float64]:
    return {name: np.float64(value) for name, value in fit.saved.values.items()}


def batch_law(fit: FittedLaw) -> BatchLaw:
    """B_crit(L) of the fit ``critical_batch``."""
    return BatchLaw(**_values(fit))


def steps_law(fit: FittedLaw) -> StepsLaw:
    """L(N, S_min) of the fit ``kaplan_steps``."""
    return StepsLaw(**_values(fit))


def data_law(fit: FittedLaw) -> DataLaw:
    """L(N, D) of the fit ``kaplan``."""
    return DataLaw(**_values(fit))


def replicates(*fits: FittedLaw) -> list[dict[str, Floats]]:
    """The replicates (R, 1) of each fit; those of independent fits are paired as they come."""
    drawn = [fit.saved.replicates for fit in fits]
    count = min(len(column) for values in drawn for column in values.values())
    return [{name: column[:count, None] for name, column in values.items()} for values in drawn]


def spread(samples: Floats, fit: FittedLaw) -> tuple[Floats, Floats] | None:
    """Ends (m,) of the interval of samples (R, m); None where there is none."""
    low, high = interval(samples, fit.saved.percentiles)
    return (low, high) if np.isfinite(low).any() else None


def heading(axes: Axes, fit: FittedLaw, kinds: Sequence[Kind] = (Kind.EXPONENT,)) -> None:
    """Head a panel with the formula, and below it each exponent with interval and the paper's."""
    lines = [told(fit, name) for name, row in _of(fit, kinds)] if fit.drawable else []
    title = axes.set_title("\n".join([*lines, counted(fit)]), linespacing=1.35)
    axes.annotate(
        f"${fit.law.formula}$".replace(r"\frac", r"\dfrac"), (0, 1), (0, 4),
        xycoords=("axes fraction", title), textcoords="offset points", va="bottom",
        annotation_clip=False,
    )  # fmt: skip


def _of(fit: FittedLaw, kinds: Sequence[Kind]) -> list[tuple[str, Row]]:
    return [(p.name, row) for p, row in fit.estimates if p.kind in kinds]


def told(fit: FittedLaw, name: str) -> str:
    """One parameter with its interval, and the paper's value where it gives one."""
    parameter, row = next(pair for pair in fit.estimates if pair[0].name == name)
    text = f"${parameter.symbol}$ = {estimate(row['value'], row['low'], row['high'])}"
    if parameter.published is None:
        return text
    return f"{text}; paper ${number(parameter.published[0])}$"


def counted(fit: FittedLaw, points: str = "points") -> str:
    """How many points are behind a fit, and the coverage of its intervals."""
    level = f", {100 * fit.level:.3g} % intervals" if fit.has_intervals else ""
    return f"{fit.runs} {points}{level}"


flops_min_axis = partial(scales.flops_axis, label=FLOPS_MIN)
steps_min_axis = partial(scales.count_axis, label=STEPS_MIN)
