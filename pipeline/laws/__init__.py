"""The registry of scaling laws. A new law is one module and one name here.

Importing this package loads no law and nothing outside the standard library, because the
workflow reads the names each time it is parsed.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.laws.base import Law

# Laws of one variable.
CURVES = ("power_params", "power_tokens", "power_compute")
# Laws of N and D, which have a compute optimum and can be planned with.
SURFACES = ("kaplan", "chinchilla")
LAWS: dict[str, str] = {name: f"{__name__}.{name}" for name in (*CURVES, *SURFACES)}


def law(name: str) -> Law:
    """The law called ``name``; raises KeyError, with the nearest known name, if there is none."""
    if name not in LAWS:
        near = difflib.get_close_matches(name, LAWS, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(LAWS)}"
        raise KeyError(f"law: {name!r} is not in the registry; {hint}")
    return importlib.import_module(LAWS[name]).LAW
