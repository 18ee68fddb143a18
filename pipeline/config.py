"""A study's config: read, completed with the schema's defaults, or refused with a cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMA = Path(__file__).parents[1] / "workflow" / "schemas" / "config.schema.yaml"


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
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


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


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``config`` with every default filled in.

    Raises ConfigError on an unknown key, a wrong type or a value out of range.
    """
    full = _completed(config, schema())
    _refuse_nothing(full)
    return full


def experiments(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> completed config of each study that a config holds: itself, or its experiments.

    An experiment is the config overlaid with its own keys, under the name STUDY/EXPERIMENT: below
    mappings key by key, any other value in place of the config's; null takes a key away. Raises
    ConfigError, which names the experiment.
    """
    if "experiments" not in config:
        full = complete(config)
        return {full["study"]: full}
    rules = schema()["properties"]
    checked = part({key: config[key] for key in ("study", "experiments") if key in config},
                   {key: rules[key] for key in ("study", "experiments")})  # fmt: skip
    if "study" not in checked:
        complete(config)  # says what it lacks
    shared = {key: value for key, value in config.items() if key != "experiments"}
    if not checked["experiments"]:
        raise ConfigError("experiments", {}, "holds none", "add one, or leave the key out")
    found = {}
    for name, own in checked["experiments"].items():
        if not re.fullmatch("[a-z][a-z0-9_]*", str(name)):
            cure = "take lower-case letters, digits and underscores, as it names a folder"
            raise ConfigError("experiments", name, "is no name of an experiment", cure)
        if alone := sorted({"study", "experiments", "replicates"} & set(own)):
            key, cure = f"experiments.{name}.{alone[0]}", "give it outside of experiments"
            raise ConfigError(key, own[alone[0]], "is a key of the whole config", cure)
        try:
            full = complete(_overlaid(shared, own))
        except ConfigError as error:
            raise error.within(f"experiments.{name}") from None
        full["study"] = f"{config['study']}/{name}"
        found[full["study"]] = full
    return found


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with the keys of ``above``; mappings in both are overlaid in turn."""
    merged = dict(below)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _overlaid(merged[key], value)
        else:
            merged[key] = value
    return merged


def part(given: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``given``, some of a config's keys by their JSON Schemas, refused as a config is.

    Keys that are not given stay away; defaults are filled in below those that are.
    """
    return _completed(given, {
        "type": "object", "additionalProperties": False, "properties": rules,
        "x-optional": list(rules), "$defs": schema()["$defs"],
    })  # fmt: skip


def _completed(config: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    full = deepcopy(dict(config))
    checker = _filling(jsonschema.Draft202012Validator)(rules)
    errors = sorted(checker.iter_errors(full), key=_order)
    if errors:
        raise _explained(_meant(errors[0]))
    return full


def _refuse_nothing(full: Mapping[str, Any]) -> None:
    """A study trains a grid on a corpus, takes runs that others made, or both; or a regression."""
    lacking = None
    if "grid" in full and "corpus" not in full:
        lacking = "corpus"
    elif "grid" not in full and not full["runs"] and "regression" not in full:
        lacking = "grid"
    if lacking:
        about = schema()["properties"][lacking]["description"]
        cure = f"add it: {about}" if lacking == "corpus" else "add it, or runs that others made"
        raise ConfigError("config", sorted(full), f"lacks the key {lacking!r}", cure)


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


def load(path: str | Path) -> dict[str, Any]:
    """Read and complete the config of one study: of FILE, or of an experiment, FILE:EXPERIMENT.

    Raises ConfigError.
    """
    file, _, name = (str(path), "", "") if Path(path).exists() else str(path).partition(":")
    found = load_experiments(file)
    names = [key.partition("/")[2] for key in found]
    if name:
        choose("experiment", [name], names)
        return next(full for key, full in found.items() if key.endswith(f"/{name}"))
    if len(found) > 1:
        raise ConfigError(
            "config", file, "holds several experiments",
            f"name one, such as {file}:{names[0]}; it has {', '.join(names)}",
        )  # fmt: skip
    return next(iter(found.values()))


def load_experiments(path: str | Path) -> dict[str, dict[str, Any]]:
    """Name -> completed config of each study that a config file holds; raises ConfigError."""
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("config", str(path), "cannot be read", str(error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("config", str(path), "is not valid YAML", str(error)) from error
    if not isinstance(raw, dict):
        raise ConfigError("config", str(path), "holds no mapping of keys", "start from config.yaml")
    return experiments(raw)


def _path(error: Any) -> str:
    text = ""
    for part in error.absolute_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "config"


def _explained(error: Any) -> ConfigError:
    """A jsonschema error as key, value, fault and cure."""
    key, value = _path(error), error.instance
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = next(k for k in value if k not in known)
        near = difflib.get_close_matches(unknown, known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        prefix = "" if key == "config" else f"{key}."
        return ConfigError(f"{prefix}{unknown}", value[unknown], "is an unknown key", hint)
    if error.validator == "required":
        missing = next(k for k in error.validator_value if k not in value)
        about = error.schema["properties"].get(missing, {}).get("description", "see docs/config.md")
        return ConfigError(
            f"{key}", sorted(value), f"lacks the key {missing!r}", f"add it: {about}"
        )
    about = error.schema.get("description", "see docs/config.md")
    if error.validator == "type":
        return ConfigError(key, value, f"is not of type {error.validator_value}", about)
    if error.validator == "enum":
        near = difflib.get_close_matches(
            str(value), [str(v) for v in error.validator_value], 1, 0.5
        )
        hint = f"did you mean {near[0]!r}? " if near else ""
        choices = ", ".join(str(v) for v in error.validator_value)
        return ConfigError(key, value, "is not a known choice", f"{hint}choose from {choices}")
    if error.validator == "anyOf":
        return ConfigError(key, value, "has the wrong form", about)
    if error.validator == "pattern":
        return ConfigError(key, value, "is not written in the expected form", about)
    limit = f"{error.validator} {error.validator_value!r}"
    return ConfigError(key, value, f"breaks the limit {limit}", about)


def choose(key: str, asked: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """The names asked for, or all known ones; raises ConfigError on one that is not known."""
    known = list(known)
    for index, name in enumerate(asked or ()):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            choices = f"{hint}choose from {', '.join(known)}"
            raise ConfigError(f"{key}[{index}]", name, "is not known here", choices)
    return list(asked) if asked is not None else known


def number(key: str, value: Any) -> float:
    """A config number, given as a number or as text such as 1e18."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ConfigError(key, value, "is not a number", "write it like 1000000 or 1e6") from None
    if result != result or result in (float("inf"), float("-inf")):
        raise ConfigError(key, value, "is not finite", "write it like 1000000 or 1e6")
    return result


def positive(key: str, value: Any) -> float:
    """The same of a number that is more than zero."""
    if (found := number(key, value)) <= 0:
        raise ConfigError(key, value, "is not positive", "give a positive number")
    return found
