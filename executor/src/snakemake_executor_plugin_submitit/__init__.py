"""Snakemake executor: jobs run through submitit, on SLURM or on this machine.

The names below are what Snakemake looks for in an executor plugin. They are imported on first
use, so that a job, which needs the module ``runner`` alone, starts without loading Snakemake.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_FOUND_IN = {"Executor": "executor", "ExecutorSettings": "settings", "common_settings": "settings"}


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FOUND_IN[name]}"), name)
