"""The sizes of a grid: each entry of grid.sizes with its model settings and its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline import accounting, shapes
from pipeline.accounting import Shape
from pipeline.config import ConfigError, number

# Keys of ``model`` that an entry of grid.sizes may have for itself.
OF_A_SIZE = (
    "family", "reuse", "context", "dropout", "aspect", "ff_ratio", "head_width", "max_layers",
)  # fmt: skip
UNUSED = {  # family -> keys of a size that mean nothing in it
    "transformer": ("reuse",), "recurrent": (),
    "lstm": ("reuse", "d_ff", "n_head", "ff_ratio", "head_width"),
}  # fmt: skip
# What a size aims for -> the key that gives it, beside which nothing is left to aim for.
SETTLED = {"aspect": "n_layer", "max_layers": "n_layer", "ff_ratio": "d_ff", "head_width": "n_head"}


@dataclass(frozen=True)
class Size:
    """An entry of grid.sizes: its config key, its own settings, its model's, and its shape."""

    key: str
    own: Mapping[str, Any]
    model: Mapping[str, Any]
    shape: Shape

    @cached_property
    def params(self) -> int:
        """N, non-embedding."""
        return accounting.non_embedding_params(self.shape)

    @property
    def context(self) -> int:
        return self.model["context"]

    @property
    def context_key(self) -> str:
        """Where the config gives its context."""
        return f"{self.key}.context" if "context" in self.own else "model.context"

    def fields(self) -> dict[str, Any]:
        """The fields of a cell that tell its model."""
        return {
            "family": self.shape.family,
            "reuse": self.shape.reuse,
            "context": self.context,
            "dropout": float(self.model["dropout"]),
            "n_layer": self.shape.n_layer,
            "d_model": self.shape.d_model,
            "d_ff": self.shape.d_ff,
            "n_head": self.shape.n_head,
        }


def sizes(config: Mapping[str, Any]) -> Iterator[Size]:
    """The sizes of a config in its order; raises ConfigError where one makes no sense."""
    given = [s if isinstance(s, Mapping) else {"params": s} for s in config["grid"]["sizes"]]
    models = [config["model"] | {k: own[k] for k in OF_A_SIZE if k in own} for own in given]
    if config["model"]["reuse"] > 1 and all(model["family"] != "recurrent" for model in models):
        raise ConfigError(
            "model.reuse", config["model"]["reuse"], "is used by no size",
            "give family: recurrent, in model or in a size",
        )  # fmt: skip
    for index, (own, model) in enumerate(zip(given, models)):
        key = f"grid.sizes[{index}]"
        yield Size(key, own, model, _shape(own, model, key))


def _refuse_unused(size: Mapping[str, Any], family: str, key: str) -> None:
    """Raise ConfigError where a size has a key that nothing would look at."""
    for unused in UNUSED[family]:
        if unused in size:
            raise ConfigError(
                f"{key}.{unused}", size[unused], f"means nothing in the family {family}",
                "leave it out, or take another family",
            )  # fmt: skip
    for aim, given in SETTLED.items():
        if aim in size and given in size:
            raise ConfigError(
                f"{key}.{aim}", size[aim], f"has no use beside {given}", "leave one of them out"
            )


def _shape(size: Mapping[str, Any], model: Mapping[str, Any], key: str) -> Shape:
    """The shape of a size, whose ``model`` is the study's with what the size has for itself."""
    family = model["family"]
    _refuse_unused(size, family, key)
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
