"""Figure 18: steps against tokens to the same loss, with the fitted hyperbolas of eq. 5.1."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from pipeline.figures import batch_fronts, frame
from pipeline.findings.data import Data


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """A panel for each size of the scan of batch sizes."""
    batch_fronts.draw(figure, data["batches"])


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig18_batch_fronts", draw)
