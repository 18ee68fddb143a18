"""Loss on other texts: the mean slope of their lines, and depths beside what the ladder foretells.

Figures 8 and 24 draw, and the claims of transfer judge, what is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median

import numpy as np

from pipeline.findings.data import Data, FittedLaw, Row
from pipeline.laws import named
from pipeline.laws.base import Floats
from pipeline.laws.interval import around


def lines(data: Data) -> list[FittedLaw]:
    """The fitted line of each text that has one, in the order of the fits."""
    return [fit for key, fit in data.fits.items() if named(key) == "transfer" and fit.drawable]


def mean_slope(fits: Sequence[FittedLaw]) -> tuple[float, float | None, float | None]:
    """The slope of the lines, mean over texts, with its interval.

    Replicate i of every text is of the same draw of sizes, so that they are averaged one by one:
    what a draw does to all texts alike does not average out.
    """
    samples = [fit.saved.replicates.get("s", np.empty(0)) for fit in fits]
    count = min(map(len, samples))
    together = np.mean([sample[:count] for sample in samples], axis=0)
    low, high = around(together, max(fit.saved.percentiles for fit in fits))
    return mean(float(fit.saved.values["s"]) for fit in fits), low, high


def by_depth(runs: Sequence[Row]) -> list[Row]:
    """The runs that differ in depth alone, as far as one size lets them.

    Of each depth those with a feed-forward part of four widths, and the heads nearest to the median
    width of all depths' heads.
    """
    usual = [r for r in runs if r["loss"] is not None and r["d_ff"] == 4 * r["d_model"]]
    depths = {run["n_layer"] for run in usual}
    widths = [mean({width(r) for r in usual if r["n_layer"] == depth}) for depth in depths]
    aim = median(widths) if widths else 0.0
    kept = []
    for depth in sorted(depths):
        own = [run for run in usual if run["n_layer"] == depth]
        nearest = min((width(run) for run in own), key=lambda w: abs(w - aim))
        kept += [run for run in own if width(run) == nearest]
    return kept


def width(run: Row) -> float:
    """Of one head."""
    return float(run["d_model"] / run["n_head"])


def scored(data: Data) -> dict[str, dict[str, float]]:
    """Text -> cell -> loss on it, of included runs with a loss."""
    cells = {run["cell"] for run in data.runs if run["included"] and run["loss"] is not None}
    found: dict[str, dict[str, float]] = {}
    for row in sorted(data.evaluations, key=lambda row: row["corpus"]):
        if row["cell"] in cells:
            found.setdefault(row["corpus"], {})[row["cell"]] = row["loss"]
    return found


def ladder(sizes: Data) -> dict[str, tuple[Floats, Floats]]:
    """Text -> validation losses of the runs of all sizes, and their losses on it, each (n,).

    Texts whose runs have all one validation loss are left out.
    """
    own = {run["cell"]: run["loss"] for run in sizes.runs}
    found = {
        text: (np.array([own[cell] for cell in losses], float), np.array([*losses.values()], float))
        for text, losses in scored(sizes).items()
    }
    return {text: (x, y) for text, (x, y) in found.items() if np.ptp(x) > 0}


def on_line(x: Floats, y: Floats, at: Floats | float) -> Floats:
    """The least-squares line through points, at other places."""
    away = x - x.mean()
    return np.asarray(y.mean() + (away * y).sum() / (away**2).sum() * (at - x.mean()))


def residuals(
    runs: Sequence[Row], losses: Mapping[str, float], through: tuple[Floats, Floats]
) -> Floats:
    """Loss of runs on a text over what their validation loss foretells, less one, (n,)."""
    told = on_line(*through, np.array([run["loss"] for run in runs], float))
    return np.array([losses[run["cell"]] for run in runs], float) / told - 1


def changed(layers: Floats, residual: Floats, ends: tuple[float, float]) -> float:
    """Change of the residual from one number of layers to another, by its line in log layers, %."""
    low, high = on_line(np.log(layers), residual, np.log(ends))
    return 100 * float(high - low)
