"""What a task is made of: questions as windows of tokens, and what they are drawn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

QUESTIONS = 256  # of a task put in words: a standard error of 0.03 at worst
CHOICES = 128  # the same with several choices, each of which is a row
LEAST = 32  # fewer questions say too little of a model
TEXT_TOKENS = 8192  # of the validation text that next tokens and words are asked of
HELD_OUT = 8  # every eighth example is kept from practice text, to be asked
DRAWS = 20 * QUESTIONS * HELD_OUT  # examples drawn before too few are new

Ids = NDArray[np.int64]


class TaskError(ValueError):
    """A task that cannot be put to these models; the message names it and the cure."""


class Text(Protocol):
    """A text as a stream of tokens."""

    @property
    def end_of_text(self) -> int | None: ...
    def __len__(self) -> int: ...
    def windows(self, starts: Sequence[int] | NDArray, length: int, /) -> Ids: ...


@dataclass(frozen=True)
class Items:
    """Questions to a model, as (rows, length + 1) tokens of which each predicts its successor.

    ``question`` (rows, length) is the number of the question that a target answers, -1 where it
    answers none. With one of ``choices`` a question is answered rightly where each of its targets
    is the likeliest token. With several, rows come in groups of so many, one question each: right
    where the targets of the first row are likelier, together, than those of each other.
    """

    windows: Ids
    question: Ids
    choices: int = 1

    @property
    def count(self) -> int:
        """Questions."""
        return int(self.question.max()) + 1

    @property
    def chance(self) -> float:
        """Error without looking: of a guess among the choices, or of the commonest answer."""
        if self.choices > 1:
            return 1 - 1 / self.choices
        rows, places = np.nonzero(self.question >= 0)
        answers: list[list[int]] = [[] for _ in range(self.count)]
        for row, place in zip(rows.tolist(), places.tolist()):
            answers[self.question[row, place]].append(int(self.windows[row, place + 1]))
        _, shares = np.unique([str(answer) for answer in answers], return_counts=True)
        return 1 - float(shares.max()) / self.count


@dataclass(frozen=True)
class Material:
    """What questions are made of: the validation text, its tokenizer, the room, and a seed."""

    text: Text
    tokenizer_file: Path
    context: int
    vocab_size: int
    seed: int = 0

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The corpus's tokenizer."""
        if not self.tokenizer_file.exists():
            raise TaskError(f"needs {self.tokenizer_file}, which is missing; tokenize anew")
        found = Tokenizer.from_file(str(self.tokenizer_file))
        found.no_truncation()
        found.no_padding()
        return found

    def ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return found

    @cached_property
    def windows(self) -> Ids:
        """Windows of context + 1 tokens, spread evenly over the validation text."""
        length = self.context + 1
        if len(self.text) < length:
            raise TaskError(
                f"needs {length} tokens of validation text, there are {len(self.text)}; "
                "raise corpus.validation_bytes"
            )
        most = max(1, TEXT_TOKENS // self.context)
        places = min(most, len(self.text) // length)
        starts = np.linspace(0, len(self.text) - length, places).astype(np.int64)
        return self.text.windows(starts, length)

    @cached_property
    def counts(self) -> Ids:
        """How often each token occurs in the validation text."""
        found = np.zeros(self.vocab_size, np.int64)
        for start in range(0, len(self.text), 2**20):
            part = self.text.windows([start], min(2**20, len(self.text) - start))
            found += np.bincount(part[0], minlength=self.vocab_size)
        return found


@dataclass(frozen=True)
class Example:
    """A line of text with a place to fill: what comes before it, the answer, and what follows.

    ``wrong`` are the other choices, where the answer is one of several. Examples of one ``key``
    are one: they are all held out, or none is. ``told`` are the keys of all questions that the
    whole line answers, where there are others than its own.
    """

    prompt: str
    answer: str
    rest: str = ""
    wrong: tuple[str, ...] = ()
    key: str = ""
    told: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The whole line."""
        return self.prompt + self.answer + self.rest

    @property
    def held_out(self) -> bool:
        """May it be asked, and no practice text tell it? The same whatever the seed."""
        return _held_out(self.key or self.line)

    @property
    def tells(self) -> bool:
        """Does its line answer any question that may be asked? Practice text lacks it."""
        return any(map(_held_out, self.told or (self.key or self.line,)))


def _held_out(key: str) -> bool:
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % HELD_OUT == 0


Draw = Callable[[Random], Example]


def distinct(draw: Draw, seed: int) -> Iterator[Example]:
    """Different held-out examples."""
    random, seen = Random(f"{seed} questions"), set()
    for _ in range(DRAWS):
        example = draw(random)
        asked = example.prompt + example.answer
        if example.held_out and asked not in seen:
            seen.add(asked)
            yield example


def in_words(draw: Draw, material: Material) -> Items:
    """The first held-out examples that fit the context, each a line after a line end."""
    before = material.ids("\n")
    rows: list[tuple[list[int], int]] = []  # tokens, and how many of them are the answer's
    questions, choices = 0, 1
    for example in distinct(draw, material.seed):
        prompt = before + material.ids(example.prompt)
        answers = [material.ids(text) for text in (example.answer, *example.wrong)]
        if len(prompt) + max(map(len, answers)) > material.context + 1 or not all(answers):
            continue
        rows += [(prompt + answer, len(answer)) for answer in answers]
        questions, choices = questions + 1, len(answers)
        if questions == (QUESTIONS if choices == 1 else CHOICES):
            break
    refuse_few(questions, "fit the context; take a larger one")
    length = max(len(tokens) for tokens, _ in rows)
    # What follows an answer fills up the window: it is looked at by nothing before it.
    windows = np.zeros((len(rows), length), np.int64)
    question = np.full((len(rows), length - 1), -1)
    for row, (tokens, answer) in enumerate(rows):
        windows[row, : len(tokens)] = tokens
        question[row, len(tokens) - 1 - answer : len(tokens) - 1] = row // choices
    return Items(windows, question, choices)


def refuse_few(count: int, cure: str) -> None:
    """Raise TaskError where there are too few questions."""
    if count < LEAST:
        raise TaskError(f"only {count} questions of {LEAST} or more {cure}")
