"""The figures of Kaplan et al. 2020 (arXiv:2001.08361), from the experiments of a replication.

Standard library only: every parse of the Snakefile reads this registry.
"""

from __future__ import annotations

from pipeline.figures.paper import Needs, PaperFigure

FIGURES: dict[str, PaperFigure] = {
    "fig01_three_power_laws": PaperFigure(
        "Loss against compute, data and model size",
        {
            "sizes": Needs(("runs", "curves"), ("power_params",), ("power_compute_min",)),
            "data": Needs(("runs",), ("power_tokens",)),
        },
    ),
}
