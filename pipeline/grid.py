"""The grid of a config: sizes x batches x rates x token counts x seeds, each crossing a Cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import accounting, shapes
from pipeline.accounting import Shape
from pipeline.cells import Cell
from pipeline.config import ConfigError, number


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
    for index, size in enumerate(grid["sizes"]):
        key = f"grid.sizes[{index}]"
        own = size if isinstance(size, Mapping) else {"params": size}
        shape = _shape(own, config["model"], key)
        for batch, batch_key in _batches(grid, own, key):
            places = (batch, batch_key), (own, key)
            among, where = next((p for p in places if "tokens" in p[0]), (grid, "grid"))
            axis = axes[0] if among is grid else "tokens"
            for rate in batch.get("rates", grid["rates"]):
                of_size = _size_fields(config, {**own, **batch}, shape, batch_key, rate)
                for tokens_key, tokens in _tokens(
                    among, axis, shape, common["vocab_size"], config, where
                ):
                    of_tokens = _token_fields(config, tokens_key, tokens, of_size["batch_tokens"])
                    for seed in grid["seeds"]:
                        yield Cell(**common, **of_size, **of_tokens, seed=seed)


def _batches(
    grid: Mapping[str, Any], own: Mapping[str, Any], key: str
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The batch sizes that one size is trained at, as (its settings, config key).

    Without a scan there is one, that of the size or of training.batch.
    """
    if "batches" not in grid:
        yield {}, key
    elif "batch_tokens" in own:
        raise ConfigError(
            f"{key}.batch_tokens", own["batch_tokens"], "is given beside grid.batches",
            "leave one of them out",
        )  # fmt: skip
    for index, batch in enumerate(grid.get("batches", ())):
        given = batch if isinstance(batch, Mapping) else {"batch_tokens": batch}
        yield given, f"grid.batches[{index}]"


def _shape(size: Mapping[str, Any], model: Mapping[str, Any], key: str) -> Shape:
    if "params" in size:
        if extra := {"n_layer", "d_model", "d_ff", "n_head"} & set(size):
            raise ConfigError(
                key, dict(size), f"gives both params and {min(extra)}", "give a target or a shape"
            )
        target = number(f"{key}.params", size["params"])
        shape = shapes.solve(target, model["aspect"], model["head_width"], model["max_layers"])
        if shape is None:
            raise ConfigError(
                key, size["params"], "is met within 1 % by no shape",
                "give n_layer and d_model, or change model.aspect or model.max_layers",
            )  # fmt: skip
        return shape
    for needed in ("n_layer", "d_model"):
        if needed not in size:
            raise ConfigError(
                key, dict(size), f"lacks {needed}", "give params, or n_layer and d_model"
            )
    d_model = size["d_model"]
    n_head = size.get("n_head") or shapes.heads(d_model, model["head_width"])
    if d_model % n_head:
        raise ConfigError(
            f"{key}.n_head", n_head, f"does not divide d_model = {d_model}", "choose a divisor"
        )
    return Shape(size["n_layer"], d_model, size.get("d_ff", 4 * d_model), n_head)


def _tokens(
    grid: Mapping[str, Any], axis: str, shape: Shape, vocab: int, config: Mapping[str, Any],
    where: str,
) -> Iterator[tuple[str, float]]:  # fmt: skip
    """Tokens seen by one size, as (config key, D); ``where`` is the key of ``grid``."""
    params = accounting.non_embedding_params(shape)
    for index, value in enumerate(grid[axis]):
        key = f"{where}.{axis}[{index}]"
        amount = number(key, value)
        if amount <= 0:
            raise ConfigError(key, value, "is not positive", "give a positive number")
        if axis == "tokens":
            yield key, amount
        elif axis == "tokens_per_param":
            yield key, amount * params
        else:
            exact = grid["budget_convention"] == "exact"
            cost = (
                accounting.exact_flops_per_token(shape, vocab, config["model"]["context"])
                if exact
                else 6.0 * params
            )
            tokens = amount / cost
            low, high = (number(f"grid.{k}", grid[k]) for k in ("min_tokens", "max_tokens"))
            if low <= tokens <= high:
                yield key, tokens


def _batch_tokens(config: Mapping[str, Any], own: Mapping[str, Any], params: int, key: str) -> int:
    context, batch = config["model"]["context"], config["training"]["batch"]
    if "batch_tokens" in own:
        key, tokens = f"{key}.batch_tokens", own["batch_tokens"]
    elif batch["rule"] == "fixed":
        key, tokens = "training.batch.tokens", batch["tokens"]
    else:
        for needed in ("coefficient", "exponent"):
            if needed not in batch:
                raise ConfigError(
                    "training.batch", dict(batch), f"lacks {needed}", "power needs it"
                )
        sequences = round(batch["coefficient"] * params ** batch["exponent"] / context)
        return max(1, sequences) * context
    if tokens % context:
        raise ConfigError(
            key, tokens, f"is no multiple of model.context = {context}",
            f"take {max(1, round(tokens / context)) * context}",
        )  # fmt: skip
    return tokens


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
    config: Mapping[str, Any], own: Mapping[str, Any], shape: Shape, key: str, rate: float
) -> dict[str, Any]:
    """The fields that follow from a size, its own settings and a factor on its learning rates."""
    lr, lr_embedding = learning_rates(config["training"]["learning_rate"], shape)
    return {
        "n_layer": shape.n_layer,
        "d_model": shape.d_model,
        "d_ff": shape.d_ff,
        "n_head": shape.n_head,
        "batch_tokens": _batch_tokens(config, own, accounting.non_embedding_params(shape), key),
        "lr": _times(rate, own.get("lr", lr)),
        "lr_embedding": _times(rate, own.get("lr_embedding", lr_embedding)),
    }


def _token_fields(config: Mapping[str, Any], key: str, tokens: float, batch: int) -> dict[str, Any]:
    """The fields that follow from D: whole steps, and how many of them are cooldown."""
    schedule = config["training"]["schedule"]
    steps = round(tokens / batch)
    cooldown = max(1, round(schedule["cooldown"] * steps)) if schedule["name"] == "wsd" else 0
    if schedule["warmup_steps"] >= steps - cooldown:
        raise ConfigError(
            "training.schedule.warmup_steps", schedule["warmup_steps"],
            f"leaves no step after warmup: {key} gives {steps} steps of {batch} tokens, "
            f"{cooldown} of them cooldown",
            "take fewer warmup steps, more tokens or a smaller batch",
        )  # fmt: skip
    return {"tokens": steps * batch, "steps": steps, "cooldown_steps": cooldown}
