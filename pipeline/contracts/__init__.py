"""The typed Parquet tables through which the stages meet, and the only way to read or write them.

Each schema carries its name and version in the file's metadata, and each column its unit. A file
that was cut short, belongs to another contract, or lacks a column is refused by name; only columns
that came later may be missing, and read as what was meant before them, or as null.

The schemas stand in one module for each stage, their columns in ``columns``; this package hands
them on.
"""

from pipeline.contracts.analysis import (
    ALLOCATIONS,
    BACKTEST,
    OPTIMA,
    PREDICTIONS,
    RANKING,
    SATURATION,
    SENSITIVITY,
)
from pipeline.contracts.batches import BRANCHES, CRITICAL_BATCHES, LEVEL_REPLICATES
from pipeline.contracts.columns import VERSION
from pipeline.contracts.comparison import COMPARISON
from pipeline.contracts.corpus import MANIFEST
from pipeline.contracts.fits import BOOTSTRAP, PARAMETERS, POINTS
from pipeline.contracts.planning import NEXT_CELLS, PLAN, SCORE
from pipeline.contracts.tables import ContractError, read, table, told, write
from pipeline.contracts.training import (
    CURVE,
    CURVES,
    EVALUATION,
    EVALUATIONS,
    KNOWN,
    RUN,
    RUNS,
    TASK_CURVES,
    TASKS,
    TEXT_CURVES,
)

SCHEMAS = {
    schema.metadata[b"contract"].decode(): schema
    for schema in (
        MANIFEST, CURVE, CURVES, TEXT_CURVES, RUN, RUNS, EVALUATION, EVALUATIONS, TASKS, KNOWN,
        PARAMETERS, BOOTSTRAP, POINTS, PREDICTIONS, BACKTEST, RANKING, SCORE, PLAN, NEXT_CELLS,
        OPTIMA, ALLOCATIONS, SENSITIVITY, CRITICAL_BATCHES, BRANCHES, COMPARISON, TASK_CURVES,
        SATURATION, LEVEL_REPLICATES,
    )
}  # fmt: skip

__all__ = [
    "ALLOCATIONS",
    "BACKTEST",
    "BOOTSTRAP",
    "BRANCHES",
    "COMPARISON",
    "CRITICAL_BATCHES",
    "CURVE",
    "CURVES",
    "EVALUATION",
    "EVALUATIONS",
    "KNOWN",
    "LEVEL_REPLICATES",
    "MANIFEST",
    "NEXT_CELLS",
    "OPTIMA",
    "PARAMETERS",
    "PLAN",
    "POINTS",
    "PREDICTIONS",
    "RANKING",
    "RUN",
    "RUNS",
    "SATURATION",
    "SCHEMAS",
    "SCORE",
    "SENSITIVITY",
    "TASKS",
    "TASK_CURVES",
    "TEXT_CURVES",
    "VERSION",
    "ContractError",
    "read",
    "table",
    "told",
    "write",
]
