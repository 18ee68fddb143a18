"""Sums of two numbers below a hundred: 27+15=42."""

from __future__ import annotations

from random import Random

from pipeline.tasks.items import Example, Items, Material, in_words

LIMIT = 100


def example(random: Random) -> Example:
    """A sum; both orders of its terms are one example."""
    a, b = random.randrange(LIMIT), random.randrange(LIMIT)
    return Example(f"{a}+{b}=", f"{a + b}\n", key=f"{min(a, b)}+{max(a, b)}")


def items(_name: str, material: Material) -> Items:
    """Sums that practice text does not have."""
    return in_words(example, material)
