"""Loss against the token's position in the context, for each model size."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from pipeline.figures import axes as scales
from pipeline.figures import frame, marks
from pipeline.findings.data import Data, Row


def draw(figure: Figure, data: Data) -> None:
    """One line for each size at its largest D; bins 1, 2, 3-4, 5-8, ... stand evenly spaced."""
    figure.set_size_inches(frame.COLUMN, 2.9)
    axes = figure.subplots()
    trained = [run for run in data.runs if run["source"] == "native"]
    colours = marks.SizeColours(run["params"] for run in trained)
    bins = 1
    runs = [run for run in largest_runs(trained) if _final(data, run)]
    for run in runs:
        losses = _final(data, run)
        bins = max(bins, len(losses))
        axes.plot(
            range(len(losses)), losses, color=colours(run["params"]), marker="o", ms=3.2,
            mec="white", mew=0.4, gid=run["cell"],
        )  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(range(bins)))
    axes.set_xticks(range(bins), [f"{2**k}" for k in range(bins)])
    axes.set_xlabel("position in the context (tokens; bins 1, 2, 3–4, 5–8, …)")
    scales.loss_axis(axes, label="validation " + scales.LOSS)
    counts = sorted({run["tokens"] for run in runs})
    if counts:
        ends = " to ".join(dict.fromkeys(scales.count(d) for d in (counts[0], counts[-1])))
        axes.set_title(f"after $D$ = {ends} tokens; {len(runs)} runs")
    colours.key(figure, (axes,))


def largest_runs(runs: list[Row]) -> list[Row]:
    """The runs of each size at its largest token count, diverged runs aside."""
    finished = [run for run in runs if run["status"] == "finished"]
    most: dict[int, int] = {}
    for run in finished:
        most[run["params"]] = max(run["tokens"], most.get(run["params"], 0))
    return [run for run in finished if run["tokens"] == most[run["params"]]]


def _final(data: Data, run: Row) -> list[float]:
    """Loss in each position bin at the end of a run; empty where it was not measured."""
    rows = data.curves.get(run["cell"], [])
    return (rows[-1]["loss_by_position"] or []) if rows else []


if __name__ == "__main__":
    frame.main("loss_by_position", draw)
