"""What a figure says of numbers that cannot be trusted: a sentence in words and symbols.

Reasons, intervals and the runs that would help stand with the fits on the page; a figure only names
what is open, so that the note never outweighs what is drawn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from pipeline.findings.data import FittedLaw
from pipeline.laws.base import Kind, Status

LINE = 0.14  # inches that a line takes below a figure
PROPER = (
    "Chinchilla",
    "DeepSeek",
    "Farseer",
    "Kaplan",
    "Step Law",
)  # titles that begin with a name


def names(fits: Mapping[str, FittedLaw]) -> dict[str, str]:
    """What each fit is called: what its formula gives, or the law's title where that tells no two
    apart; after it the text or task of the fit, where there is one.
    """
    given = {key: fit.law.formula.partition("=")[0].strip() for key, fit in fits.items()}
    texts = {key: f" ({key.partition('@')[2]})" if "@" in key else "" for key in fits}
    times = Counter(given[key] + texts[key] for key in fits)
    called = {}
    for key, fit in fits.items():
        plain = times[given[key] + texts[key]] == 1 and "frac" not in given[key]
        called[key] = (
            f"${given[key].replace(' ', '')}$" if plain else _title(fit.law.title)
        ) + texts[key]
    return called


def _title(title: str) -> str:
    """The title of a law within a sentence."""
    return title if title.startswith(PROPER) else f"the {title[0].lower()}{title[1:]}"


def lines(fits: Mapping[str, FittedLaw], width: int) -> list[str]:
    """What cannot be trusted of some fits, in lines of about ``width`` characters; often none.

    One sentence names all parameters that the runs leave open, one the floors that no run is near;
    a fit without values says itself why.
    """
    called = names(fits)
    refused: list[str] = []
    left: list[str] = []
    floors: list[str] = []
    for key, fit in fits.items():
        if not fit.drawable:
            lead = f"{called[key]}: " if len(fits) > 1 else ""
            refused += [lead + reason for reason in fit.doubts]
            continue
        for group, of_floors in ((left, False), (floors, True)):
            symbols = [
                f"${p.symbol}$" for p, row in fit.estimates
                if row["status"] != Status.CONVERGED and (p.kind is Kind.FLOOR) == of_floors
            ]  # fmt: skip
            if symbols:
                group.append(f"{', '.join(symbols)} of {called[key]}")
    said = [f"These runs leave open {'; '.join(left)}."] if left else []
    said += [f"No run is near the floor {'; '.join(floors)}."] if floors else []
    return [line for text in [*refused, *said] for line in wrapped(text, width)]


def room(fits: Mapping[str, FittedLaw], width: int) -> float:
    """The inches that these lines take."""
    return LINE * len(lines(fits, width))


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines that look about ``width`` characters long; symbols stay whole."""
    found: list[str] = []
    for word in text.split(" "):
        if found and seen(f"{found[-1]} {word}") <= width:
            found[-1] += f" {word}"
        else:
            found.append(f"  {word}" if found else word)
    return found


def seen(text: str) -> int:
    """About how many characters a text takes in print, without what mathtext only spells."""
    plain = re.sub(r"\\(mathrm|left|right|[!,;])|[${}_^]", "", text).replace(r"\min", "min")
    return len(re.sub(r"\\[A-Za-z]+", "x", plain))
