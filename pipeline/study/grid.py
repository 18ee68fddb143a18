"""The grid of a config: sizes x batches x rates x tokens x schedules x datasets x seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from pipeline import accounting
from pipeline.accounting import Shape
from pipeline.cells import Cell
from pipeline.config import ConfigError, number, positive
from pipeline.study.sizes import Size, sizes


def cells(config: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[Cell]:
    """The grid, cell by cell; ``common`` holds the fields that all cells share."""
    grid = config["grid"]
    axes = [axis for axis in ("tokens", "tokens_per_param", "budgets") if axis in grid]
    alone = any(
        all(isinstance(item, Mapping) and "tokens" in item for item in grid[name])
        for name in ("sizes", "batches") if name in grid
    )  # fmt: skip
    if len(axes) != 1 and not (alone and not axes):
        raise ConfigError(
            "grid", axes, "must give the token counts in one way",
            "give exactly one of grid.tokens, grid.tokens_per_param, grid.budgets",
        )  # fmt: skip
    schedules, datasets = _schedules(config), _datasets(grid["unique_tokens"])
    for size in sizes(config):
        cost = _budgeted(grid, size, common["vocab_size"])
        for batch, batch_key in _batches(grid, size):
            places = (batch, batch_key), (size.own, size.key)
            among, where = next((p for p in places if "tokens" in p[0]), (grid, "grid"))
            axis = axes[0] if among is grid else "tokens"
            counts = list(_tokens(among, axis, size.params, cost, grid, where))
            for rate, (tokens_key, tokens) in product(batch.get("rates", grid["rates"]), counts):
                of_size = _size_fields(config["training"], size, batch, batch_key, rate)
                steps = round(tokens / of_size["batch_tokens"])
                if steps < 1:
                    raise ConfigError(
                        tokens_key, tokens, "is not even one step, which takes "
                        f"{of_size['batch_tokens']} tokens", "take more tokens, or a "
                        "smaller batch (training.batch, or the one that the grid gives)",
                    )  # fmt: skip
                for schedule in schedules:
                    fields = _schedule_fields(schedule, of_size, steps, tokens_key)
                    for unique, seed in product(datasets, grid["seeds"]):
                        yield Cell(**common, **fields, unique_tokens=unique, seed=seed)


def _batches(grid: Mapping[str, Any], size: Size) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The batch sizes that one size is trained at, as (its settings, config key).

    Without a scan there is one, that of the size or of training.batch.
    """
    if "batches" not in grid:
        yield {}, size.key
    elif "batch_tokens" in size.own:
        raise ConfigError(
            f"{size.key}.batch_tokens", size.own["batch_tokens"], "is given beside grid.batches",
            "leave one of them out",
        )  # fmt: skip
    for index, batch in enumerate(grid.get("batches", ())):
        given = batch if isinstance(batch, Mapping) else {"batch_tokens": batch}
        yield given, f"grid.batches[{index}]"


def _budgeted(grid: Mapping[str, Any], size: Size, vocab: int) -> float:
    """FLOP per token of a size as the grid's budgets count them."""
    if grid["budget_convention"] == "exact":
        return accounting.exact_flops_per_token(size.shape, vocab, size.context)
    return accounting.flops_6nd(size.shape, 1)


def _tokens(
    among: Mapping[str, Any], axis: str, params: int, cost: float, grid: Mapping[str, Any],
    where: str,
) -> Iterator[tuple[str, float]]:  # fmt: skip
    """Tokens seen by one size, as (config key, D); ``where`` is the key of ``among``.

    ``cost`` is the FLOP per token that a budget pays.
    """
    for index, value in enumerate(among[axis]):
        key = f"{where}.{axis}[{index}]"
        amount = positive(key, value)
        if axis == "tokens":
            yield key, amount
        elif axis == "tokens_per_param":
            yield key, amount * params
        else:
            tokens = amount / cost
            low, high = (number(f"grid.{k}", grid[k]) for k in ("min_tokens", "max_tokens"))
            if low <= tokens <= high:
                yield key, tokens


def _batch_tokens(rule: Mapping[str, Any], own: Mapping[str, Any], key: str, size: Size) -> int:
    """Tokens per step: those of ``own``, whose config key is ``key``, or the rule's."""
    context = size.context
    if "batch_tokens" in own:
        key, tokens = f"{key}.batch_tokens", own["batch_tokens"]
    elif rule["rule"] == "fixed":
        key, tokens = "training.batch.tokens", rule["tokens"]
    else:
        for needed in ("coefficient", "exponent"):
            if needed not in rule:
                raise ConfigError("training.batch", dict(rule), f"lacks {needed}", "power needs it")
        sequences = round(rule["coefficient"] * size.params ** rule["exponent"] / context)
        return max(1, sequences) * context
    if tokens % context:
        raise ConfigError(
            key, tokens, f"is no multiple of {size.context_key} = {context}",
            f"take {max(1, round(tokens / context)) * context}",
        )  # fmt: skip
    return int(tokens)  # a whole number may have been written as 1.0e+6


