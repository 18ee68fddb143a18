"""The figures of Kaplan et al. 2020 (arXiv:2001.08361), from the experiments of a replication.

Standard library only: every parse of the Snakefile reads this registry.
"""

from __future__ import annotations

from pipeline.figures.paper import Needs, PaperFigure

CURVES = ("runs", "curves")
BATCHES = Needs((), ("critical_batch",))  # what corrects curves for their batch size

FIGURES: dict[str, PaperFigure] = {
    "fig01_three_power_laws": PaperFigure(
        "Loss against compute, data and model size",
        {
            "sizes": Needs(CURVES, ("power_params", "power_compute_min")),
            "data": Needs(("runs",), ("power_tokens",)),
            "batches": BATCHES,
        },
    ),
    "fig02_sample_efficiency": PaperFigure(
        "Learning curves against tokens and compute", {"sizes": Needs(CURVES)}
    ),
    "fig03_growing_budget": PaperFigure(
        "What a growing budget is spent on",
        {"sizes": Needs((), ("kaplan_steps",)), "batches": BATCHES},
    ),
    "fig04_size_with_data_or_steps": PaperFigure(
        "Loss against data and against steps, by model size",
        {
            "data": Needs(("runs",), ("kaplan",)),
            "sizes": Needs(CURVES, ("kaplan_steps",)),
            "batches": BATCHES,
        },
    ),
    "fig05_shape": PaperFigure(
        "Loss by the shape of a model",
        {"shapes": Needs(("runs",))},
        {"sizes": Needs((), ("power_compute_min",))},
    ),
    "fig06_embeddings": PaperFigure(
        "Loss against size with and without embeddings",
        {"depths": Needs(("runs",)), "sizes": Needs(("runs",))},
    ),
    "fig07_lstm": PaperFigure(
        "LSTMs beside transformers", {"lstm": Needs(CURVES), "sizes": Needs(CURVES)}
    ),
    "fig08_transfer": PaperFigure(
        "Transfer to other texts",
        {"sizes": Needs(("runs", "evaluations", "text_curves"), (), ("transfer",))},
    ),
    "fig09_overfitting": PaperFigure(
        "How far small datasets raise the loss", {"data": Needs(("runs",), ("kaplan",))}
    ),
    "fig10_critical_batch": PaperFigure(
        "Critical batch size against loss",
        {"batches": Needs(("runs", "curves", "critical_batches"), ("critical_batch",))},
    ),
    "fig11_fixed_compute": PaperFigure(
        "Loss against size at fixed compute and at fixed steps",
        {"sizes": Needs(CURVES, ("kaplan_steps",)), "batches": BATCHES},
    ),
    "fig12_other_sizes": PaperFigure(
        "What a size other than the best costs",
        {"sizes": Needs(CURVES, ("kaplan_steps",)), "batches": BATCHES},
    ),
}
