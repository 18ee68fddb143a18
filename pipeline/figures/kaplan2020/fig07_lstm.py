"""Figure 7: LSTMs beside transformers, by size and by position in the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.figures.kaplan2020.fig06_embeddings import SAME_TOKENS
from pipeline.findings.data import Data, Row

PAIRS = 4  # sizes that the right panel has room for
LAYERS = (marks.VERMILLION, marks.ORANGE, marks.PURPLE, marks.SKY)
Pair = tuple[Row, Row]  # transformer and LSTM of about one size


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Loss against N by layers; loss in position bins of pairs of about the same size."""
    figure.set_size_inches(frame.WIDE, 3.4)
    left, right = figure.subplots(1, 2)
    left.set_label("params")
    right.set_label("position")
    lstms, transformers = compared(data["lstm"].runs, data["sizes"].runs)
    handles = [_line(left, transformers, marks.INK, "o", "transformer")]
    depths = sorted({run["n_layer"] for run in lstms})
    for place, depth in enumerate(depths):
        own = [run for run in lstms if run["n_layer"] == depth]
        name = f"LSTM, {depth} layer{'s' if depth > 1 else ''}"
        colour = LAYERS[place % len(LAYERS)]
        handles.append(_line(left, own, colour, marks.MARKERS[1 + place], name))
    scales.count_axis(left, "x", scales.PARAMS)
    scales.loss_axis(left, label=data["lstm"].measured_label)
    marks.legend_below(left, handles, 2)
    shown = pairs(transformers, lstms)
    _positions(right, shown, data)
    paired = {run["cell"] for run, _ in shown}
    alone = [scales.count(run["params"]) for run in transformers if run["cell"] not in paired]
    if alone and shown:
        right.set_title(f"without an LSTM of their size, not shown: {', '.join(alone)}")


def compared(lstms: Sequence[Row], transformers: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The LSTMs, and the transformers trained on as many tokens, by size."""
    counts = Counter(run["tokens"] for run in lstms if run["included"])
    tokens = counts.most_common(1)[0][0] if counts else 0
    return tuple(
        sorted(
            (
                run for run in runs
                if run["included"] and run["loss"] is not None
                and run["tokens"] <= SAME_TOKENS * tokens <= SAME_TOKENS**2 * run["tokens"]
            ),
            key=lambda run: run["params"],
        )
        for runs in (lstms, transformers)
    )  # type: ignore[return-value]  # fmt: skip


def pairs(transformers: Sequence[Row], lstms: Sequence[Row]) -> list[Pair]:
    """Each transformer with the nearest LSTM, the nearest such pairs only, smallest first."""
    found: dict[str, tuple[float, Pair]] = {}
    for run in transformers:
        for other in lstms:
            gap = abs(np.log(other["params"] / run["params"]))
            if other["cell"] not in found or gap < found[other["cell"]][0]:
                found[other["cell"]] = gap, (run, other)
    best: dict[str, tuple[float, Pair]] = {}
    for gap, (run, other) in found.values():
        if run["cell"] not in best or gap < best[run["cell"]][0]:
            best[run["cell"]] = gap, (run, other)
    kept = [pair for _, pair in sorted(best.values(), key=lambda item: item[0])[:PAIRS]]
    return sorted(kept, key=lambda pair: pair[0]["params"])


def _line(axes: Axes, runs: Sequence[Row], colour: str, marker: str, name: str) -> Line2D:
    axes.plot([r["params"] for r in runs], [r["loss"] for r in runs], color=colour, lw=0.8)
    for run in runs:
        marks.point(axes, run["params"], run["loss"], run, colour, marker=marker)
    return Line2D([], [], color=colour, marker=marker, mec="white", mew=0.5, lw=0.8, label=name)


def _positions(axes: Axes, shown: Sequence[Pair], data: Mapping[str, Data]) -> None:
    """Transformers solid, LSTMs dashed, both in the colour of the transformer's size."""
    colours = marks.SizeColours(run["params"] for run, _ in shown)
    bins = 1
    looks: tuple[dict[str, Any], ...] = ({"marker": "o"}, {"marker": "s", "ls": (0, (4, 2))})
    for pair in shown:
        for run, name, look in zip(pair, ("sizes", "lstm"), looks, strict=True):
            losses = final(data[name], run)
            bins = max(bins, len(losses))
            axes.plot(range(len(losses)), losses, color=colours(pair[0]["params"]), ms=3.2,
                      mec="white", mew=0.4, gid=marks.gid(axes, run["cell"]), **look)  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(range(bins)))
    axes.set_xticks(range(bins), [f"{2**k}" for k in range(bins)])
    axes.set_xlabel("position in the context, bins 1, 2, 3–4, 5–8, … (tokens)")
    scales.loss_axis(axes, label="")
    grey: dict[str, Any] = {"color": marks.GREY, "ms": 3.2, "mec": "white", "mew": 0.4}
    handles = [
        Line2D([], [], label="transformer", **grey, **looks[0]),
        Line2D([], [], label="LSTM of the nearest size", **grey, **looks[1]),
    ]
    marks.legend_below(axes, handles, 2, 3.2)
    _key(axes, shown, colours)


def _key(axes: Axes, shown: Sequence[Pair], colours: marks.SizeColours) -> None:
    """The sizes of each pair right of the panel: that of the transformer and that of the LSTM."""
    handles = [
        Line2D([], [], color=colours(run["params"]), lw=2.2,
               label=f"{scales.count(run['params'])}, {scales.count(other['params'])}")
        for run, other in reversed(shown)
    ]  # fmt: skip
    listed = Legend(
        axes, handles, [str(handle.get_label()) for handle in handles], title="$N$, LSTM's",
        loc="upper left", bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip
    axes.add_artist(listed)
    listed.set_clip_on(False)  # else the layout leaves it no room


def final(data: Data, run: Row) -> list[float]:
    """Loss in each position bin at the end of a run; empty where it was not measured."""
    rows = data.curves.get(run["cell"], [])
    return (rows[-1]["loss_by_position"] or []) if rows else []


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig07_lstm", draw)