def learning_rates(rule: Mapping[str, Any], shape: Shape) -> tuple[float, float]:
    """Peak learning rates (matrices, embeddings and gains) of a shape under a rule."""
    params = accounting.non_embedding_params(shape)
    if rule["rule"] == "width":
        return rule["hidden"] / shape.d_model, rule["embedding"] / shape.d_model
    needed = {"fixed": ("value",), "power": ("coefficient", "exponent")}.get(rule["rule"], ())
    for key in needed:
        if key not in rule:
            raise ConfigError(
                "training.learning_rate",
                dict(rule),
                f"lacks {key}",
                f"the rule {rule['rule']} needs it",
            )
    if rule["rule"] == "fixed":
        rate = rule["value"]
    elif rule["rule"] == "power":
        rate = rule["coefficient"] * params ** rule["exponent"]
    else:
        rate = 0.003239 - 0.0001395 * math.log(params)  # Kaplan et al. 2020, eq. D.1
        if rate <= 0:
            raise ConfigError(
                "training.learning_rate.rule", "kaplan", f"is negative at N = {params:.3g}",
                "eq. D.1 holds below about 1e10 parameters; take another rule",
            )  # fmt: skip
    return rate, rate


def _times(factor: float, rate: float) -> float:
    """A rate times a factor; as it is given where that is one, so that digests stay."""
    return rate if factor == 1 else factor * rate


def _size_fields(
    training: Mapping[str, Any], size: Size, batch: Mapping[str, Any], batch_key: str, rate: float
) -> dict[str, Any]:
    """The fields that follow from a size, its batch and a factor on its learning rates."""
    lr, lr_embedding = learning_rates(training["learning_rate"], size.shape)
    own = {**size.own, **batch}
    return {
        **size.fields(),
        "batch_tokens": _batch_tokens(training["batch"], own, batch_key, size),
        "lr": _times(rate, own.get("lr", lr)),
        "lr_embedding": _times(rate, own.get("lr_embedding", lr_embedding)),
    }


def _datasets(given: Any) -> list[int | None]:
    """Sizes of the datasets in tokens; None is the whole split once."""
    found: list[int | None] = []
    for index, value in enumerate(given if isinstance(given, list) else [given]):
        key = f"grid.unique_tokens[{index}]" if isinstance(given, list) else "grid.unique_tokens"
        if value is not None and number(key, value) < 1:
            raise ConfigError(key, value, "is less than 1", "give a number of tokens, or null")
        found.append(None if value is None else int(number(key, value)))
    return found


def _schedules(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The schedules of a config, each with its own ``key``; refused where they make no sense."""
    training, listed = config["training"], config["grid"].get("schedules")
    found = [{**training["schedule"], "key": "training.schedule"}]
    if listed:
        found = [{**one, "key": f"grid.schedules[{i}]"} for i, one in enumerate(listed)]
    for schedule in found:
        key, name = schedule["key"], schedule["name"]
        if name == "wsd" and training["early_stopping"]:
            raise ConfigError(
                f"{key}.name", name, "does not go with training.early_stopping, which ends each "
                "run by itself, where wsd shares a trunk", "take constant, cosine or another",
            )  # fmt: skip
        if name == "exponential" and not schedule["final"]:
            raise ConfigError(
                f"{key}.final", 0, "is never reached by exponential", "give one such as 0.01"
            )
        if name != "polynomial" and schedule["power"] != 1:
            raise ConfigError(
                f"{key}.power", schedule["power"], f"has no use under {name}", "take polynomial"
            )
    return found


def _schedule_fields(
    schedule: Mapping[str, Any], of_size: Mapping[str, Any], steps: int, tokens_key: str
) -> dict[str, Any]:
    """The fields of a size and those that follow from its D and its schedule."""
    batch = of_size["batch_tokens"]
    cooldown = max(1, round(schedule["cooldown"] * steps)) if schedule["name"] == "wsd" else 0
    if schedule["warmup_steps"] >= steps - cooldown:
        raise ConfigError(
            f"{schedule['key']}.warmup_steps", schedule["warmup_steps"],
            f"leaves no step after warmup: {tokens_key} gives {steps} steps of {batch} tokens, "
            f"{cooldown} of them cooldown",
            "take fewer warmup steps, more tokens or a smaller batch",
        )  # fmt: skip
    return {
        **of_size,
        "lr": of_size["lr"] * schedule["peak"],
        "lr_embedding": of_size["lr_embedding"] * schedule["peak"],
        "tokens": steps * batch,
        "steps": steps,
        "schedule": schedule["name"],
        "warmup_steps": schedule["warmup_steps"],
        "cooldown_steps": cooldown,
        "final_lr": float(schedule["final"]),
        "schedule_power": float(schedule["power"]),
    }
