"""Which source files a module is made of: itself and all of the project that it imports.

Standard library only. Rules of cheap stages take these files as inputs, so that an edit reruns
what used the edited module and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "pipeline"


def _file(root: Path, module: str) -> Path | None:
    path = root / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__main__.py"):
        if candidate.is_file():
            return candidate
    front = path / "__init__.py"
    return front if front.is_file() and _gathers(front) else None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _gathers(front: Path) -> bool:
    """Whether a package's __init__ hands on what its modules hold, which ``__all__`` then lists.

    Any other is a registry: what rules take from it stands in the rule.
    """
    return "\n__all__ = " in front.read_text(encoding="utf-8")


@cache
def _named(path: Path) -> tuple[Path, ...]:
    """The files beside a module that it names in a string: a style, a template."""
    texts = [node.value for node in ast.walk(_tree(path)) if isinstance(node, ast.Constant)]
    beside = {p.name: p for p in path.parent.iterdir() if p.is_file() and p.suffix != ".py"}
    return tuple(beside[text] for text in texts if isinstance(text, str) and text in beside)


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Every module of the project that a file may import, at its top or within a function."""
    names: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


def _reach(root: Path, module: str, seen: set[Path]) -> None:
    """Add the files behind a module to those seen."""
    path = _file(root, module)
    if path is None or path in seen:
        return
    seen.add(path)
    seen.update(_named(path))
    for name in _imported(path):
        _reach(root, name, seen)


def closure(root: Path, modules: Iterable[str]) -> list[str]:
    """The files behind ``modules`` under ``root``, sorted; relative to the current folder if in it.

    Raises FileNotFoundError where a module has no file.
    """
    seen: set[Path] = set()
    for module in modules:
        if _file(root, module) is None:
            raise FileNotFoundError(f"{module}: there is no such module under {root}")
        _reach(root, module, seen)
    here = Path.cwd()
    return sorted(str(p.relative_to(here) if p.is_relative_to(here) else p) for p in seen)
