"""YAML of which each mapping holds a key once: YAML's own reader silently takes the last."""

from __future__ import annotations

from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"  # <<, which may stand several times and takes no place of its own


class RepeatedKeyError(ValueError):
    """A key that a mapping holds twice; ``place`` is where it stands, ``lines`` count from one."""

    def __init__(self, name: str, place: str, lines: tuple[int, int]):
        super().__init__(f"{place}: {name!r} is a key of line {lines[0]} and of line {lines[1]}")
        self.name, self.place, self.lines = name, place, lines


def load(text: str) -> Any:
    """The value of a YAML document, as safe as yaml.safe_load.

    Raises RepeatedKeyError on a key that stands twice, and yaml.YAMLError on what is no YAML.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated(node, "", set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_repeated(node: yaml.Node, place: str, seen: set[int]) -> None:
    """Raise RepeatedKeyError on the first repeated key; ``seen`` holds the nodes looked at."""
    if id(node) in seen:  # an alias of a node that has an anchor
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _refuse_repeated(item, f"{place}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            own = f"{place}.{key.value}".lstrip(".")
            line, known = key.start_mark.line + 1, (key.tag, key.value)
            if key.tag != MERGE and known in lines:
                raise RepeatedKeyError(key.value, own, (lines[known], line))
            lines[known] = line
            _refuse_repeated(value, own, seen)
