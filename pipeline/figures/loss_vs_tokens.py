"""L(D): loss against training tokens, with the power law fitted at the largest N."""

from __future__ import annotations

from matplotlib.figure import Figure

from pipeline.figures import frame
from pipeline.figures.one_variable import View, draw_view
from pipeline.findings.data import Data

VIEW = View("power_tokens", "tokens", "params", "N")


def draw(figure: Figure, data: Data) -> None:
    """Loss against D, one line for each N."""
    draw_view(figure, data, VIEW)


if __name__ == "__main__":
    frame.main("loss_vs_tokens", draw)
