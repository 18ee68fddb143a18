"""L(N, D) in the form of Hoffmann et al. (2022, eq. 2), over the grid of runs."""

from __future__ import annotations

from matplotlib.figure import Figure

from pipeline.figures import frame
from pipeline.figures.surface import draw_surface
from pipeline.findings.data import Data


def draw(figure: Figure, data: Data) -> None:
    """Loss against D for each N, and against N for each D, with the fitted surface."""
    draw_surface(figure, data, "chinchilla")


if __name__ == "__main__":
    frame.main("chinchilla_surface", draw)
