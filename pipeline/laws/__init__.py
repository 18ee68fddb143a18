"""The registry of scaling laws. A new law is one module and one line here.

Importing this package loads no law and nothing outside the standard library, because the
workflow reads the names each time it is parsed.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.laws.base import Law

LAWS: dict[str, str] = {
    "power_params": "pipeline.laws.power_params",
    "power_tokens": "pipeline.laws.power_tokens",
    "power_compute": "pipeline.laws.power_compute",
    "kaplan": "pipeline.laws.kaplan",
    "chinchilla": "pipeline.laws.chinchilla",
}
# The laws of N and D, which have a compute optimum and can be planned with.
SURFACES = ("kaplan", "chinchilla")


def law(name: str) -> Law:
    """The law called ``name``; raises KeyError, with the nearest known name, if there is none."""
    if name not in LAWS:
        near = difflib.get_close_matches(name, LAWS, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(LAWS)}"
        raise KeyError(f"law: {name!r} is not in the registry; {hint}")
    return importlib.import_module(LAWS[name]).LAW
