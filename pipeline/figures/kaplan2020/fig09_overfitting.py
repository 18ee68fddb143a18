"""Figure 9: loss against dataset size by N, and the extent of overfitting on one curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020 import algebra, headings
from pipeline.findings.data import Data, FittedLaw, estimate
from pipeline.kaplan2020 import DataLaw, relative_overfit
from pipeline.laws.base import Floats
from pipeline.laws.interval import around

LAW = "kaplan"
EXTENT = r"overfitting $\delta L$ (dimensionless)"
FORMULA = (
    r"$\delta L = \left(1 + \left(\dfrac{N}{N_c}\right)^{\alpha_N/\alpha_D}"
    r" \dfrac{D_c}{D}\right)^{\alpha_D} - 1$"
)


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Runs with L(N, D), and what each exceeds the unlimited loss of its size by (eq. 4.2, 4.3)."""
    left, right = figure.subplots(1, 2)
    left.set_label("data")
    right.set_label("collapse")
    grid = data["data"]
    fit = grid.fits[LAW]
    figure.set_size_inches(frame.WIDE, 3.5 + headings.room({LAW: fit}))
    colours = marks.SizeColours(run["params"] for run in grid.runs)
    _loss(left, grid, fit, colours)
    if fit.drawable:
        _collapse(right, grid, fit, colours)
    scales.loss_axis(left, label=grid.measured_label)
    headings.heading(left, fit, headings.BOTH, 2, "run")
    marks.legend_below(left, _handles(fit, grid), 3)
    colours.key(figure, (left, right))
    marks.doubts(figure, {LAW: fit}, 130)


def _loss(axes: Axes, data: Data, fit: FittedLaw, colours: marks.SizeColours) -> None:
    column = fit.column("tokens")
    for run in data.runs:
        marks.point(axes, run[column], run["loss"], run, colours(run["params"]))
    limits = scales.padded(run[column] for run in data.runs)
    axes.set_xlim(*limits)
    scales.count_axis(axes, "x", "dataset $D$ (tokens)")
    if not fit.drawable:
        return
    grid = np.geomspace(*limits, 120)
    for params in colours.sizes:
        line = fit.predict(tokens=grid, params=np.full_like(grid, params))
        axes.plot(grid, line, color=colours(params), lw=0.9, zorder=2.5)


def _collapse(axes: Axes, data: Data, fit: FittedLaw, colours: marks.SizeColours) -> None:
    """Every run at N^(alpha_N/alpha_D) / D, and eq. 4.3, which depends on nothing else."""
    (law,) = algebra.drawn(fit)
    column = fit.column("tokens")
    places = []
    for run in data.runs:
        if run["loss"] is None:
            continue
        x, extent = overfit(law.best, run["params"], run[column], run["loss"])
        places.append(x)
        marks.point(axes, x, extent, run, colours(run["params"]))
    limits = scales.padded(places)
    grid = np.geomspace(*limits, 200)
    if law.samples is not None:
        band = algebra.ends(_curve(algebra.columns(law.samples), law.best, grid),
                            fit.saved.percentiles)  # fmt: skip
        marks.band(axes, grid, band, marks.GREY)
    axes.plot(grid, _curve(law.best, law.best, grid), color=marks.INK, zorder=3)
    scales.flops_axis(
        axes, "x", r"$N^{\alpha_N/\alpha_D}/D$ (parameters$^{\alpha_N/\alpha_D}$/token)"
    )
    axes.set_xlim(*limits)
    axes.set_ylabel(EXTENT)
    axes.text(0.04, 0.96, FORMULA, transform=axes.transAxes, va="top")
    power = float(law.best.alpha_N / law.best.alpha_D)
    drawn = law.samples and law.samples.alpha_N / law.samples.alpha_D
    ends = (None, None) if drawn is None else around(drawn, fit.saved.percentiles)
    told = estimate(power, *ends)
    axes.set_title(f"$\\alpha_N/\\alpha_D$ = {told}\npaper: {0.076 / 0.103:.2f}")


def overfit(law: DataLaw, params: float, tokens: float, loss: float) -> tuple[float, float]:
    """Where a run stands: N^(alpha_N/alpha_D) / D, and its loss over L(N, infinite D) less 1."""
    place = params ** (law.alpha_N / law.alpha_D) / tokens
    return float(place), float(loss / law.unlimited(params) - 1)


def _curve(law: DataLaw, place: DataLaw, x: Floats) -> Any:
    """Eq. 4.3 of a law (of its replicates) at the abscissae of ``place``, at the middle size."""
    params = np.float64(1e5)
    tokens = params ** (place.alpha_N / place.alpha_D) / x
    return relative_overfit(law, params, tokens)


def _handles(fit: FittedLaw, data: Data) -> list[Any]:
    handles: list[Any] = [Line2D([], [], marker="o", ls="none", color=marks.GREY, label="run")]
    if fit.drawable:
        handles.append(Line2D([], [], color=marks.INK, label="law"))
    if fit.drawable and fit.has_intervals:
        handles.append(marks.band_handle(fit, marks.GREY))
    return handles + marks.state_handles(data.runs)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig09_overfitting", draw)
