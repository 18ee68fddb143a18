"""Every key of a config as a Markdown page: ``python -m pipeline.config.page > docs/config.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.schema import schema


def _kind(rule: Mapping[str, Any]) -> str:
    """The type of a value, its alternatives joined."""
    if "type" in rule:
        return str(rule["type"])
    # A number may also be written as text; that is said once, above the table.
    kinds = [branch.get("type", "number") for branch in rule["anyOf"] if "pattern" not in branch]
    return " or ".join(kinds)


def _rows(rule: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Lines of the key table below one mapping of the schema."""
    for key, value in rule.get("properties", {}).items():
        target, path = value, f"{prefix}{key}"
        if "$ref" in value:
            target = {**schema()["$defs"][value["$ref"].rsplit("/", 1)[1]], **value}
        choices = target.get("enum")
        kind = " \\| ".join(map(str, choices)) if choices else _kind(target)
        default = target.get("default")
        shown = "" if default in (None, {}, "") else f"`{default}`"
        yield f"| `{path}` | {kind} | {shown} | {target.get('description', '')} |"
        named = target.get("additionalProperties") or {}
        inner = target.get("items", named or target)
        inner = schema()["$defs"][inner["$ref"].rsplit("/", 1)[1]] if "$ref" in inner else inner
        mark = "[]" if "items" in target else ".NAME" if named else ""
        if named:
            yield f"| `{path}.NAME` | {_kind(inner)} | | {inner['description']} |"
        for branch in (inner, *inner.get("anyOf", ())):
            yield from _rows(branch, f"{path}{mark}.")


def reference() -> str:
    """Every key of a config as a Markdown page, made from the schema."""
    head = (
        "# Config keys\n\nMade from `workflow/schemas/config.schema.yaml` by `make docs`. "
        "A number may be written 1e6 or 1000000.\n\n"
        "| key | values | default | meaning |\n|---|---|---|---|\n"
    )
    return head + "\n".join(_rows(schema(), "")) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
