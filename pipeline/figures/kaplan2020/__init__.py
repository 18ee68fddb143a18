"""The figures of Kaplan et al. 2020 (arXiv:2001.08361), from the experiments of a replication.

Standard library only: every parse of the Snakefile reads this registry.
"""

from __future__ import annotations

from pipeline.figures.paper import PaperFigure
from pipeline.findings.needs import Needs

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
    "fig13_compute_corrected": PaperFigure(
        "Loss against compute, corrected to small batches and as spent",
        {
            "sizes": Needs(("runs", "curves"), ("power_compute_min",)),
            "batches": Needs(laws=("critical_batch",)),
        },
    ),
    "fig14_optimal_size_and_steps": PaperFigure(
        "The best size and the fewest steps of a compute budget",
        {
            "sizes": Needs(("runs", "curves"), ("kaplan_steps",)),
            "batches": Needs(laws=("critical_batch",)),
        },
    ),
    "fig15_contradiction": PaperFigure(
        "Where the compute frontier outruns its data",
        {
            "sizes": Needs(("runs", "curves"), ("power_compute_min", "kaplan_steps")),
            "data": Needs(laws=("power_tokens",)),
            "batches": Needs(laws=("critical_batch",)),
        },
    ),
    "fig16_early_stopping": PaperFigure(
        "When early stopping stops, and curves on subsets",
        {
            "sizes": Needs(laws=("kaplan_steps",)),
            "data": Needs(("runs", "curves"), ("kaplan",)),
            "batches": BATCHES,
        },
    ),
    "fig17_recurrent": PaperFigure(
        "Recurrent transformers beside plain ones",
        {"recurrent": Needs(("runs",)), "sizes": Needs(("runs",))},
        {"depths": Needs(("runs",))},
    ),
    "fig18_batch_fronts": PaperFigure(
        "Steps against tokens to the same loss",
        {"batches": Needs(("critical_batches",))},
    ),
    "fig19_sample_efficiency": PaperFigure(
        "Steps and tokens to a loss by model size",
        {
            "sizes": Needs(("runs", "curves")),
            "batches": Needs(laws=("critical_batch",)),
        },
    ),
    "fig20_loss_by_position": PaperFigure(
        "Loss by position in the context, of sizes and along training",
        {"sizes": Needs(("runs", "curves"))},
    ),
    "fig21_position_by_size": PaperFigure(
        "Loss at single positions by model size, in two contexts",
        {"sizes": Needs(("runs", "curves")), "short": Needs(("runs", "curves"))},
    ),
    "fig22_schedules": PaperFigure(
        "Learning-rate schedules and their losses",
        {"schedules": Needs(("runs",))},
    ),
    "fig23_power_or_logarithm": PaperFigure(
        "A power law or a logarithm of model size",
        {"sizes": Needs(("runs", "backtest"), ("power_params", "log_params"))},
    ),
    "fig24_transfer_by_depth": PaperFigure(
        "Loss on other texts by depth",
        {"shapes": Needs(("runs", "evaluations"))},
        {"sizes": Needs(("runs", "evaluations"))},
    ),
    "recipe_staircase": PaperFigure(
        "From the paper's recipe to a tuned one: the exponent of the best size",
        {
            f"recipe_{step}": Needs(("optima", "allocations"))
            for step in ("paper", "head", "warmup", "decay", "tuned")
        },
    ),
}
