"""The letters of a word that is none: batik: b a t i k. Tokens must tell what they are made of."""

from __future__ import annotations

from random import Random

from pipeline.tasks.items import Example, Items, Material, in_words

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def example(random: Random) -> Example:
    """A word of two syllables, and its letters."""
    word = "".join(random.choice(letters) for letters in (CONSONANTS, VOWELS) * 2)
    word += random.choice(["", *CONSONANTS])
    return Example(f"{word}:", f" {' '.join(word)}\n")


def items(_name: str, material: Material) -> Items:
    """Words that practice text does not have."""
    return in_words(example, material)
