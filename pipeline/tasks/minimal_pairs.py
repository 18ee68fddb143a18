"""Pairs of sentences of which one is English, in the manner of BLiMP (Warstadt et al. 2020).

arXiv:1912.00582. The two differ in one word, and over the templates each word is right as often as
it is wrong, so that a liking for a word brings nothing.
"""

from __future__ import annotations

from random import Random

from pipeline.tasks.items import Example, Items, Material, in_words

NOUNS = ("king", "friend", "farmer", "sailor", "mother", "teacher", "doctor", "bird", "horse",
         "river", "house", "tree", "star", "ship", "hand", "song")  # fmt: skip
STATES = ("old", "here", "gone", "small", "lost", "good", "near", "great", "dark", "new")
PLACES = ("near", "behind", "above", "beside")
PEOPLE = {"king": "himself", "queen": "herself", "father": "himself", "mother": "herself",
          "man": "himself", "woman": "herself", "boy": "himself", "girl": "herself"}  # fmt: skip
DEEDS = ("saw", "hurt", "hid", "lost", "praised", "knew", "helped", "blamed")


def example(random: Random) -> Example:
    """A sentence by one of the templates."""
    return random.choice((agreement, attraction, determiner, reflexive))(random)


def items(_name: str, material: Material) -> Items:
    """Sentences of all templates."""
    return in_words(example, material)


def agreement(random: Random) -> Example:
    """The king is (are) old."""
    plural = random.random() < 0.5
    noun = random.choice(NOUNS) + "s" * plural
    return _verb(f"The {noun}", plural, random)


def attraction(random: Random) -> Example:
    """The king near the ships is (are) old: another noun stands between."""
    plural = random.random() < 0.5
    noun, other = random.sample(NOUNS, 2)
    subject = f"The {noun}{'s' * plural} {random.choice(PLACES)} the {other}{'s' * (not plural)}"
    return _verb(subject, plural, random)


def determiner(random: Random) -> Example:
    """I saw this (these) king."""
    plural = random.random() < 0.5
    right, wrong = ("these", "this") if plural else ("this", "these")
    noun = random.choice(NOUNS) + "s" * plural
    before = f"I {random.choice(DEEDS)}"
    return Example(before, f" {right} {noun}.\n", wrong=(f" {wrong} {noun}.\n",))


def reflexive(random: Random) -> Example:
    """The king hurt himself (herself)."""
    person = random.choice(list(PEOPLE))
    right = PEOPLE[person]
    wrong = "herself" if right == "himself" else "himself"
    return Example(
        f"The {person} {random.choice(DEEDS)}", f" {right}.\n", wrong=(f" {wrong}.\n",)
    )  # fmt: skip


def _verb(subject: str, plural: bool, random: Random) -> Example:
    right, wrong = ("are", "is") if plural else ("is", "are")
    state = random.choice(STATES)
    return Example(subject, f" {right} {state}.\n", wrong=(f" {wrong} {state}.\n",))
