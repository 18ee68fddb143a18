"""What a study's config asks of a regression: the target, and each pair of N and D to fit.

Standard library only, as every parse of the Snakefile does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.config import ConfigError, number

TERMS = 2**16  # terms of the target, degrees 0 to TERMS - 1
MOST = TERMS // 2  # terms of the largest polynomial, so that something is left beyond it


@dataclass(frozen=True)
class Regression:
    """One target and the polynomials fitted to it.

    ``exponent`` is alpha: of the target's variance, 1 in all, N^-alpha lies beyond its first N
    terms. ``noise`` is the standard deviation of what is added to each sample. ``seeds`` counts
    the repetitions, seeds 0 and up, each with signs, samples and noise of its own.
    """

    exponent: float
    noise: float
    sizes: tuple[int, ...]
    samples: tuple[int, ...]
    largest_system: int
    seeds: int

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        """(N, D) of each design; the smaller of them is the size of the system to solve."""
        for size in self.sizes:
            for samples in self.samples:
                if min(size, samples) <= self.largest_system:
                    yield size, samples

    @property
    def card(self) -> dict[str, Any]:
        """The definition as JSON values."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Regression:
        """The inverse of ``card``."""
        counts = {key: tuple(card[key]) for key in ("sizes", "samples")}
        return cls(**{**card, **counts})


def regression(config: Mapping[str, Any]) -> Regression | None:
    """The regression of a completed config; ConfigError naming the key of what cannot be."""
    if "regression" not in config:
        return None
    asked = config["regression"]
    for key in ("grid", "corpus"):
        if key in config:
            _refuse_beside(key, config[key])
    if config["runs"]:
        _refuse_beside("runs", [item["name"] for item in config["runs"]])
    if config["fit"]["loss"] != "loss":
        cure = "leave it out: the error of a regression has one unit"
        raise ConfigError("fit.loss", config["fit"]["loss"], "is of text", cure)
    sizes = _counts("regression.sizes", asked["sizes"], MOST)
    samples = _counts("regression.samples", asked["samples"], 2**24)
    found = Regression(
        float(asked["exponent"]), float(asked["noise"]), sizes, samples,
        asked["largest_system"], asked["seeds"],
    )  # fmt: skip
    if not any(found.pairs):
        raise ConfigError(
            "regression.largest_system", found.largest_system, "leaves no pair of N and D",
            f"raise it to {min(sizes[0], samples[0])} or give smaller counts",
        )  # fmt: skip
    return found


def _refuse_beside(key: str, value: Any) -> None:
    fault = "cannot stand beside regression, whose loss has another unit"
    raise ConfigError(key, value, fault, "make it a study of its own")


def _counts(key: str, given: Sequence[Any], most: int) -> tuple[int, ...]:
    """Whole counts from 2 to ``most``, each once, smallest first."""
    counts = []
    for index, value in enumerate(given):
        count = number(f"{key}[{index}]", value)
        if count != round(count) or not 2 <= count <= most:
            raise ConfigError(
                f"{key}[{index}]", value, f"is no whole number from 2 to {most}", "take one"
            )
        if round(count) in counts:
            raise ConfigError(f"{key}[{index}]", value, "is given twice", "give it once")
        counts.append(round(count))
    return tuple(sorted(counts))
