"""L(N): loss against model size, with the power law fitted at the largest D."""

from __future__ import annotations

from matplotlib.figure import Figure

from pipeline.figures import frame
from pipeline.figures.one_variable import View, draw_view
from pipeline.findings.data import Data

VIEW = View("power_params", "params", "tokens", "D")


def draw(figure: Figure, data: Data) -> None:
    """Loss against N, one line for each D."""
    draw_view(figure, data, VIEW)


if __name__ == "__main__":
    frame.main("loss_vs_params", draw)
