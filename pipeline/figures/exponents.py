"""Every fitted exponent with its interval and number of runs, beside the published value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import frame, marks
from pipeline.figures.data import UNUSABLE, Data, estimate

COLUMNS = {"value": 0.0, "runs": 0.42, "published": 0.53}  # where the table's columns start


def draw(figure: Figure, data: Data) -> None:
    """A row for each exponent: a filled marker is this study's, a hollow one the paper's."""
    rows = [(law, p, row) for law, fit in data.fits.items() for p, row in fit.exponents]
    figure.set_size_inches(frame.WIDE, 1.0 + 0.26 * max(len(rows), 1))
    axes, table = figure.subplots(1, 2, width_ratios=(3, 5), sharey=True)
    table.axis("off")
    for index, (law, parameter, row) in enumerate(rows):
        known = math.isfinite(row["value"]) and row["status"] not in UNUSABLE
        if known:
            colour = marks.law_colour(law)
            axes.plot(row["value"], index, "o", color=colour, ms=5, gid=f"{law}.{parameter.name}")
            if row["low"] is not None and row["high"] is not None:
                axes.plot([row["low"], row["high"]], [index, index], color=colour, lw=2)
        published = parameter.published
        if published:
            axes.plot(published[0], index, "D", mfc="none", mec=marks.INK, mew=0.9, ms=4.4)
        texts = {
            "value": estimate(row["value"], row["low"], row["high"]) if known else "no fit",
            "runs": f"{row['points']}",
            "published": f"{published[0]:g} ({published[1]})" if published else "",
        }
        _write(table, index, texts)
    level = next(iter(data.fits.values())).level if data.fits else 0.0
    heads = {"value": f"value [{100 * level:.3g} % interval]", "runs": "runs"}
    _write(table, -0.9, {**heads, "published": "published"}, color=marks.GREY)
    axes.set_yticks(range(len(rows)), [f"{law}  ${p.symbol}$" for law, p, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.set_xlabel("exponent (dimensionless)")
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.legend(handles=_handles(), loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2)
    marks.doubts(figure, data.fits, 130)


def _write(table: Axes, y: float, texts: Mapping[str, str], **style: Any) -> None:
    for column, text in texts.items():
        table.text(
            COLUMNS[column], y, text, va="center", transform=table.get_yaxis_transform(), **style
        )


def _handles() -> list[Any]:
    return [
        Line2D([], [], marker="o", ms=5, color=marks.GREY, lw=2, label="this study"),
        Line2D([], [], marker="D", ls="none", mfc="none", mec=marks.INK, mew=0.9, ms=4.4,
               label="published, other data and sizes"),
    ]  # fmt: skip


if __name__ == "__main__":
    frame.main("exponents", draw)
