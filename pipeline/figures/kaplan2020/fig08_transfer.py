"""Figure 8: loss on other texts by size, and by the validation loss along training and after."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import frame, marks, transfer
from pipeline.findings.data import Data, Row, estimate
from pipeline.findings.kaplan2020 import other_texts


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """The figure ``transfer`` with the largest model's course on each text in its right panel."""
    sizes = data["sizes"]
    transfer.draw(figure, sizes)
    right = figure.axes[1]
    looks = transfer.looks(sizes)
    courses = along_training(sizes)
    for text, rows in courses.items():
        if text in looks:
            right.plot([row["val_loss"] for row in rows], [row["loss"] for row in rows],
                       color=looks[text]["color"], lw=0.9, ls=(0, (1, 1.2)), zorder=2,
                       gid=marks.gid(right, rows[0]["cell"], f"{text}.along"))  # fmt: skip
    handles = [
        Line2D([], [], color=marks.GREY, marker="o", ls="none", ms=4, label="end of a run"),
        Line2D([], [], color=marks.GREY, lw=0.9, ls=(0, (1, 1.2)),
               label="largest model along training"),
    ]  # fmt: skip
    marks.legend_below(right, handles if courses else handles[:1], 2)
    if len(fits := other_texts.lines(sizes)) > 1:
        slope = estimate(*other_texts.mean_slope(fits))
        right.set_title(f"mean over texts: $s$ = {slope}")


def along_training(data: Data) -> dict[str, list[Row]]:
    """Text -> the largest model's longest run, scored along its training."""
    scored = {row["cell"] for row in data.text_curves if row["val_loss"] is not None}
    runs = [run for run in data.runs if run["cell"] in scored and run["included"]]
    if not runs:
        return {}
    own = max(runs, key=lambda run: (run["params"], run["tokens"]))
    found: dict[str, list[Row]] = {}
    for row in sorted(data.text_curves, key=lambda row: row["step"]):
        if row["cell"] == own["cell"] and row["val_loss"] is not None and row["step"] > 0:
            found.setdefault(row["corpus"], []).append(row)
    return found


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig08_transfer", draw)
