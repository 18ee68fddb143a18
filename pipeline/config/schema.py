"""The JSON Schema of a config: what lacks is filled in, what breaks it is explained with a cure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

# Written in C where PyYAML was built with it, as every command waits for it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
# What the patterns of the schema ask for.
FORMS = {
    "^[a-z][a-z0-9_-]*$": "a lower-case letter, then lower-case letters, digits, _ and -",
    r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$": "a number such as 1000000 or 1e6",
}


class ConfigError(ValueError):
    """A config that cannot be run; the message names the key, the value and the cure."""

    def __init__(self, key: str, value: Any, fault: str, cure: str):
        super().__init__(f"{key}: {value!r} {fault}; {cure}")

    def within(self, place: str) -> ConfigError:
        """The same error of a config that stands at ``place`` of another."""
        self.args = (f"{place}: {self}",)
        return self


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a config."""
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=LOADER)


def completed(config: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``config`` with the defaults of ``rules``; ConfigError where it breaks them."""
    _refuse_infinite(config, "")
    full = deepcopy(dict(config))
    checker = _filling(jsonschema.Draft202012Validator)(rules)
    errors = sorted(checker.iter_errors(full), key=_order)
    if errors:
        raise _explained(_meant(errors[0]), config)
    return full


def _refuse_infinite(value: Any, place: str) -> None:
    """Raise ConfigError on a number that is infinite or not a number: no limit keeps it out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_infinite(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_infinite(inner, f"{place}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(place, value, "is not finite", "write it like 1000000 or 1.0e+6")


def _filling(validator: Any) -> Any:
    """A validator class that also writes defaults into what it validates."""
    validate_properties = validator.VALIDATORS["properties"]

    def fill(checker: Any, properties: Any, instance: Any, parent: Any) -> Iterator[Any]:
        if checker.is_type(instance, "object"):
            for key, rule in properties.items():
                target = rule
                if "default" not in rule and rule.get("$ref", "").startswith("#/$defs/"):
                    target = schema()["$defs"][rule["$ref"].rsplit("/", 1)[1]]
                # An optional choice (one of several keys) is filled only when it is made.
                if "default" in target and key not in parent.get("x-optional", ()):
                    instance.setdefault(key, deepcopy(target["default"]))
        yield from validate_properties(checker, properties, instance, parent)

    return jsonschema.validators.extend(validator, {"properties": fill})


def _order(error: Any) -> tuple[int, bool, str]:
    """Outer keys first; an unknown key before a missing one, which it may be a misspelling of."""
    return len(error.absolute_path), error.validator != "additionalProperties", error.message


def _leaves(error: Any) -> Iterator[Any]:
    """The failures at the ends of the branches of an anyOf, or the error itself."""
    if not error.context:
        yield error
    for branch in error.context or ():
        yield from _leaves(branch)


def _meant(error: Any) -> Any:
    """Of an anyOf's failures, one of the branch that the value's type fits; else the error."""
    place = error.absolute_path
    fits = [
        leaf for leaf in _leaves(error) if leaf.validator != "type" or leaf.absolute_path != place
    ]
    return max(fits, key=lambda leaf: len(leaf.absolute_path), default=error)


def _path(error: Any) -> str:
    text = ""
    for part in error.absolute_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "config"


def _written(error: Any, config: Mapping[str, Any]) -> Any:
    """The value that an error is about, as it was written: without defaults."""
    value: Any = config
    try:
        for part in error.absolute_path:
            value = value[part]
    except LookupError:  # in a default, which nobody wrote
        return error.instance
    return value


def _explained(error: Any, config: Mapping[str, Any]) -> ConfigError:
    """A jsonschema error as key, value, fault and cure."""
    key, value = _path(error), _written(error, config)
    if error.validator == "additionalProperties":
        return _unknown(key, value, sorted(error.schema.get("properties", {})))
    if error.validator == "required":
        missing = next(k for k in error.validator_value if k not in error.instance)
        about = error.schema["properties"].get(missing, {}).get("description", "see docs/config.md")
        return ConfigError(key, sorted(value), f"lacks the key {missing!r}", f"add it: {about}")
    about = error.schema.get("description", "see docs/config.md")
    if error.validator == "type":
        return ConfigError(key, value, f"is not of type {error.validator_value}", about)
    if error.validator == "enum":
        choices = [str(choice) for choice in error.validator_value]
        near = difflib.get_close_matches(str(value), choices, 1, 0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        cure = f"{hint}choose from {', '.join(choices)}"
        return ConfigError(key, value, "is not a known choice", cure)
    if error.validator == "anyOf":
        return ConfigError(key, value, "has the wrong form", about)
    if error.validator == "pattern":
        form = FORMS.get(error.validator_value, error.validator_value)
        return ConfigError(key, value, f"is not written in the expected form: {form}", about)
    limit = f"{error.validator} {error.validator_value!r}"
    return ConfigError(key, value, f"breaks the limit {limit}", about)


def _unknown(key: str, value: Mapping[str, Any], known: list[str]) -> ConfigError:
    """A key of the mapping ``value`` that is not one of those known there."""
    unknown = next(k for k in value if k not in known)
    near = difflib.get_close_matches(str(unknown), known, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    prefix = "" if key == "config" else f"{key}."
    return ConfigError(f"{prefix}{unknown}", value[unknown], "is an unknown key", hint)
