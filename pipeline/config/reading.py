"""A study's config: read, completed with the schema's defaults, or refused with a cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import strict_yaml
from pipeline.config.schema import ConfigError, completed, schema
from pipeline.config.values import choose


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``config`` with every default filled in.

    Raises ConfigError on an unknown key, a wrong type or a value out of range.
    """
    full = completed(config, schema())
    _refuse_nothing(full, config)
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
    return completed(given, {
        "type": "object", "additionalProperties": False, "properties": rules,
        "x-optional": list(rules), "$defs": schema()["$defs"],
    })  # fmt: skip


def _refuse_nothing(full: Mapping[str, Any], written: Mapping[str, Any]) -> None:
    """A study trains a grid on a corpus, takes runs that others made, or both; or a regression."""
    lacking = None
    if "grid" in full and "corpus" not in full:
        lacking = "corpus"
    elif "grid" not in full and not full["runs"] and "regression" not in full:
        lacking = "grid"
    if lacking:
        about = schema()["properties"][lacking]["description"]
        cure = f"add it: {about}" if lacking == "corpus" else "add it, or runs that others made"
        raise ConfigError("config", sorted(written), f"lacks the key {lacking!r}", cure)


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
    return experiments(read(path))


def read(path: str | Path) -> dict[str, Any]:
    """What a config file holds, as it was written.

    Raises ConfigError, with the line, where it is no YAML or holds a key twice.
    """
    path = Path(path)
    try:
        raw = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("config", str(path), "cannot be read", str(error.strerror)) from error
    except strict_yaml.RepeatedKeyError as error:
        fault = f"is a key of line {error.lines[0]} and again of line {error.lines[1]}"
        raise ConfigError(error.place, error.name, fault, "leave one of them out") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = ", ".join(filter(None, (error.problem, error.context)))
        raise ConfigError("config", str(path), f"is not valid YAML{where}", said) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("config", str(path), "is not valid YAML", str(error)) from error
    if not isinstance(raw, dict):
        raise ConfigError("config", str(path), "holds no mapping of keys", "start from config.yaml")
    return raw
