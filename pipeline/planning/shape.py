"""A concrete model for a planned size, with the batch and the learning rate of a study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from pipeline import accounting, shapes
from pipeline.accounting import Shape
from pipeline.config import ConfigError, part
from pipeline.config.schema import schema
from pipeline.study.grid import learning_rates

GRAIN = 64  # of a large d_ff: tiles of matrix products on GPUs
LARGE = 1024
ROUNDS = 20  # of solving for a total N: embeddings depend on the width that is sought


@dataclass(frozen=True)
class Recipe:
    """How a study shapes and trains its models; None where it does not say."""

    aspect: float = 128.0
    head_width: int = 128
    max_layers: int = 128
    context: int = 2048
    vocab_size: int = 50257
    learning_rate: Mapping[str, Any] | None = None
    batch: Mapping[str, Any] | None = field(default=None)
    family: str = "transformer"
    reuse: int = 1
    ff_ratio: float = 4.0

    @classmethod
    def of(cls, config: Mapping[str, Any], vocab_size: int) -> Recipe:
        """The recipe of a study's completed config."""
        model, training = config["model"], config["training"]
        return cls(
            model["aspect"], model["head_width"], model["max_layers"], model["context"],
            vocab_size, training["learning_rate"], training["batch"], model["family"],
            model["reuse"], model["ff_ratio"],
        )  # fmt: skip

    @classmethod
    def given(cls, text: str) -> Recipe:
        """The recipe of a JSON object of fields, its values checked as those of a config are.

        Raises ConfigError naming the field, its value and the cure.
        """
        cure = f"give an object of {', '.join(_rules())}"
        try:
            told = json.loads(text, parse_constant=_refused)
        except ValueError as error:
            raise ConfigError("recipe", text, f"is no JSON ({error})", cure) from None
        if not isinstance(told, dict):
            raise ConfigError("recipe", told, "is no JSON object", cure)
        return cls(**part(told, _rules()))

    @property
    def card(self) -> dict[str, Any]:
        """The recipe as JSON values that ``given`` takes."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def words(self) -> str:
        """What shapes a model, in a few words."""
        return (
            f"context {self.context}, vocabulary {self.vocab_size}, aspect {self.aspect:g}, "
            f"heads of {self.head_width}"
        )


def _rules() -> dict[str, Any]:
    """The JSON Schema of each field of a recipe: that of the config's key of the same name."""
    whole = schema()["properties"]
    known = {**whole["model"]["properties"], **whole["training"]["properties"]}
    vocabulary = {"type": "integer", "minimum": 1, "description": "Tokens of the vocabulary."}
    return {f.name: known.get(f.name, vocabulary) for f in fields(Recipe)}


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def planned(params: float, recipe: Recipe, counted: str) -> Shape | None:
    """The shape whose N comes nearest to ``params``; None where none within 1 % exists.

    ``counted`` is the column that N stands for: params (non-embedding) or params_total. A large
    d_ff is a multiple of 64 where that keeps N.
    """
    shape = _solved(params, recipe, counted)
    if shape is None or shape.d_ff < LARGE:
        return shape
    even = replace(shape, d_ff=GRAIN * round(shape.d_ff / GRAIN))
    near = abs(_size(even, recipe, counted) / params - 1) <= shapes.TOLERANCE
    return even if near else shape


def _size(shape: Shape, recipe: Recipe, counted: str) -> int:
    if counted == "params":
        return accounting.non_embedding_params(shape)
    return accounting.total_params(shape, recipe.vocab_size, recipe.context)


def _solved(params: float, recipe: Recipe, counted: str) -> Shape | None:
    """The shape that the study's solver gives; for a total N it is asked until embeddings fit."""
    target, shape = params, None
    for _ in range(ROUNDS):
        shape = shapes.solve(
            target, recipe.aspect, recipe.head_width, recipe.max_layers, recipe.family,
            recipe.reuse, recipe.ff_ratio,
        )  # fmt: skip
        if shape is None or counted == "params":
            return shape
        size = _size(shape, recipe, counted)
        if abs(size / params - 1) <= shapes.TOLERANCE:
            return shape
        target = params - (size - accounting.non_embedding_params(shape))
        if target <= 0:
            return None
    return None


def learning_rate(recipe: Recipe, shape: Shape) -> tuple[float, str] | None:
    """The peak learning rate of the hidden matrices and the rule behind it; None without a rule.

    A rule that fails at this size is told in place of a rate, which is then NaN.
    """
    if recipe.learning_rate is None:
        return None
    try:
        rate, _ = learning_rates(recipe.learning_rate, shape)
    except ConfigError as error:
        return float("nan"), str(error)
    return rate, f"the study's rule, {recipe.learning_rate['rule']}"


def batch_tokens(recipe: Recipe, params: float) -> tuple[float, str] | None:
    """Tokens per step of the study's rule, in whole sequences; None without a rule.

    Raises ConfigError where the rule lacks a number.
    """
    rule = recipe.batch
    if rule is None:
        return None
    if rule["rule"] == "fixed":
        return float(rule["tokens"]), "the study's rule, fixed"
    for key in ("coefficient", "exponent"):
        if key not in rule:
            raise ConfigError("batch", dict(rule), f"lacks {key}", "the rule power needs it")
    wanted = rule["coefficient"] * params ** rule["exponent"]
    return max(1, round(wanted / recipe.context)) * recipe.context, "the study's rule, power"
