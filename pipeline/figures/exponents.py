"""Every fitted exponent with its interval and number of runs, beside the published value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import frame, marks
from pipeline.findings.data import UNUSABLE, Data, Row, estimate, verdict

COLUMNS = {"value": 0.0, "runs": 0.45, "beside": 0.54}  # where the table's columns start

# The ends of an interval stand out of the value's point, however near they are.
VALUE: dict[str, Any] = {"marker": "o", "ms": 3, "ls": "none", "zorder": 3}
INTERVAL: dict[str, Any] = {"marker": "|", "ms": 8, "mew": 1.1, "lw": 1.4}
PUBLISHED: dict[str, Any] = {
    "marker": "D", "ls": "none", "mfc": "none", "mec": marks.INK, "mew": 0.8, "ms": 3.4
}  # fmt: skip
EXACT: dict[str, Any] = {
    "marker": "*", "ls": "none", "mfc": marks.INK, "mec": "white", "mew": 0.4, "ms": 7
}  # fmt: skip
BELOW = 0.27  # rows that another value stands below this study's


def draw(figure: Figure, data: Data) -> None:
    """A row for each exponent: a disc is this study's, a star exact, a hollow marker the paper's.

    Where the exact value is known, a published one of other data says nothing and is left out.
    """
    rows = [(law, p, row) for law, fit in data.fits.items() for p, row in fit.exponents]
    figure.set_size_inches(frame.WIDE, 1.0 + 0.26 * max(len(rows), 1))
    axes, table = figure.subplots(1, 2, width_ratios=(1, 1.5), sharey=True)
    table.axis("off")
    for index, (law, parameter, row) in enumerate(rows):
        known = math.isfinite(row["value"]) and row["status"] not in UNUSABLE
        if known:
            colour = marks.law_colour(law)
            axes.plot(row["value"], index, color=colour, gid=f"{law}.{parameter.name}", **VALUE)
            if row["low"] is not None and row["high"] is not None:
                axes.plot([row["low"], row["high"]], [index, index], color=colour, **INTERVAL)
        exact, published = data.truth(law).get(parameter.name), parameter.published
        if exact:
            axes.plot(exact["value"], index + BELOW, zorder=4, **EXACT)
        elif published:
            axes.plot(published[0], index + BELOW, **PUBLISHED)
        texts = {
            "value": estimate(row["value"], row["low"], row["high"]) if known else "no fit",
            "runs": f"{row['points']}",
            "beside": beside(row if known else None, exact, published),
        }
        _write(table, index, texts)
    level = next(iter(data.fits.values())).level if data.fits else 0.0
    heads = {"value": f"value [{100 * level:.3g} % interval]", "runs": "runs"}
    _write(table, -0.9, {**heads, "beside": "exact or published"}, color=marks.GREY)
    axes.set_yticks(range(len(rows)), [f"{law}  ${p.symbol}$" for law, p, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.set_xlabel("exponent (dimensionless)")
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.legend(
        handles=_handles(bool(data.known)), loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2
    )
    marks.doubts(figure, data.fits, 130)


def beside(row: Row | None, exact: Row | None, published: tuple[float, str] | None) -> str:
    """What stands beside an estimate: the exact value where it is known, else the paper's.

    Beside the exact one stands whether the interval of ``row``, None without a fit, holds it.
    """
    if exact:
        told = f", {verdict(row, exact['value'])}" if row else ""
        return f"{exact['value']:.3g} exact{told}"
    return f"{published[0]:g} ({published[1]})" if published else ""


def _write(table: Axes, y: float, texts: Mapping[str, str], **style: Any) -> None:
    for column, text in texts.items():
        table.text(
            COLUMNS[column], y, text, va="center", transform=table.get_yaxis_transform(), **style
        )


def _handles(known: bool) -> list[Any]:
    own = {**INTERVAL, "marker": "o", "ms": 3}
    handles: list[Any] = [Line2D([], [], color=marks.GREY, label="this study", **own)]
    if known:
        return [*handles, Line2D([], [], label="exact", **EXACT)]
    return [*handles, Line2D([], [], label="published, other data and sizes", **PUBLISHED)]


if __name__ == "__main__":
    frame.main("exponents", draw)
