"""Figure 1: loss against compute, dataset size and model size, each with its power law."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from pipeline.figures import frame
from pipeline.figures.data import Data


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """Three panels: curves against compute, the largest model against D, the ladder against N."""
    raise NotImplementedError


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig01_three_power_laws", draw)
