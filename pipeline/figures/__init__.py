"""The figures of a study: what each is called and what it is drawn from.

Standard library only: every parse of the Snakefile reads this registry. A figure's module has the
figure's name, ``pipeline/figures/<name>.py``; its caption is ``workflow/report/<name>.rst``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.approaches import APPROACHES
from pipeline.laws import SURFACES, named

TABLES = (
    "runs", "curves", "text_curves", "evaluations", "predictions", "backtest", "ranking", "optima",
    "allocations", "plan", "sensitivity", "known", "critical_batches", "task_curves", "saturation",
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One figure: its heading, its category in the report, and the inputs it is drawn from.

    ``laws`` must all be fitted; of ``any_laws`` at least one must, and all that are get drawn. An
    ``any_laws`` of ``("*",)`` stands for every law of the study. Of ``approaches``, where there are
    any, the study must take at least one. Fits of ``also`` are drawn where there are any.

    A fit of one text or task, transfer@code, is known by the law before the @.
    """

    title: str
    category: str
    tables: tuple[str, ...]
    laws: tuple[str, ...] = ()
    any_laws: tuple[str, ...] = ()
    approaches: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def takes_fits(self) -> bool:
        """Whether any law is drawn, needed or not."""
        return bool(self.laws or self.any_laws or self.also)

    def laws_among(self, fitted: Collection[str]) -> tuple[str, ...] | None:
        """The fits this figure is drawn from, in the order of ``fitted``; None if some is missing.

        A figure that needs no law gives an empty tuple.
        """
        if any(law not in fitted for law in self.laws):
            return None
        wanted = {*self.laws, *self.any_laws, *self.also}
        chosen = tuple(law for law in fitted if named(law) in wanted or "*" in wanted)
        return None if self.any_laws and not chosen else chosen


# Laws of the loss with a floor.
FLOORED = (
    "power_floor_params", "power_floor_tokens", "power_floor_compute", "broken_params",
    "broken_tokens", "broken_compute", "m4_tokens", "chinchilla", "overtraining", "muennighoff",
    "overfit_penalty", "bounded", "precision",
)  # fmt: skip

FIGURES: dict[str, Figure] = {
    "learning_curves": Figure("Learning curves", "Learning", ("runs", "curves")),
    "loss_by_position": Figure("Loss by position in the context", "Learning", ("runs", "curves")),
    "task_curves": Figure(
        "Errors on tasks along the curves", "Learning", ("runs", "task_curves", "saturation")
    ),
    "transfer": Figure(
        "Transfer to other texts", "Learning", ("runs", "evaluations"), also=("transfer",)
    ),
    "loss_vs_params": Figure(
        "Loss against model size", "Laws", ("runs", "known"), ("power_params",)
    ),
    "loss_vs_tokens": Figure("Loss against data", "Laws", ("runs", "known"), ("power_tokens",)),
    "loss_vs_compute": Figure("Loss against compute", "Laws", ("runs",), ("power_compute",)),
    "kaplan_surface": Figure("L(N, D), form of Kaplan et al.", "Laws", ("runs",), ("kaplan",)),
    "chinchilla_surface": Figure(
        "L(N, D), form of Hoffmann et al.", "Laws", ("runs",), ("chinchilla",)
    ),
    "floor": Figure("Fitted floors under the losses", "Laws", ("runs", "known"), any_laws=FLOORED),
    "exponents": Figure("Fitted exponents", "Laws", ("runs", "known"), any_laws=("*",)),
    "critical_batch": Figure(
        "Critical batch size against loss", "Laws", ("critical_batches",), ("critical_batch",)
    ),
    "batch_fronts": Figure(
        "Steps against tokens by batch size",
        "Laws",
        ("critical_batches",),
        also=("critical_batch",),
    ),
    "tasks": Figure(
        "Error on tasks against loss", "Laws", ("runs",), any_laws=("task_sigmoid", "gadre_error")
    ),
    "backtest": Figure(
        "Error on runs larger than fitted", "Checks", ("backtest", "ranking"), any_laws=("*",)
    ),
    "residuals": Figure(
        "Observed against predicted", "Checks", ("runs", "backtest", "ranking"), any_laws=SURFACES
    ),
    "sensitivity": Figure(
        "Exponents under other choices", "Checks", ("sensitivity",), any_laws=("*",)
    ),
    "plan": Figure("Planned runs", "Plan", ("runs", "plan"), any_laws=SURFACES),
    "iso_loss": Figure("Iso-loss contours", "Plan", ("runs",), any_laws=SURFACES),
    "allocation": Figure(
        "Compute-optimal allocation", "Plan", ("runs", "predictions"), any_laws=SURFACES
    ),
    "isoflop": Figure(
        "IsoFLOP curves",
        "Plan",
        ("runs", "optima", "allocations", "ranking"),
        any_laws=SURFACES,
        approaches=tuple(name for name, entry in APPROACHES.items() if entry.isoflop),
    ),
    "frontier": Figure(
        "Optimal size and tokens by three approaches",
        "Plan",
        ("optima", "allocations", "ranking"),
        any_laws=SURFACES,
        approaches=tuple(APPROACHES),
    ),
}


def drawable(
    fitted: Collection[str], evaluated: bool, trained: bool = True,
    approaches: Collection[str] = tuple(APPROACHES), scanned: bool = False,
    followed: bool = False,
) -> list[str]:  # fmt: skip
    """Names of the figures that a study with these fitted laws allows, in the registry's order.

    ``evaluated`` says whether the study's models are scored on other texts, ``trained`` whether it
    trains any, and so has curves; ``approaches`` are those it takes to the compute-optimal split;
    ``scanned`` says whether it measures the critical batch size, ``followed`` whether tasks are
    scored along its curves.
    """
    there = {
        "evaluations": evaluated,
        "curves": trained,
        "critical_batches": scanned,
        "task_curves": followed,
    }
    return [
        name
        for name, figure in FIGURES.items()
        if figure.laws_among(fitted) is not None
        and all(there.get(table, True) for table in figure.tables)
        and (not figure.approaches or set(figure.approaches) & set(approaches))
    ]
