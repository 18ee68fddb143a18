"""The claims of Kaplan et al. 2020 (arXiv:2001.08361), and what is read to measure them.

Standard library only: every parse of the Snakefile reads this.
"""

from __future__ import annotations

from pipeline.findings.needs import Needs

TITLE = "Kaplan et al. 2020, Scaling Laws for Neural Language Models (arXiv:2001.08361)"
TOPICS = (
    "power_laws", "data", "batches", "allocation", "shapes", "families", "transfer", "positions",
    "training",
)  # fmt: skip
_CURVES = ("runs", "curves")
READS: dict[str, Needs] = {
    "sizes": Needs(
        (*_CURVES, "text_curves", "evaluations"),
        also=("power_params", "power_compute", "power_compute_min", "kaplan_steps", "transfer"),
    ),
    "seeds": Needs(("runs",)),
    "data": Needs(("runs",), also=("power_tokens", "kaplan")),
    "batches": Needs((*_CURVES, "critical_batches", "level_replicates"), also=("critical_batch",)),
    "shapes": Needs(("runs", "evaluations")),
    "depths": Needs(("runs",)),
    "lstm": Needs(_CURVES),
    "recurrent": Needs(("runs",)),
    "short": Needs(_CURVES),
    "schedules": Needs(("runs",)),
}
