"""Which bracket closes: nested brackets of three kinds, up to one that closes none beside it."""

from __future__ import annotations

from random import Random

from pipeline.tasks.items import Example, Items, Material, in_words

PAIRS = {"(": ")", "[": "]", "{": "}"}
COUNT = 5  # pairs in a line


def example(random: Random) -> Example:
    """A balanced line, and one of the brackets in it that close over others."""
    while True:
        line, over = balanced(random)
        if over:
            place = random.choice(over)
            before, right, after = line[:place], line[place], line[place + 1 :]
            wrong = tuple(f" {other}" for other in PAIRS.values() if other != right)
            rest = "".join(f" {bracket}" for bracket in after) + "\n"
            asked = "".join(line[: place + 1])
            told = tuple("".join(line[: end + 1]) for end in over)
            return Example(" ".join(before), f" {right}", rest, wrong, asked, told)


def balanced(random: Random) -> tuple[list[str], list[int]]:
    """Balanced brackets, and the places of those that close over other brackets."""
    line: list[str] = []
    stack: list[tuple[str, int]] = []  # what is open, and where it opened
    over, opened = [], 0
    while opened < COUNT or stack:
        if opened < COUNT and (not stack or random.random() < 0.5):
            kind = random.choice(list(PAIRS))
            stack.append((kind, len(line)))
            line.append(kind)
            opened += 1
        else:
            kind, place = stack.pop()
            if len(line) - place > 1:
                over.append(len(line))
            line.append(PAIRS[kind])
    return line, over


def items(_name: str, material: Material) -> Items:
    """Lines that practice text does not have; the choices are the three closing brackets."""
    return in_words(example, material)
