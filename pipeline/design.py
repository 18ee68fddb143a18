"""From a config to the study's cells: every training run, defined before anything is run.

A Cell is one training run and its ``spec`` the one definition of it. Its key is readable
(N98k-D2.0M-s0-...) and ends in a digest of the spec: for eyes and for the DAG, never parsed back.
Cells of one (shape, learning rate, seed) under the wsd schedule share a trunk, the stable phase.

Standard library only (the config arrives completed): every parse of the Snakefile runs this.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import accounting, shapes
from pipeline.accounting import Shape
from pipeline.config import ConfigError, number

CORPUS_RECIPE = 1  # raised when the same corpus config would give other tokens
GPT2_VOCAB = 50257
RESERVED = ("cells", "corpora", "state", "trunks")  # folders of results/ that are no study
# UTF-8 bytes of the corpora that install with pip: an upper bound of their tokens.
PACKAGE_BYTES = {"poetry": 121_800_000, "encyclopedia": 5_100_000, "dictionary": 17_200_000,
                 "bible": 4_300_000}  # fmt: skip


def digest(value: Any, length: int = 10) -> str:
    """A short digest of a JSON value, the same on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def short(value: float) -> str:
    """A count as eyes read it: 1536 -> 1.5k, 98304 -> 98k, 2e6 -> 2.0M."""
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "k")):
        scaled = value / 10**power
        if scaled >= 0.9995:
            return f"{scaled:.1f}{letter}" if scaled < 9.95 else f"{scaled:.0f}{letter}"
    return f"{value:.0f}"


