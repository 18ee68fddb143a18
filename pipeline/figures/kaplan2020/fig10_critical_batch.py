"""Figure 10: the critical batch size against loss, with the noise scale and the law."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from pipeline.figures import critical_batch, frame
from pipeline.figures.kaplan2020 import headings
from pipeline.findings.data import Data


def draw(figure: Figure, data: Mapping[str, Data]) -> None:
    """The figure ``critical_batch``, with the paper's constants under the fitted ones."""
    batches = data["batches"]
    critical_batch.draw(figure, batches)
    axes = figure.axes[0]
    fit = batches.fits[critical_batch.LAW]
    paper = headings.published(fit, [p.name for p, _ in fit.estimates])
    axes.set_title(f"{axes.get_title(loc='left')}\n{paper}", linespacing=1.35)


if __name__ == "__main__":
    frame.paper_main("kaplan2020", "fig10_critical_batch", draw)
