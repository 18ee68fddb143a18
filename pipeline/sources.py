"""Which source files a module is made of: itself and all of the project that it imports.

Standard library only. Rules of cheap stages take these files as inputs, so that an edit reruns
what used the edited module and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "pipeline"
# An import statement, as formatters leave it: a package and the names from it, or modules. Parsing
# whole modules would say the same, and take most of the time in which Snakemake starts.
IMPORT = re.compile(
    r"^[ \t]*(?:from ([\w.]+) import (\([^)]*\)|[^(\n#]+)|import ([^\n#]+))", re.MULTILINE
)


@cache
def _file(root: Path, module: str) -> Path | None:
    path = root / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__main__.py"):
        if candidate.is_file():
            return candidate
    front = path / "__init__.py"
    return front if front.is_file() and _gathers(front) else None


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _beside(folder: Path) -> dict[str, Path]:
    """The files of a folder that are no modules, by name."""
    return {p.name: p for p in folder.iterdir() if p.is_file() and p.suffix != ".py"}


@cache
def _gathers(front: Path) -> bool:
    """Whether a package's __init__ hands on what its modules hold, which ``__all__`` then lists.

    Any other is a registry: what rules take from it stands in the rule.
    """
    return "\n__all__ = " in front.read_text(encoding="utf-8")


@cache
def _named(path: Path) -> tuple[Path, ...]:
    """The files beside a module that it names in a string: a style, a template."""
    quoted = (f'"{name}"' for name in _beside(path.parent))
    return tuple(path.with_name(name[1:-1]) for name in quoted if name in _text(path))


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Every module of the project that a file may import, at its top or within a function."""
    names: list[str] = []
    for package, listed, alone in IMPORT.findall(_text(path)):
        parts = (part.split() for part in (listed.strip("()") or alone).split(","))
        words = [part[0] for part in parts if part]  # what follows is "as", and another name
        names += [package, *(f"{package}.{word}" for word in words)] if package else words
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


@cache
def _behind(root: Path, module: str) -> frozenset[Path]:
    """The files behind a module; none where it has no file."""
    seen, todo = set[Path](), [module]
    while todo:
        path = _file(root, todo.pop())
        if path is not None and path not in seen:
            seen.add(path)
            seen.update(_named(path))
            todo += _imported(path)
    return frozenset(seen)


def closure(root: Path, modules: Iterable[str]) -> list[str]:
    """The files behind ``modules`` under ``root``, sorted; relative to the current folder if in it.

    Raises FileNotFoundError where a module has no file.
    """
    seen: set[Path] = set()
    for module in modules:
        if _file(root, module) is None:
            raise FileNotFoundError(f"{module}: there is no such module under {root}")
        seen |= _behind(root, module)
    here = Path.cwd()
    return sorted(str(p.relative_to(here) if p.is_relative_to(here) else p) for p in seen)
