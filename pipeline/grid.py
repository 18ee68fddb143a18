"""The grid of a config: sizes x token counts x seeds, each crossing a Cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import accounting, shapes
from pipeline.accounting import Shape
from pipeline.cells import Cell
from pipeline.config import ConfigError, number

# Keys of ``model`` that an entry of grid.sizes may have for itself.
OF_A_SIZE = (
    "family", "reuse", "context", "dropout", "aspect", "ff_ratio", "head_width", "max_layers",
)  # fmt: skip
UNUSED = {  # family -> keys of a size that mean nothing in it
    "transformer": ("reuse",), "recurrent": (), "lstm": ("reuse", "d_ff", "n_head"),
}  # fmt: skip


def cells(config: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[Cell]:
    """The grid, cell by cell; ``common`` holds the fields that all cells share."""
    grid = config["grid"]
    axes = [axis for axis in ("tokens", "tokens_per_param", "budgets") if axis in grid]
    alone = all(isinstance(size, Mapping) and "tokens" in size for size in grid["sizes"])
    if len(axes) != 1 and not (alone and not axes):
        raise ConfigError(
            "grid", axes, "must give the token counts in one way",
            "give exactly one of grid.tokens, grid.tokens_per_param, grid.budgets",
        )  # fmt: skip
    sizes = [size if isinstance(size, Mapping) else {"params": size} for size in grid["sizes"]]
    models = [config["model"] | {k: own[k] for k in OF_A_SIZE if k in own} for own in sizes]
    if config["model"]["reuse"] > 1 and all(model["family"] != "recurrent" for model in models):
        raise ConfigError(
            "model.reuse", config["model"]["reuse"], "is used by no size",
            "give family: recurrent, in model or in a size",
        )  # fmt: skip
    for index, (own, model) in enumerate(zip(sizes, models)):
        key = f"grid.sizes[{index}]"
        shape = _shape(own, model, key)
        of_size = _size_fields(config, own, model, shape, key)
        among, axis, where = (own, "tokens", key) if "tokens" in own else (grid, axes[0], "grid")
        cost = _budgeted(grid, shape, common["vocab_size"], model["context"])
        counts = _tokens(among, axis, shape, cost, where)
        for tokens_key, tokens in counts:
            of_tokens = _token_fields(config, tokens_key, tokens, of_size["batch_tokens"])
            for seed in grid["seeds"]:
                yield Cell(**common, **of_size, **of_tokens, seed=seed)


def _shape(size: Mapping[str, Any], model: Mapping[str, Any], key: str) -> Shape:
    """The shape of a size, whose ``model`` is the study's with what the size has for itself."""
    family = model["family"]
    for unused in UNUSED[family]:
        if unused in size:
            raise ConfigError(
                f"{key}.{unused}", size[unused], f"means nothing in the family {family}",
                "leave it out, or take another family",
            )  # fmt: skip
    reuse = model["reuse"] if family == "recurrent" else 1
    if "params" in size:
        if extra := {"n_layer", "d_model", "d_ff", "n_head"} & set(size):
            raise ConfigError(
                key, dict(size), f"gives both params and {min(extra)}", "give a target or a shape"
            )
        target = number(f"{key}.params", size["params"])
        shape = shapes.solve(
            target, model["aspect"], model["head_width"], model["max_layers"], family, reuse,
            model["ff_ratio"],
        )  # fmt: skip
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
    if family == "lstm":
        return Shape(size["n_layer"], d_model, 0, 0, family)
    n_head = size.get("n_head") or shapes.heads(d_model, model["head_width"])
    if d_model % n_head:
        raise ConfigError(
            f"{key}.n_head", n_head, f"does not divide d_model = {d_model}", "choose a divisor"
        )
    d_ff = size.get("d_ff") or max(1, round(model["ff_ratio"] * d_model))
    return Shape(size["n_layer"], d_model, d_ff, n_head, family, reuse)


def _budgeted(grid: Mapping[str, Any], shape: Shape, vocab: int, context: int) -> float:
    """FLOP per token as the grid's budgets count them."""
    if grid["budget_convention"] == "exact":
        return accounting.exact_flops_per_token(shape, vocab, context)
    return accounting.flops_6nd(shape, 1)


def _tokens(
    grid: Mapping[str, Any], axis: str, shape: Shape, cost: float, where: str
) -> Iterator[tuple[str, float]]:
    """Tokens seen by one size, as (config key, D); ``where`` is the key of ``grid``.

    ``cost`` is the FLOP per token that a budget pays.
    """
    for index, value in enumerate(grid[axis]):
        key = f"{where}.{axis}[{index}]"
        amount = number(key, value)
        if amount <= 0:
            raise ConfigError(key, value, "is not positive", "give a positive number")
        if axis == "tokens":
            yield key, amount
        elif axis == "tokens_per_param":
            yield key, amount * accounting.non_embedding_params(shape)
        else:
            tokens = amount / cost
            low, high = (number(f"grid.{k}", grid[k]) for k in ("min_tokens", "max_tokens"))
            if low <= tokens <= high:
                yield key, tokens


def _batch_tokens(
    batch: Mapping[str, Any], own: Mapping[str, Any], context: int, params: int, key: str
) -> int:
    of_context = f"{key}.context" if "context" in own else "model.context"
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
            key, tokens, f"is no multiple of {of_context} = {context}",
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


def _size_fields(
    config: Mapping[str, Any], own: Mapping[str, Any], model: Mapping[str, Any], shape: Shape,
    key: str,
) -> dict[str, Any]:  # fmt: skip
    """The fields that follow from a size, its model and its own settings."""
    training, params = config["training"], accounting.non_embedding_params(shape)
    lr, lr_embedding = learning_rates(training["learning_rate"], shape)
    return {
        "family": shape.family,
        "reuse": shape.reuse,
        "context": model["context"],
        "dropout": float(model["dropout"]),
        "n_layer": shape.n_layer,
        "d_model": shape.d_model,
        "d_ff": shape.d_ff,
        "n_head": shape.n_head,
        "batch_tokens": _batch_tokens(training["batch"], own, model["context"], params, key),
        "lr": own.get("lr", lr),
        "lr_embedding": own.get("lr_embedding", lr_embedding),
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