@dataclass(frozen=True)
class Cell:
    """One training run. Counts are in tokens and optimizer steps; learning rates are peaks."""

    corpus: str
    family: str
    n_layer: int
    d_model: int
    d_ff: int
    n_head: int
    context: int
    vocab_size: int
    dropout: float
    tokens: int
    unique_tokens: int | None
    batch_tokens: int
    steps: int
    lr: float
    lr_embedding: float
    schedule: str
    warmup_steps: int
    cooldown_steps: int
    final_lr: float
    betas: tuple[float, float]
    weight_decay: float
    clip: float
    precision: str
    seed: int
    recipe: int
    evaluations_per_octave: int
    evaluate: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        return Shape(self.n_layer, self.d_model, self.d_ff, self.n_head)

    @property
    def params(self) -> int:
        return accounting.non_embedding_params(self.shape)

    @property
    def params_total(self) -> int:
        return accounting.total_params(self.shape, self.vocab_size, self.context)

    @property
    def flops_6nd(self) -> float:
        return accounting.flops_6nd(self.shape, self.tokens)

    @property
    def flops_exact(self) -> float:
        return accounting.flops_exact(self.shape, self.vocab_size, self.context, self.tokens)

    @property
    def stable_steps(self) -> int:
        """The step at which the cooldown branches off; all steps where there is none."""
        return self.steps - self.cooldown_steps

    def spec(self) -> dict[str, Any]:
        """The definition of the run as JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Cell:
        """The cell that ``spec`` defines; raises TypeError on foreign or missing fields."""
        values = dict(spec)
        values["betas"] = tuple(values["betas"])
        values["evaluate"] = tuple(values["evaluate"])
        return cls(**values)

    @cached_property
    def key(self) -> str:
        """Folder name of the cell."""
        name = f"N{short(self.params)}-D{short(self.tokens)}-s{self.seed}"
        return f"{name}-{digest(self.spec())}"

    @cached_property
    def state(self) -> str:
        """Key of the training itself: what is evaluated afterwards does not retrain a model."""
        return digest(replace(self, evaluate=()).spec(), 16)

    @cached_property
    def trunk(self) -> str | None:
        """Key of the stable phase that cells of all token counts share; None without one."""
        if self.schedule != "wsd":
            return None
        spec = replace(self, evaluate=()).spec()
        for own in ("tokens", "steps", "cooldown_steps", "final_lr"):
            del spec[own]
        return f"N{short(self.params)}-s{self.seed}-{digest(spec)}"


@dataclass(frozen=True)
class Corpus:
    """A text and its tokens; ``key`` names its folder, ``definition`` is the config behind it."""

    name: str
    definition: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        return f"{self.name}-{digest([CORPUS_RECIPE, self.definition])}"

    @property
    def files(self) -> list[str]:
        """Every file that the sources name, globs expanded, sorted within each source."""
        found = []
        for index, source in enumerate(self.definition["sources"]):
            found += source_files(source, f"sources[{index}]")
        if tokenizer := self.definition.get("tokenizer", {}).get("file"):
            found.append(tokenizer)
        return found


@dataclass(frozen=True)
class Study:
    """All that a config asks for."""

    name: str
    title: str
    corpus: Corpus
    evaluation: tuple[Corpus, ...]
    cells: tuple[Cell, ...]
    config: Mapping[str, Any]

    @cached_property
    def by_key(self) -> dict[str, Cell]:
        return {cell.key: cell for cell in self.cells}

    @cached_property
    def trunks(self) -> dict[str, list[Cell]]:
        """Trunk key -> its cells, fewest tokens first."""
        shared: dict[str, list[Cell]] = {}
        for cell in sorted(self.cells, key=lambda c: c.tokens):
            if cell.trunk:
                shared.setdefault(cell.trunk, []).append(cell)
        return shared


def source_files(source: Mapping[str, Any], key: str) -> list[str]:
    """The files of one source; raises ConfigError where a path or glob names none."""
    patterns = source.get("files", [])
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    if "tokens" in source:
        patterns.append(source["tokens"])
    found = []
    for pattern in patterns:
        matches = sorted(p for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
        if not matches:
            raise ConfigError(
                f"{key}.files", pattern, "names no file",
                "give a path or glob relative to the folder that snakemake runs in",
            )  # fmt: skip
        found += matches
    return found


def study(config: Mapping[str, Any]) -> Study:
    """The study that a completed config describes; raises ConfigError where it makes no sense."""
    if config["study"] in RESERVED:
        raise ConfigError("study", config["study"], "is a folder of its own", "take another name")
    corpus = _corpus(config["corpus"])
    vocab = vocab_size(config["corpus"])
    evaluation = tuple(
        _evaluation(corpus, item, config["evaluation"], f"evaluation.corpora[{index}]")
        for index, item in enumerate(config["evaluation"]["corpora"])
    )
    names = [item.name for item in evaluation]
    if len(set(names)) < len(names):
        raise ConfigError("evaluation.corpora", names, "repeats a name", "name each corpus once")
    cells = tuple(_cells(config, corpus, vocab, tuple(item.key for item in evaluation)))
    if not cells:
        raise ConfigError(
            "grid",
            config["grid"],
            "holds no cell",
            "widen min_tokens and max_tokens, or the budgets",
        )
    seen: dict[str, int] = {}
    for index, cell in enumerate(cells):
        if cell.key in seen:
            raise ConfigError(
                "grid", cell.key, "is defined twice",
                "remove the repeated size, token count or seed (after rounding to whole steps)",
            )  # fmt: skip
        seen[cell.key] = index
    return Study(
        config["study"], config["title"] or config["study"], corpus, evaluation, cells, config
    )


def _corpus(config: Mapping[str, Any]) -> Corpus:
    definition = {k: v for k, v in config.items() if k != "name"}
    for key in ("validation_bytes", "test_bytes"):
        definition[key] = int(number(f"corpus.{key}", config[key]))
    tokenizer = dict(config["tokenizer"])
    if len({"vocab_size", "file", "name"} & set(tokenizer)) > 1:
        raise ConfigError(
            "corpus.tokenizer", tokenizer, "makes two choices", "keep one of vocab_size, file, name"
        )
    tokenizer["sample_bytes"] = int(
        number("corpus.tokenizer.sample_bytes", tokenizer["sample_bytes"])
    )
    definition["tokenizer"] = tokenizer
    for index, source in enumerate(config["sources"]):
        _check_source(source, tokenizer, f"corpus.sources[{index}]", len(config["sources"]))
    return Corpus(config["name"], definition)


def _check_source(
    source: Mapping[str, Any], tokenizer: Mapping[str, Any], key: str, count: int
) -> None:
    kinds = [kind for kind in ("package", "files", "tokens", "synthetic") if kind in source]
    if len(kinds) != 1:
        raise ConfigError(
            key, dict(source), f"names {len(kinds)} kinds of source",
            "give exactly one of package, files, tokens, synthetic",
        )  # fmt: skip
    if kinds[0] in ("tokens", "synthetic") and count > 1:
        raise ConfigError(key, dict(source), "cannot be mixed with other sources", "give it alone")
    if kinds[0] == "tokens" and not {"file", "name"} & set(tokenizer):
        raise ConfigError(
            f"{key}.tokens", source["tokens"], "needs the tokenizer that made it",
            "set corpus.tokenizer.file or corpus.tokenizer.name",
        )  # fmt: skip
    if kinds[0] in ("tokens", "files"):
        source_files(source, key)


def _evaluation(
    corpus: Corpus, item: Mapping[str, Any], config: Mapping[str, Any], key: str
) -> Corpus:
    for index, source in enumerate(item["sources"]):
        _check_source(source, {}, f"{key}.sources[{index}]", len(item["sources"]))
        if "tokens" in source or "synthetic" in source:
            raise ConfigError(
                f"{key}.sources[{index}]",
                dict(source),
                "is not text",
                "evaluate on package or files",
            )
    definition = {
        "sources": item["sources"],
        "bytes": int(number("evaluation.bytes", config["bytes"])),
        "of": corpus.key,
    }
    return Corpus(item["name"], definition)


def vocab_size(config: Mapping[str, Any]) -> int:
    """Size of the vocabulary that a corpus config leads to."""
    tokenizer = config["tokenizer"]
    if "synthetic" in config["sources"][0]:
        if {"vocab_size", "file", "name"} & set(tokenizer):
            raise ConfigError(
                "corpus.tokenizer", dict(tokenizer), "has no use with a synthetic source",
                "remove it: the symbols are the tokens",
            )  # fmt: skip
        return config["sources"][0]["synthetic"]["symbols"]
    if tokenizer.get("name") == "gpt2":
        return GPT2_VOCAB
    if "file" in tokenizer:
        path = Path(tokenizer["file"])
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            ids = [*content["model"]["vocab"].values()]
            ids += [added["id"] for added in content.get("added_tokens", [])]
            return max(ids) + 1
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ConfigError(
                "corpus.tokenizer.file", str(path), "is no readable tokenizer.json",
                f"give a file that HF tokenizers saved ({type(error).__name__}: {error})",
            ) from error  # fmt: skip
    return tokenizer.get("vocab_size", 512)


def _cells(
    config: Mapping[str, Any], corpus: Corpus, vocab: int, evaluate: tuple[str, ...]
) -> Iterator[Cell]:
    grid = config["grid"]
    axes = [axis for axis in ("tokens", "tokens_per_param", "budgets") if axis in grid]
    if len(axes) != 1:
        raise ConfigError(
            "grid", axes, "must give the token counts in one way",
            "give exactly one of grid.tokens, grid.tokens_per_param, grid.budgets",
        )  # fmt: skip
    for index, size in enumerate(grid["sizes"]):
        key = f"grid.sizes[{index}]"
        own = size if isinstance(size, Mapping) else {"params": size}
        shape = _shape(own, config["model"], key)
        for tokens_key, tokens in _tokens(grid, axes[0], shape, vocab, config["model"]["context"]):
            for seed in grid["seeds"]:
                yield _cell(
                    config, own, shape, key, tokens_key, tokens, seed, corpus, vocab, evaluate
                )


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
    grid: Mapping[str, Any], axis: str, shape: Shape, vocab: int, context: int
) -> Iterator[tuple[str, float]]:
    """Tokens seen by one size, as (config key, D)."""
    params = accounting.non_embedding_params(shape)
    for index, value in enumerate(grid[axis]):
        key = f"grid.{axis}[{index}]"
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
                accounting.exact_flops_per_token(shape, vocab, context) if exact else 6.0 * params
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
        return rule["hidden"] / shape.d_model, rule["embedding"]
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


def _cell(
    config: Mapping[str, Any], own: Mapping[str, Any], shape: Shape, size_key: str,
    tokens_key: str, tokens: float, seed: int, corpus: Corpus, vocab: int, evaluate: tuple[str, ...],
) -> Cell:  # fmt: skip
    training, model = config["training"], config["model"]
    schedule, unique = training["schedule"], config["grid"]["unique_tokens"]
    batch = _batch_tokens(config, own, accounting.non_embedding_params(shape), size_key)
    steps = round(tokens / batch)
    cooldown = max(1, round(schedule["cooldown"] * steps)) if schedule["name"] == "wsd" else 0
    if schedule["warmup_steps"] >= steps - cooldown:
        raise ConfigError(
            "training.schedule.warmup_steps", schedule["warmup_steps"],
            f"leaves no step after warmup: {tokens_key} gives {steps} steps of {batch} tokens, "
            f"{cooldown} of them cooldown",
            f"take fewer than {max(steps - cooldown, 1)} warmup steps, more tokens or a smaller batch",
        )  # fmt: skip
    lr, lr_embedding = learning_rates(training["learning_rate"], shape)
    return Cell(
        corpus=corpus.key, family=model["family"],
        n_layer=shape.n_layer, d_model=shape.d_model, d_ff=shape.d_ff, n_head=shape.n_head,
        context=model["context"], vocab_size=vocab, dropout=float(model["dropout"]),
        tokens=steps * batch, batch_tokens=batch, steps=steps,
        unique_tokens=None if unique is None else int(number("grid.unique_tokens", unique)),
        lr=own.get("lr", lr), lr_embedding=own.get("lr_embedding", lr_embedding),
        schedule=schedule["name"], warmup_steps=schedule["warmup_steps"],
        cooldown_steps=cooldown, final_lr=float(schedule["final"]),
        betas=(float(training["betas"][0]), float(training["betas"][1])),
        weight_decay=float(training["weight_decay"]), clip=float(training["clip"]),
        precision=training["precision"], seed=seed, recipe=training["recipe"],
        evaluations_per_octave=training["evaluations_per_octave"], evaluate=evaluate,
    )  # fmt: skip
